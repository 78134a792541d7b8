/* SPDX-License-Identifier: MIT */
/*
 * calls.c - what do the calls beside quire_vmalloc() and quire_vfree() cost?
 *
 * Method  One loop a case, on one thread or on four, in an instance of its own: an area with an alignment
 *         allocated and freed; an area resized up and down with guards; pages mapped and unmapped together
 *         by quire_vm_map_ram().  The pages of a mapping are scattered: no two are neighbours.
 * Read    CPU time of a thread, in ns or us a pair (two calls); the median over all threads and rounds.
 * Refused A case in which a call was refused.
 * Not     Writing the memory: page faults would hide the calls.
 */
#include <pthread.h>
#include <stdlib.h>
#include <quire/page.h>
#include <quire/vmap.h>
#include "harness/bench.h"
#include "harness/span.h"
#include "vmap/areas.h"

#define THREADS_MAX   4u
#define SCATTERED_MAX 64u
#define FRAMES_NR     (2 * SCATTERED_MAX)

struct caller {
	struct quire *q;
	const struct call_case *c;
	void *frames[FRAMES_NR]; /* single pages, in the order of allocation */
	uint64_t turns;
	uint64_t cpu_ns;
	bool refused;
	pthread_t thread;
};

struct call_case {
	const char *what;
	/* One turn: a call and its opposite.  False: refused. */
	bool (*turn)(struct caller *caller);
	size_t bytes;
	size_t align_bytes;
	unsigned pages;
	unsigned threads;
	unsigned turns;
	double scale; /* from ns to the unit */
	const char *unit;
	struct target target;
};

static bool turn_aligned(struct caller *caller)
{
	struct quire_vmalloc_options options = QUIRE_VMALLOC_OPTIONS_INIT();
	void *area;

	options.align_bytes = caller->c->align_bytes;
	area = quire_vmalloc_with(caller->q, caller->c->bytes, &options);
	quire_vfree(caller->q, area);
	return area != NULL;
}

static bool turn_plain(struct caller *caller)
{
	void *area = quire_vmalloc(caller->q, caller->c->bytes, 0);

	quire_vfree(caller->q, area);
	return area != NULL;
}

/* Frees another area of the size last, so that it is the newest. */
static bool turn_aligned_below(struct caller *caller)
{
	struct quire_vmalloc_options options = QUIRE_VMALLOC_OPTIONS_INIT();
	void *area, *other;

	options.align_bytes = caller->c->align_bytes;
	area = quire_vmalloc_with(caller->q, caller->c->bytes, &options);
	other = quire_vmalloc(caller->q, caller->c->bytes, 0);
	quire_vfree(caller->q, area);
	quire_vfree(caller->q, other);
	return area != NULL && other != NULL;
}

/* Keeps eight areas and replaces the oldest. */
static bool turn_aligned_fifo(struct caller *caller)
{
	struct quire_vmalloc_options options = QUIRE_VMALLOC_OPTIONS_INIT();
	void **oldest = &caller->frames[caller->turns % 8];

	options.align_bytes = caller->c->align_bytes;
	quire_vfree(caller->q, *oldest);
	*oldest = quire_vmalloc_with(caller->q, caller->c->bytes, &options);
	return *oldest != NULL;
}

static bool turn_resize(struct caller *caller)
{
	void *area = caller->frames[0];

	if (area == NULL)
		area = quire_vmalloc(caller->q, caller->c->bytes, 0);
	area = quire_vrealloc(caller->q, area, 2 * caller->c->bytes, 0);
	if (area != NULL)
		area = quire_vrealloc(caller->q, area, caller->c->bytes, 0);
	caller->frames[0] = area;
	return area != NULL;
}

static bool turn_map(struct caller *caller)
{
	void *pages[SCATTERED_MAX];
	void *mapped;

	if (caller->frames[0] == NULL)
		for (unsigned i = 0; i < FRAMES_NR; i++)
			caller->frames[i] = quire_alloc_pages(caller->q, 0, QUIRE_MOVABLE);
	for (unsigned i = 0; i < caller->c->pages; i++)
		pages[i] = caller->frames[2 * i];
	mapped = quire_vm_map_ram(caller->q, pages, caller->c->pages, 0);
	quire_vm_unmap_ram(caller->q, mapped, caller->c->pages);
	return mapped != NULL;
}

static void *caller_run(void *arg)
{
	struct caller *caller = arg;
	struct span span;

	for (unsigned i = 0; i < caller->c->turns / 8 && !caller->refused; i++, caller->turns++)
		caller->refused = !caller->c->turn(caller);
	span_begin(&span, -1);
	for (unsigned i = 0; i < caller->c->turns && !caller->refused; i++, caller->turns++)
		caller->refused = !caller->c->turn(caller);
	span_end(&span, -1);
	caller->cpu_ns = span.cpu_ns;
	return NULL;
}

/* Adds each thread's cost of a turn to @ns.  Returns how many; 0: refused. */
static unsigned case_round(const struct call_case *c, double *ns)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.guard = c->turn == turn_resize ? QUIRE_GUARD_ON
								   : QUIRE_GUARD_OFF,
				   .backing = c->turn == turn_map ? QUIRE_BACKING_MEMFD
								  : QUIRE_BACKING_ANON);
	struct caller callers[THREADS_MAX] = { 0 };
	unsigned started = 0, done = 0;
	struct quire *q;

	if (quire_create(&options, &q) != 0)
		return 0;
	for (; started < c->threads; started++) {
		callers[started] = (struct caller){ .q = q, .c = c };
		if (pthread_create(&callers[started].thread, NULL, caller_run, &callers[started]) !=
		    0)
			break;
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(callers[i].thread, NULL);
		if (!callers[i].refused)
			ns[done++] = (double)callers[i].cpu_ns / c->turns;
	}
	quire_destroy(q);
	return done == c->threads ? done : 0;
}

static void case_report(const struct options *options, const struct call_case *c, double *ns,
			unsigned nr)
{
	struct spread spread = spread_of(ns, nr);
	char note[48];

	if (nr == 0) {
		report_refused(options, c->what, "a call was refused");
		return;
	}
	snprintf(note, sizeof(note), "quartiles %.3g and %.3g", spread.quarter * c->scale,
		 spread.three_quarters * c->scale);
	report_figure(options,
		      &(struct figure){ .what = c->what,
					.value = spread.median * c->scale,
					.unit = c->unit,
					.note = note },
		      &c->target);
}

#define KIB(n)	   ((size_t)(n) << 10)
#define NS(max)	   .scale = 1, .unit = "ns", .target = { AT_MOST, max, "at most " #max " ns" }
#define US(max)	   .scale = 1e-3, .unit = "us", .target = { AT_MOST, max, "at most " #max " us" }
#define MANY_TURNS .turns = 400000
#define SOME_TURNS .turns = 20000
#define FEW_TURNS  .turns = 1000

static const struct call_case cases[] = {
	{ "quire_vmalloc() of 32 KiB, freed at once", turn_plain, KIB(32), 0, .threads = 1,
	  MANY_TURNS, .scale = 1, .unit = "ns", .target = { LIMIT_NONE, 0, "-" } },
	{ "32 KiB aligned to 32 KiB, freed at once", turn_aligned, KIB(32), KIB(32), .threads = 1,
	  MANY_TURNS, NS(25) },
	{ "32 KiB aligned to 32 KiB, the oldest of 8 replaced", turn_aligned_fifo, KIB(32), KIB(32),
	  .threads = 1, MANY_TURNS, NS(25) },
	{ "32 KiB aligned to 32 KiB, and 32 KiB not aligned, freed in this order",
	  turn_aligned_below, KIB(32), KIB(32), .threads = 1, MANY_TURNS, NS(50) },
	{ "3 MiB aligned to 2 MiB, freed at once", turn_aligned, KIB(3072), KIB(2048), .threads = 1,
	  MANY_TURNS, NS(25) },
	{ "quire_vrealloc() from 64 to 128 KiB and back, guard:on", turn_resize, KIB(64), 0,
	  .threads = 1, SOME_TURNS, US(2) },
	{ "quire_vrealloc() from 1 to 2 MiB and back, guard:on", turn_resize, KIB(1024), 0,
	  .threads = 1, SOME_TURNS, US(2) },
	{ "quire_vm_map_ram() of 1 page, 1 thread", turn_map, .pages = 1, .threads = 1, SOME_TURNS,
	  US(2.5) },
	{ "quire_vm_map_ram() of 1 page, 4 threads", turn_map, .pages = 1, .threads = 4, SOME_TURNS,
	  US(2.5) },
	{ "quire_vm_map_ram() of 64 scattered pages, 1 thread", turn_map, .pages = 64, .threads = 1,
	  FEW_TURNS, US(60) },
	{ "quire_vm_map_ram() of 64 scattered pages, 4 threads", turn_map, .pages = 64,
	  .threads = 4, FEW_TURNS, US(60) },
};

void bench_calls(const struct options *options)
{
	static double ns[THREADS_MAX * REPS_MAX];

	report_figures_begin("a call and its opposite, CPU time");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned nr = 0;

		for (unsigned rep = 0; rep < options->reps; rep++)
			nr += case_round(&cases[i], ns + nr);
		case_report(options, &cases[i], ns, nr);
	}
}
