/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - what does one allocation and free of a per-CPU object cost?
 *
 * Method  Pinned threads, each with pairs of its own, in instances that hold 1,000 and 1,000,000
 *         live objects of the same size, each written on every CPU.  The contenders take turns, one
 *         sample each per round.  A sample is the median of its steps of 4,096 pairs.  It leaves out
 *         the few steps from which other processes took time, and with them rare slow paths.
 *           pair     an object is allocated and freed at once: the row that is judged
 *           replace  a random live object is freed and one allocated: the cost of a pair if the object,
 *                    its map and its copies on all CPUs are elsewhere each time
 * Read    ns per pair and thread.  glibc's malloc() makes a single copy and knows nothing of CPUs; it
 *         is a yardstick for the run, not a rival.  librseq's mempool is cited, not run: its objects
 *         have one fixed size, and all threads share one mutex.
 * Not     A fresh object's first write, which allocates its page: percpu_memory.
 */
#include <pthread.h>
#include <stdlib.h>
#include <quire/percpu.h>
#include "harness/bench.h"
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"

#define PAIRS_A_STEP 4096u
#define STEPS_MAX    8192u
#define THREADS_MOST 2u
#define FLAT_MAX     1.5

enum way {
	WAY_PAIR_FEW,
	WAY_PAIR_MANY,
	WAY_REPLACE_FEW,
	WAY_REPLACE_MANY,
	WAY_LIBC,
	WAYS_NR,
};

static const char *const way_words[WAYS_NR] = {
	[WAY_PAIR_FEW] = "pair, 1,000 live",
	[WAY_PAIR_MANY] = "pair, 1,000,000 live",
	[WAY_REPLACE_FEW] = "one of 1,000 replaced",
	[WAY_REPLACE_MANY] = "one of 1,000,000 replaced",
	[WAY_LIBC] = "glibc malloc() and free()",
};

/* An instance with its live objects. */
struct stage {
	struct quire *q;
	size_t live_nr;
	void **live;
};

static const size_t object_bytes[] = { 8, 64 };
static struct stage few, many; /* of the size that is measured now */
static size_t bytes;

struct pairer {
	pthread_barrier_t *start;
	const struct stage *stage;
	void (*step)(struct pairer *pairer);
	void **live; /* the thread's own share */
	uint32_t live_nr;
	uint64_t random;
	int cpu;
	uint64_t wanted_ns;
	bool refused;
	double ns; /* of one pair; negative: not measured */
	uint32_t step_ns[STEPS_MAX];
};

static struct pairer pairers[THREADS_MOST];

static __attribute__((noinline)) void step_pair(struct pairer *pairer)
{
	struct quire *q = pairer->stage->q;

	for (unsigned i = 0; i < PAIRS_A_STEP; i++) {
		void *object = quire_alloc_percpu(q, bytes, 8, 0);

		pairer->refused |= !object;
		quire_free_percpu(q, object);
	}
}

static __attribute__((noinline)) void step_replace(struct pairer *pairer)
{
	struct quire *q = pairer->stage->q;

	for (unsigned i = 0; i < PAIRS_A_STEP; i++) {
		void **slot = &pairer->live[random_below(&pairer->random, pairer->live_nr)];

		quire_free_percpu(q, *slot);
		*slot = quire_alloc_percpu(q, bytes, 8, 0);
		pairer->refused |= !*slot;
	}
}

static __attribute__((noinline)) void step_libc(struct pairer *pairer)
{
	(void)pairer;
	for (unsigned i = 0; i < PAIRS_A_STEP; i++) {
		void *block = malloc(bytes);

		__asm__ volatile("" : "+r"(block)::"memory"); /* the pair may not be left out */
		free(block);
	}
}

static int compare_steps(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void *pairer_main(void *arg)
{
	struct pairer *pairer = arg;
	bool pinned = pin_self(pairer->cpu);
	uint64_t begin, before, now;
	unsigned steps = 0;

	for (unsigned i = 0; i < 4; i++) /* warm, and long enough to be known as coming and going */
		pairer->step(pairer);
	pthread_barrier_wait(pairer->start);
	begin = now = proc_clock_ns(CLOCK_MONOTONIC);
	while (now - begin < pairer->wanted_ns && steps < STEPS_MAX) {
		before = now;
		pairer->step(pairer);
		now = proc_clock_ns(CLOCK_MONOTONIC);
		pairer->step_ns[steps++] = (uint32_t)(now - before);
	}
	qsort(pairer->step_ns, steps, sizeof(pairer->step_ns[0]), compare_steps);
	pairer->ns = pinned && !pairer->refused && steps > 0
			     ? (double)pairer->step_ns[steps / 2] / PAIRS_A_STEP
			     : -1;
	return NULL;
}

/* Mean of the threads, or negative. */
static double sample_take(const struct options *options, enum way way, unsigned threads_nr)
{
	const struct stage *stage = way == WAY_PAIR_FEW || way == WAY_REPLACE_FEW ? &few : &many;
	pthread_t threads[THREADS_MOST];
	pthread_barrier_t start;
	double sum = 0;

	pthread_barrier_init(&start, NULL, threads_nr);
	for (unsigned i = 0; i < threads_nr; i++) {
		struct pairer *pairer = &pairers[i];

		pairer->start = &start;
		pairer->stage = stage;
		pairer->step = way == WAY_LIBC	      ? step_libc
			       : way <= WAY_PAIR_MANY ? step_pair
						      : step_replace;
		pairer->live_nr = (uint32_t)(stage->live_nr / threads_nr);
		pairer->live = stage->live + i * pairer->live_nr;
		pairer->random += i + 1;
		pairer->cpu = pin_cpu(i);
		pairer->wanted_ns = (uint64_t)options->measure_ms * 1000000;
		pairer->refused = false;
		if (pthread_create(&threads[i], NULL, pairer_main, pairer) != 0)
			exit(1); /* the other waits */
	}
	for (unsigned i = 0; i < threads_nr; i++) {
		pthread_join(threads[i], NULL);
		sum = sum < 0 || pairers[i].ns < 0 ? -1 : sum + pairers[i].ns / threads_nr;
	}
	pthread_barrier_destroy(&start);
	return sum;
}

static void way_report(const struct options *options, enum way way, unsigned threads_nr,
		       const double *medians)
{
	const struct target *wanted =
		threads_nr == 1 ? &target_percpu_pair_ns : &target_percpu_pair_both_ns;
	struct target target = way <= WAY_PAIR_MANY ? *wanted : target_none;
	double flat = medians[WAY_PAIR_FEW] * FLAT_MAX;
	char what[96], words[96];

	snprintf(what, sizeof(what), "%zu bytes, %u thread%s: %s", bytes, threads_nr,
		 threads_nr == 1 ? "" : "s", way_words[way]);
	if (medians[way] < 0) {
		report_refused(options, what, "no memory, or no CPU of its own");
		return;
	}
	if (way == WAY_PAIR_MANY) {
		target.limit = flat < target.limit ? flat : target.limit;
		snprintf(words, sizeof(words), "%s, and %.1f of that with 1,000", wanted->wanted,
			 FLAT_MAX);
		target.wanted = words;
	}
	report_figure(options,
		      &(struct figure){ .what = what, .value = medians[way], .unit = "ns" },
		      &target);
}

static void ways_measure(const struct options *options, unsigned threads_nr)
{
	static double ns[WAYS_NR][REPS_MAX];
	double medians[WAYS_NR];

	for (unsigned rep = 0; rep < options->reps; rep++)
		for (unsigned turn = 0; turn < WAYS_NR; turn++) {
			enum way way = (enum way)((turn + rep) % WAYS_NR);

			ns[way][rep] = sample_take(options, way, threads_nr);
		}
	for (unsigned way = 0; way < WAYS_NR; way++)
		medians[way] = spread_of(ns[way], options->reps).median;
	for (unsigned way = 0; way < WAYS_NR; way++)
		way_report(options, (enum way)way, threads_nr, medians);
}

static bool stage_make(struct stage *stage, size_t live_nr)
{
	const struct quire_percpu_request request =
		QUIRE_PERCPU_REQUEST_INIT(.bytes = bytes, .align = 8);

	*stage = (struct stage){ .live_nr = live_nr, .live = calloc(live_nr, sizeof(void *)) };
	if (!stage->live || quire_create(NULL, &stage->q) != 0 ||
	    quire_alloc_percpu_bulk(stage->q, &request, stage->live, live_nr) != live_nr)
		return false;
	for (size_t i = 0; i < live_nr; i++)
		for (unsigned cpu = 0; cpu < quire_percpu_units(stage->q); cpu++)
			*(uint64_t *)quire_per_cpu_ptr(stage->live[i], cpu) = i;
	return true;
}

static void stage_destroy(struct stage *stage)
{
	if (stage->q)
		quire_destroy(stage->q);
	free(stage->live);
}

static void report_cited(const struct options *options)
{
	static const struct figure cited[] = {
		{ .what = "librseq mempool, 1 thread", .value = 26, .unit = "ns", .note = "cited" },
		{ .what = "librseq mempool, 2 threads",
		  .value = 110,
		  .unit = "ns",
		  .note = "cited: 110 to 250" },
	};

	for (unsigned i = 0; i < 2; i++)
		report_figure(options, &cited[i], &target_none);
}

void bench_percpu_alloc(const struct options *options)
{
	report_figures_begin("a per-CPU object allocated and freed");
	for (unsigned i = 0; i < sizeof(object_bytes) / sizeof(object_bytes[0]); i++) {
		bytes = object_bytes[i];
		if (!stage_make(&few, 1000) || !stage_make(&many, 1000000))
			report_refused(options, "per-CPU objects", "no memory");
		else
			for (unsigned threads_nr = 1; threads_nr <= THREADS_MOST; threads_nr++)
				ways_measure(options, threads_nr);
		stage_destroy(&few);
		stage_destroy(&many);
	}
	report_cited(options);
}
