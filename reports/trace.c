/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/trace.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "reports/text.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define PS_PER_US 1000000u

struct trace {
	struct buf events;	/* ",\n" before each but the first */
	struct buf notes;
};

struct trace *trace_new(void)
{
	return xcalloc(1, sizeof(struct trace));
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	buf_release(&t->events);
	buf_release(&t->notes);
	free(t);
}

static void put_string(struct buf *out, const char *text)
{
	char *clean = text_clean(text);
	json_t *value = json_string(clean);
	char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

	buf_puts(out, quoted ? quoted : "\"\"");
	free(quoted);
	json_decref(value);
	free(clean);
}

static void next_item(struct buf *out)
{
	buf_puts(out, out->len ? ",\n" : "\n");
}

/* Exact: picoseconds are the six decimals of a microsecond. */
static void put_us(struct buf *out, uint64_t ps)
{
	buf_addf(out, "%" PRIu64 ".%06" PRIu64, ps / PS_PER_US,
		 ps % PS_PER_US);
}

static void put_metadata(struct trace *t, const char *what, int pid, int tid,
			 const char *name)
{
	struct buf *b = &t->events;

	next_item(b);
	buf_addf(b, "{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"name\":\"%s\","
		 "\"args\":{\"name\":", pid, tid, what);
	put_string(b, name);
	buf_puts(b, "}}");
}

void trace_process(struct trace *t, int pid, const char *name)
{
	put_metadata(t, "process_name", pid, 0, name);
}

void trace_lane(struct trace *t, int pid, int tid, const char *name)
{
	put_metadata(t, "thread_name", pid, tid, name);
	next_item(&t->events);
	buf_addf(&t->events, "{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,"
		 "\"name\":\"thread_sort_index\","
		 "\"args\":{\"sort_index\":%d}}", pid, tid, tid);
}

static void put_args(struct buf *b, const struct trace_arg *arg)
{
	int i;

	buf_puts(b, ",\"args\":{");
	for (i = 0; i < TRACE_ARGS_MAX && arg[i].name; i++) {
		if (i)
			buf_puts(b, ",");
		put_string(b, arg[i].name);
		buf_puts(b, ":");
		if (arg[i].text)
			put_string(b, arg[i].text);
		else
			buf_addf(b, "%.9g", isfinite(arg[i].number) ?
				 arg[i].number : 0);
	}
	buf_puts(b, "}");
}

void trace_event(struct trace *t, const struct trace_event *e)
{
	struct buf *b = &t->events;

	next_item(b);
	buf_addf(b, "{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"name\":", e->pid,
		 e->tid);
	put_string(b, e->name);
	buf_puts(b, ",\"cat\":");
	put_string(b, e->category);
	buf_puts(b, ",\"ts\":");
	put_us(b, e->start_ps);
	buf_puts(b, ",\"dur\":");
	put_us(b, e->finish_ps - e->start_ps);
	put_args(b, e->arg);
	buf_puts(b, "}");
}

void trace_note(struct trace *t, const char *name, const char *text)
{
	next_item(&t->notes);
	put_string(&t->notes, name);
	buf_puts(&t->notes, ": ");
	put_string(&t->notes, text);
}

void trace_print(const struct trace *t, struct buf *out)
{
	buf_puts(out, "{\"displayTimeUnit\": \"ns\",\n\"otherData\": {");
	buf_puts(out, buf_str(&t->notes));
	buf_puts(out, "},\n\"traceEvents\": [");
	buf_puts(out, buf_str(&t->events));
	buf_puts(out, "\n]}\n");
}

enum status trace_write(const struct trace *t, const char *path)
{
	struct buf text = { 0 };
	enum status st;

	trace_print(t, &text);
	st = outfile_write(path, text.s, text.len);
	buf_release(&text);
	return st;
}

void trace_add_ops(struct trace *t, const struct report_op *op, int n)
{
	struct trace_event e;
	char *name;
	int i;

	trace_process(t, 0, "every rank (the slowest counts)");
	for (i = 0; i < LANE_N; i++)
		trace_lane(t, 0, i, lane_name((enum lane)i));
	for (i = 0; i < n && op[i].lane != LANE_HOST; i++)
		;
	if (i < n)
		trace_lane(t, 0, LANE_HOST, lane_name(LANE_HOST));
	for (i = 0; i < n; i++, op++) {
		name = xasprintf("%s %d/%d", op_kind_name(op->kind),
				 op->chunk + 1, op->n_chunks);
		e = (struct trace_event){
			.name = op->n_chunks > 1 ? name :
				op_kind_name(op->kind),
			.category = op_kind_breakdown(op->kind),
			.tid = (int)op->lane,
			.start_ps = op->start_ps,
			.finish_ps = op->finish_ps,
			.arg = {
				{ .name = "pass", .text = op->backward ?
				  "backward" : "forward" },
				{ .name = "chunk", .number = op->chunk },
				{ .name = "chunks", .number = op->n_chunks },
			},
		};
		trace_event(t, &e);
		free(name);
	}
}
