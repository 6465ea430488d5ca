/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/order.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "scenarios/program.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HINT_MAX 128

static const char *const rule_names[ORDER_RULES] = {
	[ORDER_DISPATCH_FIRST] = "dispatch-first",
	[ORDER_INTERLEAVED] = "interleaved",
	[ORDER_COMBINE_FIRST] = "combine-first",
};

/* Letters of kinds; place = letter * ORDER_STEPS + step. */
enum letter { TO, GATHER, EXPERT, SCATTER, BACK, SHARED, WEIGHT, SUM_SHARED,
	      SUM_EXPERT, SUM_DENSE, COPY, LETTERS };

static const char letters[LETTERS + 1] = "DAERCSWGHXB";

static const char *const letter_help =
	"D dispatch, A all-gather, E experts, R reduce-scatter, C combine, "
	"S shared experts, W weight gradients, G and H and X all-reduces of "
	"shared experts, experts, dense layers, B copied experts";

static int sum_letter(const struct op *op)
{
	if (op->kind == OP_ALLREDUCE_EXPERT)
		return SUM_EXPERT;
	if (op->step == ALLREDUCE_ROUTER)
		return -1;	/* the last op of its pass */
	return op->step == ALLREDUCE_DENSE ? SUM_DENSE : SUM_SHARED;
}

int order_kind(const struct op *op)
{
	static const int letter[OP_KIND_N] = {
		[OP_GATE] = -1, [OP_PERMUTE] = -1, [OP_UNPERMUTE] = -1,
		[OP_UNPERMUTE_BWD] = -1, [OP_PERMUTE_BWD] = -1,
		[OP_GATE_BWD] = -1,
		[OP_DISPATCH] = TO, [OP_COMBINE_BWD] = TO,
		[OP_ALLGATHER] = GATHER, [OP_REDUCESCATTER] = SCATTER,
		[OP_EXPERT] = EXPERT, [OP_EXPERT_BWD_DATA] = EXPERT,
		[OP_EXPERT_BWD_WEIGHT] = WEIGHT,
		[OP_COMBINE] = BACK, [OP_DISPATCH_BWD] = BACK,
		[OP_SHARED] = SHARED, [OP_SHARED_BWD] = SHARED,
		[OP_COMPRESS] = -1, [OP_RESTORE] = -1,
		[OP_COMPRESS_BWD] = -1, [OP_RESTORE_BWD] = -1,
		[OP_MIGRATE] = -1, [OP_DENSE] = -1, [OP_DENSE_BWD] = -1,
		[OP_SHUFFLE] = -1, [OP_UNSHUFFLE] = -1,
		[OP_SHADOW] = COPY, [OP_SHADOW_BWD] = COPY,
	};
	bool is_sum = op->kind == OP_ALLREDUCE_GATE ||
		      op->kind == OP_ALLREDUCE_EXPERT;
	int l = is_sum ? sum_letter(op) : letter[op->kind];

	/* an all-reduce's step says which it is, not when */
	if (l < 0 || l == SUM_SHARED || l == SUM_DENSE)
		return l < 0 ? -1 : l * ORDER_STEPS;
	return l * ORDER_STEPS + op->step;
}

bool order_is_sum(int kind)
{
	return kind / ORDER_STEPS == SUM_DENSE;
}

bool order_is_default(const struct pass_order order[2])
{
	return order[0].rule == ORDER_DISPATCH_FIRST &&
	       order[1].rule == ORDER_DISPATCH_FIRST;
}

int order_compare(const struct pass_order *a, const struct pass_order *b)
{
	if (a->rule != b->rule)
		return a->rule < b->rule ? -1 : 1;
	if (a->rule != ORDER_GIVEN)
		return 0;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->place, b->place, a->n);
}

/* ---- text ---- */

static void print_kind(int kind, struct buf *out)
{
	buf_addf(out, "%c", letters[kind / ORDER_STEPS]);
	if (kind % ORDER_STEPS)
		buf_addf(out, "%c", 'a' + kind % ORDER_STEPS);
}

static void print_pass(const struct pass_order *o, struct buf *out)
{
	int i, n;

	if (o->rule != ORDER_GIVEN) {
		buf_puts(out, rule_names[o->rule]);
		return;
	}
	for (i = 0; i < o->n; i += n) {
		for (n = 1; i + n < o->n && o->place[i + n] == o->place[i];)
			n++;
		print_kind(o->place[i], out);
		if (n > 1)
			buf_addf(out, "%d", n);
	}
}

void order_print(const struct pass_order order[2], struct buf *out)
{
	print_pass(&order[0], out);
	if (!order_compare(&order[0], &order[1]) &&
	    order[0].rule != ORDER_GIVEN)
		return;
	buf_puts(out, "/");
	print_pass(&order[1], out);
}

static enum status parse_rule(const char *text, size_t n,
			      struct pass_order *out)
{
	char word[HINT_MAX], hint[HINT_MAX];
	int i;

	for (i = 0; i < ORDER_GIVEN; i++) {
		if (strlen(rule_names[i]) == n &&
		    !memcmp(text, rule_names[i], n)) {
			out->rule = (unsigned char)i;
			return ST_OK;
		}
	}
	if (n >= sizeof(word))
		n = sizeof(word) - 1;
	memcpy(word, text, n);
	word[n] = '\0';
	return err_set(ST_INPUT, "plan: 'order' has '%s', allowed: "
		       "dispatch-first, interleaved, combine-first, or places "
		       "such as D4E4C4%s", word,
		       nearest_hint(word, rule_names, ORDER_GIVEN, hint,
				    sizeof(hint)));
}

/* One letter with its step and count; moves *s_p behind it. */
static enum status parse_place(const char **s_p, const char *end,
			       struct pass_order *out)
{
	const char *s = *s_p, *l = strchr(letters, *s);
	int kind, n = 0;

	if (!l || !*s) {
		return err_set(ST_INPUT, "plan: 'order' has '%c', must be one "
			       "of %s (%s)", *s, letters, letter_help);
	}
	kind = (int)(l - letters) * ORDER_STEPS;
	s++;
	if (s < end && *s > 'a' && *s < 'a' + ORDER_STEPS)
		kind += *s++ - 'a';
	for (; s < end && isdigit((unsigned char)*s) &&
	     n <= ORDER_PLACES_MAX; s++)
		n = 10 * n + *s - '0';
	if ((s > *s_p && isdigit((unsigned char)s[-1]) && !n) ||
	    out->n + (n ? n : 1) > ORDER_PLACES_MAX) {
		return err_set(ST_INPUT, "plan: 'order' has more than %d or no "
			       "places at '%c'", ORDER_PLACES_MAX, **s_p);
	}
	do {
		out->place[out->n++] = (unsigned char)kind;
	} while (--n > 0);
	*s_p = s;
	return ST_OK;
}

static enum status parse_pass(const char *text, size_t n,
			      struct pass_order *out)
{
	const char *end = text + n;
	enum status st = ST_OK;

	*out = (struct pass_order){ 0 };
	if (!n || !isupper((unsigned char)*text))
		return parse_rule(text, n, out);
	out->rule = ORDER_GIVEN;
	while (text < end && !st)
		st = parse_place(&text, end, out);
	return st;
}

enum status order_parse(const char *text, struct pass_order out[2])
{
	const char *slash = strchr(text, '/');
	struct pass_order o[2];
	enum status st = parse_pass(text, slash ? (size_t)(slash - text) :
				    strlen(text), &o[0]);

	if (!st && slash)
		st = parse_pass(slash + 1, strlen(slash + 1), &o[1]);
	else
		o[1] = o[0];
	if (!st)
		memcpy(out, o, sizeof(o));
	return st;
}

/* ---- sequences ---- */

static int pass_first(const struct program *p, int pass)
{
	return pass ? p->n_forward : 0;
}

static int pass_end(const struct program *p, int pass)
{
	return pass ? p->n_ops : p->n_forward;
}

struct keyed {
	int major, middle, minor, op;
};

static int by_key(const void *va, const void *vb)
{
	const struct keyed *a = va, *b = vb;

	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	if (a->middle != b->middle)
		return a->middle < b->middle ? -1 : 1;
	if (a->minor != b->minor)
		return a->minor < b->minor ? -1 : 1;
	return a->op < b->op ? -1 : a->op > b->op;
}

/* How many ops of its chunk come before it, one after the other. */
static int chunk_depth(const struct program *p, int i, int first,
		       const int *depth)
{
	const struct op *o = &p->op[i];
	int d, most = 0;

	for (d = 0; d < o->n_deps; d++) {
		if (o->dep[d] >= first && order_kind(&p->op[o->dep[d]]) >= 0 &&
		    depth[o->dep[d] - first] >= most)
			most = depth[o->dep[d] - first] + 1;
	}
	return most;
}

/* On the way of a chunk there and back? Of a single chunk the weight gradients
 * may be, too: without overlap its way back waits for them. */
static bool is_on_way(const struct op *o)
{
	int letter = order_kind(o) / ORDER_STEPS;

	return (letter == WEIGHT && o->n_chunks == 1) || letter == TO ||
	       letter == GATHER || letter == EXPERT || letter == SCATTER ||
	       letter == BACK;
}

/*
 * INTERLEAVED: in round t chunk i is in its stage t - i, older chunks first.
 * COMBINE_FIRST: with chunk i goes all the way to the experts of chunk i + 1,
 * first. What is not on that way keeps its place: shared experts first,
 * weight gradients and all-reduces last.
 */
static struct keyed rule_key(const struct program *p, int i, int rule,
			     int depth)
{
	const struct op *o = &p->op[i];
	int kind = order_kind(o), letter = kind / ORDER_STEPS;
	bool to = letter == TO || letter == GATHER;

	/* copied experts behind the first chunk, which does not need them */
	if (!is_on_way(o) && o->kind != OP_SHADOW)
		return (struct keyed){ letter == SHARED ? -1 : INT_MAX, 0, i,
				       i };
	if (rule == ORDER_INTERLEAVED)
		return (struct keyed){ o->chunk + depth, o->chunk, i, i };
	return (struct keyed){ to && o->chunk ? o->chunk - 1 : o->chunk, !to,
			       i, i };
}

static void rule_sequence(const struct program *p, int pass, int rule,
			  int *sequence)
{
	int first = pass_first(p, pass), end = pass_end(p, pass);
	int n = end - first, i, at = 0, free_at = 0, m = 0;
	struct keyed *key = xcalloc((size_t)n, sizeof(*key));
	int *depth = xcalloc((size_t)n, sizeof(*depth));

	for (i = first; i < end; i++) {
		depth[i - first] = chunk_depth(p, i, first, depth);
		if (order_kind(&p->op[i]) >= 0)
			key[m++] = rule_key(p, i, rule, depth[i - first]);
	}
	qsort(key, (size_t)m, sizeof(*key), by_key);
	for (i = first; i < end; i++)
		sequence[at++] = order_kind(&p->op[i]) < 0 ? i :
			key[free_at++].op;
	free(depth);
	free(key);
}

/* The next op of a kind that is not laid yet; -1: none. */
static int next_of(const struct program *p, int kind, int from, int end)
{
	while (from < end && order_kind(&p->op[from]) != kind)
		from++;
	return from < end ? from : -1;
}

/* A chunk's weight gradients need what its data gradients made. */
static bool data_missing(const struct program *p, int i, const bool *laid,
			 int first, int end)
{
	int j;

	if (p->op[i].kind != OP_EXPERT_BWD_WEIGHT)
		return false;
	for (j = first; j < end; j++) {
		if (p->op[j].kind == OP_EXPERT_BWD_DATA &&
		    p->op[j].chunk == p->op[i].chunk)
			return !laid[j - first];
	}
	return false;
}

static enum status check_ready(const struct program *p, int pass, int i,
			       const bool *laid)
{
	int first = pass_first(p, pass), end = pass_end(p, pass), d;
	const struct op *o = &p->op[i];
	bool is_late = data_missing(p, i, laid, first, end);
	int before = program_forwarded_step(p, i);
	struct buf name = { 0 };

	is_late = is_late || (before >= 0 && !laid[before - first]);

	for (d = 0; d < o->n_deps; d++)
		is_late = is_late || (o->dep[d] >= first &&
				      !laid[o->dep[d] - first]);
	if (!is_late)
		return ST_OK;
	print_kind(order_kind(o), &name);
	err_set(ST_INPUT, "plan: 'order' has '%s' of chunk %d before what it "
		"needs, %s", buf_str(&name), o->chunk,
		pass ? "backward" : "forward");
	buf_release(&name);
	return ST_INPUT;
}

static enum status wrong_places(const struct program *p, int pass)
{
	struct pass_order has;
	struct buf text = { 0 };
	int n = pass_end(p, pass) - pass_first(p, pass), i;
	int *plain = xcalloc((size_t)n, sizeof(*plain));

	for (i = 0; i < n; i++)
		plain[i] = pass_first(p, pass) + i;
	if (order_from_sequence(p, pass, plain, &has))
		print_pass(&has, &text);
	err_set(ST_INPUT, "plan: 'order' does not have the places of the pass "
		"%s, %s", pass ? "backward" : "forward", text.len ?
		buf_str(&text) : "which are too many");
	free(plain);
	buf_release(&text);
	return ST_INPUT;
}

/* Places one after the other, into the room that movable ops have. */
static enum status given_sequence(const struct program *p, int pass,
				  const struct pass_order *o, int *sequence)
{
	int first = pass_first(p, pass), end = pass_end(p, pass), i, op, at = 0;
	int from[ORDER_KINDS];
	bool *laid = xcalloc((size_t)(end - first), sizeof(*laid));
	enum status st = ST_OK;

	for (i = 0; i < ORDER_KINDS; i++)
		from[i] = first;
	for (i = first; i < end && !st; i++) {
		op = i;
		if (order_kind(&p->op[i]) >= 0) {
			int k = at < o->n ? o->place[at++] : -1;

			op = k < 0 ? -1 : next_of(p, k, from[k], end);
			if (op < 0) {
				st = wrong_places(p, pass);
				break;
			}
			from[k] = op + 1;
			st = check_ready(p, pass, op, laid);
		}
		laid[op - first] = true;
		sequence[i - first] = op;
	}
	if (!st && at < o->n)
		st = wrong_places(p, pass);
	free(laid);
	return st;
}

enum status order_sequence(const struct program *p, int pass,
			   const struct pass_order *order, int *sequence)
{
	int i, first = pass_first(p, pass), end = pass_end(p, pass);

	if (order->rule == ORDER_GIVEN)
		return given_sequence(p, pass, order, sequence);
	if (order->rule != ORDER_DISPATCH_FIRST) {
		rule_sequence(p, pass, order->rule, sequence);
		return ST_OK;
	}
	for (i = first; i < end; i++)
		sequence[i - first] = i;
	return ST_OK;
}

bool order_from_sequence(const struct program *p, int pass,
			 const int *sequence, struct pass_order *out)
{
	struct pass_order o = { .rule = ORDER_GIVEN };
	int i, kind, n = pass_end(p, pass) - pass_first(p, pass);

	for (i = 0; i < n; i++) {
		kind = order_kind(&p->op[sequence[i]]);
		if (kind < 0)
			continue;
		if (o.n == ORDER_PLACES_MAX)
			return false;
		o.place[o.n++] = (unsigned char)kind;
	}
	*out = o;
	return true;
}

void order_lay(struct program *p, int pass, const int *sequence)
{
	int first = pass_first(p, pass), n = pass_end(p, pass) - first, i, d;
	struct op *op = xcalloc((size_t)n, sizeof(*op));
	int *to = xcalloc((size_t)n, sizeof(*to));

	for (i = 0; i < n; i++) {
		op[i] = p->op[sequence[i]];
		to[sequence[i] - first] = first + i;
	}
	for (i = 0; i < n; i++) {
		for (d = 0; d < op[i].n_deps; d++) {
			if (op[i].dep[d] >= first)
				op[i].dep[d] = to[op[i].dep[d] - first];
		}
	}
	memcpy(p->op + first, op, (size_t)n * sizeof(*op));
	free(to);
	free(op);
}

enum status order_lay_plan(struct program *p)
{
	enum status st = ST_OK;
	int pass;

	for (pass = 0; pass < 2 && !st; pass++) {
		const struct pass_order *order = &p->plan.order[pass];
		int n = pass_end(p, pass) - pass_first(p, pass);
		int *sequence;

		if (order->rule == ORDER_DISPATCH_FIRST)
			continue;
		sequence = xcalloc((size_t)n, sizeof(*sequence));
		st = order_sequence(p, pass, order, sequence);
		if (!st)
			order_lay(p, pass, sequence);
		free(sequence);
	}
	return st;
}
