/* SPDX-License-Identifier: MIT */
/*
 * atomic.c - is a burst of allocations that may not wait served after an idle time?
 *
 * Method  An instance is left alone for longer than its decay time, so the worker has returned all
 *         empty pages beyond the reserve.  Then BURST objects of 8 bytes are allocated with
 *         QUIRE_ATOMIC and freed, and so on.  In one half of the rounds some objects stay allocated, so
 *         there are also pages with holes; in the other half per-CPU memory was not used
 *         before.
 * Read    Refused allocations of all rounds; wanted are 0.  The next column has the fewest empty pages
 *         at the beginning of a burst.
 */
#include <quire/percpu.h>
#include "harness/bench.h"
#include "harness/pin.h"
#include "harness/proc.h"

#define BURST	     1000u
#define KEPT_EVERY   7u /* objects that stay */
#define DECAY_MS     100u
#define IDLE_MS	     (4 * DECAY_MS)
#define FULL_ROUNDS  20u
#define QUICK_ROUNDS 4u

static void *objects[BURST];

static unsigned burst(struct quire *q, uint64_t *empty_min)
{
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;
	unsigned refused_nr = 0;

	quire_percpu_stat_read(q, &stat);
	*empty_min = stat.empty_pages < *empty_min ? stat.empty_pages : *empty_min;
	for (unsigned i = 0; i < BURST; i++) {
		objects[i] = quire_alloc_percpu(q, 8, 8, QUIRE_ATOMIC);
		refused_nr += !objects[i];
	}
	return refused_nr;
}

/* In one instance: some objects stay, so that each round finds other holes. */
static unsigned rounds_with_kept(struct quire *q, unsigned rounds_nr, uint64_t *empty_min)
{
	unsigned refused_nr = 0;

	for (unsigned round = 0; round < rounds_nr; round++) {
		proc_sleep_ms(IDLE_MS);
		refused_nr += burst(q, empty_min);
		for (unsigned i = 0; i < BURST; i++)
			if (i % KEPT_EVERY != 0)
				quire_free_percpu(q, objects[i]);
	}
	return refused_nr;
}

static void report(const struct options *options, const char *what, unsigned refused_nr,
		   uint64_t empty_min)
{
	char beside[64];

	snprintf(beside, sizeof(beside), "at least %llu empty pages",
		 (unsigned long long)empty_min);
	report_figure(
		options,
		&(struct figure){ .what = what, .value = refused_nr, .unit = "", .note = beside },
		&target_percpu_atomic);
}

void bench_percpu_atomic(const struct options *options)
{
	const struct quire_options create = QUIRE_OPTIONS_INIT(.decay_ms = DECAY_MS);
	static const char what[] = "refused in bursts after idling, some objects staying";
	static const char first[] = "refused in the first burst of an instance, after idling";
	unsigned rounds_nr = options->quick ? QUICK_ROUNDS : FULL_ROUNDS, refused_nr = 0;
	uint64_t empty_min = UINT64_MAX;
	struct quire *q;

	report_figures_begin("1,000 allocations of 8 bytes with QUIRE_ATOMIC");
	for (unsigned round = 0; round < rounds_nr; round++) {
		if (quire_create(&create, &q) != 0) {
			report_refused(options, first, "quire_create() was refused");
			return;
		}
		quire_free_percpu(q, quire_alloc_percpu(q, 8, 8, 0));
		proc_sleep_ms(IDLE_MS);
		refused_nr += burst(q, &empty_min);
		quire_destroy(q);
	}
	report(options, first, refused_nr, empty_min);
	empty_min = UINT64_MAX;
	if (quire_create(&create, &q) != 0) {
		report_refused(options, what, "quire_create() was refused");
		return;
	}
	refused_nr = rounds_with_kept(q, rounds_nr, &empty_min);
	report(options, what, refused_nr, empty_min);
	quire_destroy(q);
}
