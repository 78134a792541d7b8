/* SPDX-License-Identifier: MIT */
/*
 * policies.c - what does each purge policy cost when addresses run out?
 *
 * Method  An instance with SPAN_BYTES of addresses and cache:off, so that each freed area is lazy and
 *         the addresses run out again and again.  Two threads keep allocating a fifth of them each, in
 *         areas of two pages, writing a byte of each area, and freeing all.  All areas have one size and
 *         at most two fifths of the addresses are in use, so each refusal is spurious.
 * Read    A row for each policy: splice is the default, counter and lock are those of 2016 and before.
 * Refused A run in which nothing was purged.
 * Not     Reuse, which cache:off prevents; see the question "large".
 */
#include <pthread.h>
#include <stdlib.h>
#include <quire/vmap.h>
#include "harness/bench.h"
#include "harness/gaps.h"
#include "vmap/areas.h"
#include "harness/pin.h"
#include "harness/proc.h"

#define SPAN_BYTES  ((uint64_t)16 << 20)
#define AREA_BYTES  (2 * AREA_PAGE)
#define SHARE	    5u /* each thread holds one in this many */
#define FULL_TAKEN  500000u
#define QUICK_TAKEN 50000u
#define HELD_MAX    65536u

struct taker {
	struct quire *q;
	unsigned cpu;
	unsigned hold;
	unsigned taken_nr; /* allocations to make in total */
	uint64_t refused_nr;
	uint64_t longest_ns;
	struct gaps gaps; /* of calls that allocate */
	uint64_t wall_ns;
	char *held[HELD_MAX];
};

static struct taker takers[2];
static pthread_barrier_t gate;

static void area_take(struct taker *taker, unsigned slot)
{
	uint64_t begin = proc_clock_ns(CLOCK_MONOTONIC), ns;

	taker->held[slot] = quire_vmalloc(taker->q, AREA_BYTES, 0);
	ns = proc_clock_ns(CLOCK_MONOTONIC) - begin;
	gaps_add(&taker->gaps, ns);
	taker->longest_ns = ns > taker->longest_ns ? ns : taker->longest_ns;
	if (taker->held[slot])
		area_touch(taker->held[slot], AREA_BYTES, 0);
	else
		taker->refused_nr++;
}

static void *taker_main(void *arg)
{
	struct taker *taker = arg;
	uint64_t begin;

	pin_self((int)taker->cpu);
	pthread_barrier_wait(&gate);
	begin = proc_clock_ns(CLOCK_MONOTONIC);
	for (unsigned taken = 0; taken < taker->taken_nr; taken += taker->hold) {
		for (unsigned i = 0; i < taker->hold; i++)
			area_take(taker, i);
		for (unsigned i = 0; i < taker->hold; i++)
			quire_vfree(taker->q, taker->held[i]);
	}
	taker->wall_ns = proc_clock_ns(CLOCK_MONOTONIC) - begin;
	return NULL;
}

/* NULL, or why not. */
static const char *takers_run(struct quire *q, unsigned taken_nr)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;
	pthread_t threads[2];
	uint64_t hold;

	/* The span is known once there is an area. */
	quire_vfree(q, quire_vmalloc(q, AREA_BYTES, 0));
	quire_vmap_stat_read(q, &stat);
	hold = stat.span_bytes / AREA_BYTES / SHARE;
	if (hold < 1 || hold > HELD_MAX || hold > taken_nr / 4)
		return "the span is not what was asked for";
	pthread_barrier_init(&gate, NULL, 2);
	for (unsigned i = 0; i < 2; i++) {
		struct taker *taker = &takers[i];

		*taker = (struct taker){ .q = q,
					 .cpu = (unsigned)pin_cpu(i),
					 .hold = (unsigned)hold,
					 .taken_nr = taken_nr };
		if (pthread_create(&threads[i], NULL, taker_main, taker) != 0)
			exit(1); /* the other thread would wait forever */
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&gate);
	return NULL;
}

static void policy_print(const struct options *options, const char *name,
			 const struct quire_vmap_stat *stat)
{
	uint64_t taken = takers[0].gaps.nr + takers[1].gaps.nr;
	uint64_t refused = takers[0].refused_nr + takers[1].refused_nr;
	uint64_t longest = takers[0].longest_ns > takers[1].longest_ns ? takers[0].longest_ns
								       : takers[1].longest_ns;
	uint64_t top = gaps_top(&takers[0].gaps, 10000);
	double ns = (double)(takers[0].wall_ns + takers[1].wall_ns) / (double)taken;
	char number[3][32];

	printf("| %s | %llu | %llu | %llu | %llu | %llu | %s | %s | %s |\n", name,
	       (unsigned long long)taken, (unsigned long long)refused,
	       (unsigned long long)stat->refusals_spurious,
	       (unsigned long long)stat->areas_per_hold_max, (unsigned long long)stat->purges,
	       report_number(ns, number[0], sizeof(number[0])),
	       report_number((double)top / 1000, number[1], sizeof(number[1])),
	       report_number((double)longest / 1000, number[2], sizeof(number[2])));
	report_csv(options, "policy,%s,,,%llu,%llu,%llu,%llu,%.1f,%llu\n", name,
		   (unsigned long long)taken, (unsigned long long)refused,
		   (unsigned long long)stat->refusals_spurious,
		   (unsigned long long)stat->areas_per_hold_max, ns, (unsigned long long)longest);
}

/* Refusals under @purge; UINT64_MAX if it could not be measured, and then why. */
static uint64_t policy_run(const struct options *options, enum quire_purge purge, const char *name,
			   const char **reason)
{
	const struct quire_options create =
		QUIRE_OPTIONS_INIT(.vmap_span_bytes = SPAN_BYTES, .cache = QUIRE_OFF,
				   .guard = QUIRE_GUARD_OFF, .purge = purge);
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;
	struct quire *q;

	if (quire_create(&create, &q) != 0) {
		*reason = "quire_create() was refused";
		return UINT64_MAX;
	}
	*reason = takers_run(q, options->quick ? QUICK_TAKEN : FULL_TAKEN);
	if (!*reason) {
		quire_vmap_stat_read(q, &stat);
		if (stat.purges == 0)
			*reason = "nothing was purged";
		else
			policy_print(options, name, &stat);
	}
	quire_destroy(q);
	return *reason ? UINT64_MAX : takers[0].refused_nr + takers[1].refused_nr;
}

void bench_policies(const struct options *options)
{
	static const char *const names[] = { "splice", "counter", "lock" };
	static const char what[] = "spurious refusals with purge:splice";
	const char *reasons[3];
	uint64_t refused[3];

	if (pin_cpu(1) < 0) {
		report_figures_begin("purge policies");
		report_refused(options, what, "two CPUs are needed");
		return;
	}
	printf("\n| 16 MiB of addresses, two threads | allocations | refused, all spuriously | "
	       "known as "
	       "spurious | areas per hold, most | purges | ns an area and thread | us, p99.99 | "
	       "us, "
	       "longest |\n|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned i = 0; i < 3; i++) {
		refused[i] = policy_run(options, (enum quire_purge)(QUIRE_PURGE_SPLICE + i),
					names[i], &reasons[i]);
		if (reasons[i])
			printf("| %s | - | - | - | - | - | - | - | refused: %s |\n", names[i],
			       reasons[i]);
	}
	report_figures_begin("purge policies");
	if (reasons[0])
		report_refused(options, what, reasons[0]);
	else
		report_figure(
			options,
			&(struct figure){ .what = what, .value = (double)refused[0], .unit = "" },
			&target_policy_spurious);
}
