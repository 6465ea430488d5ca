/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * expat calls start() and end(); the elements become flat lists, and
 * finish() makes the node of them, when all bus ids are known.
 */
#include "scenarios/nccl_xml.h"

#include "base/mem.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSID_MAX 32
#define LINKS_MAX 8192		/* nvlink elements */
#define COUNT_MAX 1000		/* NVLinks of one element */
#define SPEED_MAX 100000000	/* Mb/s of a NIC */
#define SM_MAX 9999
#define MBIT_BYTES (1e6 / 8)
/*
 * PCIe sends 130 bits for 128 (10 for 8 before generation 3, 8 GT/s); PCI
 * Express Base Specification 3.0, section 4.2.
 */
#define PCIE_NEW_GTS 8.0
#define PCIE_NEW_CODE (128.0 / 130)
#define PCIE_OLD_CODE 0.8
#define GTS_BYTES (1e9 / 8)	/* bytes per second of 1 GT/s and lane */

struct xml_gpu {
	char busid[BUSID_MAX];
	char device[16];
	int line, sm;
	bool has_gpu;	/* the element */
	int pcie_switch, socket;
	double pcie_Bps;
};

struct xml_link {
	int gpu;	/* number in the reader's list */
	int count, line;
	char target[BUSID_MAX], tclass[16];
};

/* An open element. */
struct level {
	int gpu;	/* that it belongs to, or -1 */
	int pci_switch;	/* the topmost pci above or at it, or -1 */
	int nic_line;	/* pci of class 02 that it is in, or 0 */
};

struct reader {
	XML_Parser parser;
	const char *name;
	enum status st;
	struct notes *notes;
	int depth, skip_from;	/* 0: nothing is passed over */
	int n_switches, socket;
	bool nic_has_net;
	char host[64];
	bool has_host;
	struct level level[NCCL_XML_DEPTH_MAX + 1];
	struct xml_gpu gpu[TOPO_GPUS_MAX];
	int n_gpus, n_pci_nics, n_links;
	int nic_line[TOPO_NICS_MAX];	/* pci NICs without a net */
	struct topo_nic net[TOPO_NICS_MAX];
	int n_nets;
	struct xml_link link[LINKS_MAX];
};

static int line_of(const struct reader *r)
{
	return (int)XML_GetCurrentLineNumber(r->parser);
}

static void refuse(struct reader *r, const char *what)
{
	if (!r->st)
		r->st = err_set(ST_INPUT, "%s:%d:%d: %s", r->name, line_of(r),
				(int)XML_GetCurrentColumnNumber(r->parser) + 1,
				what);
	XML_StopParser(r->parser, XML_FALSE);
}

static const char *attr(const char **attrs, const char *name)
{
	for (; *attrs; attrs += 2) {
		if (!strcmp(*attrs, name))
			return attrs[1];
	}
	return "";
}

/* A whole number in 1..max; else 0. */
static int attr_int(const char **attrs, const char *name, long max)
{
	char *end;
	const char *text = attr(attrs, name);
	long v = strtol(text, &end, 10);

	return end != text && !*end && v > 0 && v <= max ? (int)v : 0;
}

static bool is_class(const char *text, const char *hex)
{
	return !strncmp(text, "0x", 2) && !strncmp(text + 2, hex, strlen(hex));
}

/* "32.0 GT/s PCIe" and a width; 0 when it is not that. */
static double pcie_rate(const char **attrs)
{
	const char *text = attr(attrs, "link_speed");
	char *end;
	double gts = strtod(text, &end);
	int width = attr_int(attrs, "link_width", 32);

	if (end == text || strncmp(end, " GT/s", 5) || !(gts > 0) ||
	    gts > 1000)
		return 0;
	return gts * GTS_BYTES * width *
	       (gts >= PCIE_NEW_GTS ? PCIE_NEW_CODE : PCIE_OLD_CODE);
}

/* ---- elements ---- */

static void start_cpu(struct reader *r, struct level *l, const char **attrs)
{
	const char *host = attr(attrs, "host_hash");

	l->pci_switch = -1;
	r->socket++;
	if (r->has_host && strncmp(host, r->host, sizeof(r->host) - 1)) {
		notes_add(r->notes, line_of(r), "cpu of another host: only "
			  "the first is read");
		r->skip_from = r->depth;
		return;
	}
	snprintf(r->host, sizeof(r->host), "%s", host);
	r->has_host = true;
}

static void start_gpu_pci(struct reader *r, struct level *l,
			  const char **attrs)
{
	struct xml_gpu *g;

	if (r->n_gpus == TOPO_GPUS_MAX) {
		refuse(r, "too many GPUs");
		return;
	}
	l->gpu = r->n_gpus;
	g = &r->gpu[r->n_gpus++];
	snprintf(g->busid, sizeof(g->busid), "%s", attr(attrs, "busid"));
	snprintf(g->device, sizeof(g->device), "%s", attr(attrs, "device"));
	g->line = line_of(r);
	g->pcie_switch = l->pci_switch;
	g->socket = r->socket;
	g->pcie_Bps = pcie_rate(attrs);
}

static void start_pci(struct reader *r, struct level *l, const char **attrs)
{
	const char *class = attr(attrs, "class");

	if (l->pci_switch < 0)
		l->pci_switch = r->n_switches++;
	if (is_class(class, "03") || is_class(class, "12")) {
		start_gpu_pci(r, l, attrs);
	} else if (is_class(class, "02")) {
		l->nic_line = line_of(r);
		r->nic_has_net = false;
	} else if (!is_class(class, "0604")) {
		notes_add(r->notes, line_of(r), "pci of class '%.12s' is no "
			  "GPU, NIC or switch", class);
	}
}

static void start_gpu(struct reader *r, struct level *l, const char **attrs)
{
	struct xml_gpu *g;

	if (l->gpu < 0) {
		notes_add(r->notes, line_of(r), "gpu outside a pci of a GPU");
		return;
	}
	g = &r->gpu[l->gpu];
	g->has_gpu = true;
	g->sm = attr_int(attrs, "sm", SM_MAX);
}

static void start_nvlink(struct reader *r, struct level *l,
			 const char **attrs)
{
	struct xml_link *link;

	if (r->n_links == LINKS_MAX) {
		refuse(r, "too many NVLinks");
		return;
	}
	link = &r->link[r->n_links];
	link->gpu = l->gpu;
	link->line = line_of(r);
	link->count = attr_int(attrs, "count", COUNT_MAX);
	snprintf(link->target, sizeof(link->target), "%s",
		 attr(attrs, "target"));
	snprintf(link->tclass, sizeof(link->tclass), "%s",
		 attr(attrs, "tclass"));
	if (l->gpu < 0 || !link->count)
		notes_add(r->notes, link->line, l->gpu < 0 ?
			  "nvlink outside a gpu" :
			  "nvlink without a count that makes sense");
	else
		r->n_links++;
}

static void start_net(struct reader *r, struct level *l, const char **attrs)
{
	struct topo_nic *nic;

	(void)l;
	if (r->n_nets == TOPO_NICS_MAX) {
		refuse(r, "too many NICs");
		return;
	}
	nic = &r->net[r->n_nets++];
	nic->line = line_of(r);
	nic->Bps = attr_int(attrs, "speed", SPEED_MAX) * MBIT_BYTES;
	r->nic_has_net = true;
}

static const struct {
	const char *name;
	void (*start)(struct reader *r, struct level *l, const char **attrs);
} elements[] = {
	{ "system", NULL },
	{ "cpu", start_cpu },
	{ "pci", start_pci },
	{ "gpu", start_gpu },
	{ "nvlink", start_nvlink },
	{ "nic", NULL },
	{ "net", start_net },
};

#define N_ELEMENTS (sizeof(elements) / sizeof(*elements))

static void start_known(struct reader *r, struct level *l, const char *name,
			const char **attrs)
{
	size_t i;

	for (i = 0; i < N_ELEMENTS && strcmp(elements[i].name, name); i++) {
		/* find it */
	}
	if (i == N_ELEMENTS)
		notes_add(r->notes, line_of(r), "element '%.40s' is not read",
			  name);
	else if (elements[i].start)
		elements[i].start(r, l, attrs);
}

static void XMLCALL start(void *arg, const char *name, const char **attrs)
{
	struct reader *r = arg;
	struct level *l;

	if (r->st)
		return;
	if (++r->depth > NCCL_XML_DEPTH_MAX) {
		refuse(r, "elements are nested too deeply");
		return;
	}
	if (r->depth == 1 && strcmp(name, "system")) {
		refuse(r, "the outermost element is not 'system': no NCCL "
		       "topology");
		return;
	}
	if (r->skip_from)
		return;
	l = &r->level[r->depth];
	*l = r->level[r->depth - 1];
	start_known(r, l, name, attrs);
}

static void XMLCALL end(void *arg, const char *name)
{
	struct reader *r = arg;
	const struct level *l = &r->level[r->depth];

	if (r->st)
		return;
	if (r->skip_from == r->depth)
		r->skip_from = 0;
	else if (!r->skip_from && l->nic_line && !strcmp(name, "pci") &&
		 !r->nic_has_net && r->n_pci_nics < TOPO_NICS_MAX)
		r->nic_line[r->n_pci_nics++] = l->nic_line;
	r->depth--;
}

static void XMLCALL doctype(void *arg, const char *name, const char *sysid,
			    const char *pubid, int has_internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)has_internal;
	refuse(arg, "a document type is not read");
}

/* ---- the node ---- */

/* The list's GPUs that count, in file order: their numbers in the node. */
static void number_gpus(struct reader *r, int *number, int *n_p)
{
	bool any = false;
	int i, n = 0;

	for (i = 0; i < r->n_gpus; i++) {
		any |= r->gpu[i].has_gpu;
	}
	for (i = 0; i < r->n_gpus; i++) {
		number[i] = any && !r->gpu[i].has_gpu ? -1 : n++;
		if (number[i] < 0)
			notes_add(r->notes, r->gpu[i].line, "pci of class 03 "
				  "without a gpu element");
	}
	*n_p = n;
}

static void put_gpu(const struct xml_gpu *g, int i, struct node_topo *out)
{
	out->nvlink_said |= g->has_gpu;
	out->pcie_switch[i] = g->pcie_switch;
	out->socket[i] = g->socket;
	if (!i || g->pcie_Bps < out->pcie_Bps)
		out->pcie_Bps = g->pcie_Bps;
	if (!i)
		out->sm = g->sm;
	else if (g->sm != out->sm)
		out->sm = 0;
}

static int find_busid(const struct reader *r, const char *busid)
{
	int i;

	for (i = 0; i < r->n_gpus; i++) {
		if (!strcasecmp(r->gpu[i].busid, busid))
			return i;
	}
	return -1;
}

static void put_link(struct reader *r, const struct xml_link *l,
		     const int *number, struct node_topo *out)
{
	int from = number[l->gpu], to = find_busid(r, l->target);

	to = to < 0 ? -1 : number[to];
	if (from < 0)
		return;
	if (to >= 0 && to != from)
		out->pair_links[from][to] += l->count;
	else if (is_class(l->tclass, "068000"))
		out->switch_links[from] += l->count;
	else
		notes_add(r->notes, l->line, "nvlink to '%.24s' of class "
			  "'%.12s', no GPU or NVSwitch of this file",
			  l->target, l->tclass);
}

static void make_symmetric(struct reader *r, struct node_topo *t)
{
	int i, j;

	for (i = 0; i < t->n_gpus; i++) {
		for (j = 0; j < i; j++) {
			int a = t->pair_links[i][j], b = t->pair_links[j][i];

			if (a == b)
				continue;
			notes_add(r->notes, 0, "GPUs %d and %d: %d NVLinks "
				  "one way, %d the other; the larger is taken",
				  j, i, b, a);
			t->pair_links[i][j] = a > b ? a : b;
			t->pair_links[j][i] = t->pair_links[i][j];
		}
	}
}

static void put_nics(struct reader *r, struct node_topo *out)
{
	int i;

	out->n_nics = r->n_nets;
	memcpy(out->nic, r->net, sizeof(out->nic));
	for (i = 0; i < r->n_pci_nics; i++) {
		if (r->n_nets)
			notes_add(r->notes, r->nic_line[i], "NIC without a "
				  "net element");
		else
			out->nic[out->n_nics++].line = r->nic_line[i];
	}
}

/* The device id of all GPUs, or "". */
static const char *device_of(const struct reader *r, const int *number)
{
	const char *device = NULL;
	int i;

	for (i = 0; i < r->n_gpus; i++) {
		if (number[i] < 0)
			continue;
		if (device && strcmp(device, r->gpu[i].device))
			return "";
		device = r->gpu[i].device;
	}
	return device ? device : "";
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void finish(struct reader *r, struct node_topo *out)
{
	int number[TOPO_GPUS_MAX] = { 0 }, i;

	number_gpus(r, number, &out->n_gpus);
	out->pcie_said = true;
	for (i = 0; i < r->n_gpus; i++) {
		if (number[i] >= 0)
			put_gpu(&r->gpu[i], number[i], out);
	}
	for (i = 0; i < r->n_links; i++) {
		put_link(r, &r->link[i], number, out);
	}
	make_symmetric(r, out);
	put_nics(r, out);
	snprintf(out->device, sizeof(out->device), "%s",
		 device_of(r, number));
	snprintf(out->source, sizeof(out->source),
		 "NCCL topology file '%.100s'", base_name(r->name));
}

static void parse(struct reader *r, const char *text, size_t len)
{
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, start, end);
	XML_SetStartDoctypeDeclHandler(r->parser, doctype);
	if (XML_Parse(r->parser, text, (int)len, 1) == XML_STATUS_OK || r->st)
		return;
	refuse(r, XML_ErrorString(XML_GetErrorCode(r->parser)));
}

enum status nccl_xml_read(const char *name, const char *text, size_t len,
			  struct node_topo *out, struct notes *notes,
			  int *rows_p)
{
	struct reader *r;
	enum status st;

	if (len > NCCL_XML_BYTES_MAX)
		return err_set(ST_INPUT, "%s: larger than %d bytes", name,
			       NCCL_XML_BYTES_MAX);
	r = xcalloc(1, sizeof(*r));
	r->name = name;
	r->notes = notes;
	r->level[0] = (struct level){ .gpu = -1, .pci_switch = -1 };
	r->parser = XML_ParserCreate(NULL);
	if (r->parser)
		parse(r, text, len);
	else
		r->st = err_set(ST_FAIL, "out of memory");
	XML_ParserFree(r->parser);
	st = r->st;
	if (!st) {
		*out = (struct node_topo){ 0 };
		finish(r, out);
		*rows_p = out->n_gpus + r->n_links + out->n_nics;
	}
	free(r);
	return st;
}
