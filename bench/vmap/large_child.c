/* SPDX-License-Identifier: MIT */
/* large_child.c - the life of a process that measures large blocks; see large.h */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmap/large.h"
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"

/* A size ratio of 16 is two to the fourth: sizes are bytes / 2^(4u), u uniform. */
#define DOUBLINGS	   4.0
/* Untouched: caches have settled, or the runner's patience has ended. */
#define WARM_PAIRS	   4096u
/* Written: each of the live blocks was replaced about four times. */
#define WARM_PAIRS_WRITTEN (4u * LARGE_LIVE)

const char *const large_pattern_names[LARGE_PATTERNS_NR] = {
	[LARGE_PAIR] = "pair",
	[LARGE_FIXED] = "fixed",
	[LARGE_RANDOM] = "random",
};

size_t large_sizes[LARGE_SIZES];

/* 2^-(DOUBLINGS * i / LARGE_SIZES), shuffled; whole pages, at least one. */
static void large_sizes_make(size_t bytes)
{
	uint64_t random = 1;

	for (unsigned i = 0; i < LARGE_SIZES; i++) {
		double size = (double)bytes * exp2(-DOUBLINGS * (i + 0.5) / LARGE_SIZES);
		size_t pages = (size_t)size / LARGE_PAGE;

		large_sizes[i] = (pages ? pages : 1) * LARGE_PAGE;
	}
	for (unsigned i = LARGE_SIZES - 1; i > 0; i--) {
		unsigned other = random_below(&random, i + 1);
		size_t swapped = large_sizes[i];

		large_sizes[i] = large_sizes[other];
		large_sizes[other] = swapped;
	}
}

static uint64_t process_others_ns(int sibling_clock)
{
	uint64_t all = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t own = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	own += sibling_clock == -1 ? 0 : proc_clock_ns((clockid_t)sibling_clock);
	return all > own ? all - own : 0;
}

void span_begin(struct span *span, int sibling_clock)
{
	span->delay_ns = proc_delay_ns();
	span->steal_ms = proc_steal_ms();
	span->others_ns = process_others_ns(sibling_clock);
	span->cpu_ns = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	span->wall_ns = proc_clock_ns(CLOCK_MONOTONIC);
}

void span_end(struct span *span, int sibling_clock)
{
	uint64_t others, delay;

	span->wall_ns = proc_clock_ns(CLOCK_MONOTONIC) - span->wall_ns;
	span->cpu_ns = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID) - span->cpu_ns;
	others = process_others_ns(sibling_clock);
	span->others_ns = others > span->others_ns ? others - span->others_ns : 0;
	delay = proc_delay_ns();
	if (span->delay_ns == UINT64_MAX || delay == UINT64_MAX)
		span->delay_ns = span->wall_ns > span->cpu_ns ? span->wall_ns - span->cpu_ns : 0;
	else
		span->delay_ns = delay - span->delay_ns;
	span->steal_ms = proc_steal_ms() - span->steal_ms;
}

double span_stolen(const struct span *span)
{
	double wall = (double)span->wall_ns, stolen = 0;

	if (span->delay_ns > span->others_ns)
		stolen = (double)(span->delay_ns - span->others_ns) / wall;
	if (stolen < (double)span->steal_ms * 1e6 / wall)
		stolen = (double)span->steal_ms * 1e6 / wall;
	return stolen;
}

struct sibling {
	void *(*function)(void *);
	void *arg;
	bool pinned;
	pthread_barrier_t gate;
};

static void *sibling_main(void *arg)
{
	struct sibling *sibling = arg;
	void *(*function)(void *) = sibling->function;
	void *function_arg = sibling->arg;

	sibling->pinned = pin_self(pin_cpu(1));
	pthread_barrier_wait(&sibling->gate); /* the last use of @sibling */
	return function(function_arg);
}

int sibling_start(void *(*function)(void *), void *arg)
{
	struct sibling sibling = { .function = function, .arg = arg };
	pthread_t thread;
	clockid_t clock;

	if (pin_cpu(1) < 0)
		return -1;
	pthread_barrier_init(&sibling.gate, NULL, 2);
	if (pthread_create(&thread, NULL, sibling_main, &sibling) != 0)
		return -1;
	pthread_barrier_wait(&sibling.gate);
	pthread_barrier_destroy(&sibling.gate); /* waits for who is still leaving */
	return sibling.pinned && pthread_getcpuclockid(thread, &clock) == 0 ? (int)clock : -1;
}

void *sibling_spin(void *arg)
{
	for (volatile uint64_t rounds = 0;; rounds++)
		;
	return arg;
}

/* Mean and worst of @nr replacements of written blocks; false if one was refused. */
static bool ops_run(const struct large_subject *subject, char **blocks, size_t *sizes, unsigned nr,
		    double *mean_ns, uint64_t *worst_ns)
{
	static uint64_t random = 7;
	uint64_t begin = proc_clock_ns(CLOCK_MONOTONIC), last = begin;

	*worst_ns = 0;
	for (unsigned i = 0; i < nr; i++) {
		unsigned slot = random_below(&random, LARGE_LIVE);
		uint64_t now;

		subject->free(blocks[slot], sizes[slot]);
		sizes[slot] = large_sizes[random_below(&random, LARGE_SIZES)];
		blocks[slot] = subject->alloc(sizes[slot]);
		if (!blocks[slot])
			return false;
		large_touch(blocks[slot], sizes[slot], 1);
		now = proc_clock_ns(CLOCK_MONOTONIC);
		*worst_ns = now - last > *worst_ns ? now - last : *worst_ns;
		last = now;
	}
	*mean_ns = nr ? (double)(last - begin) / nr : -1;
	return true;
}

/* Replacements counted from the fill on: what a program sees before caches have settled. */
static int large_ops(const struct large_subject *subject, unsigned first_nr, unsigned steady_nr)
{
	char *blocks[LARGE_LIVE];
	size_t sizes[LARGE_LIVE];
	double first, steady;
	uint64_t worst, unused;
	struct span span;
	bool served = true;

	for (unsigned i = 0; i < LARGE_LIVE && served; i++) {
		sizes[i] = large_sizes[i];
		blocks[i] = subject->alloc(sizes[i]);
		served = blocks[i] != NULL;
		if (served)
			large_touch(blocks[i], sizes[i], 1);
	}
	span_begin(&span, -1);
	served = served && ops_run(subject, blocks, sizes, first_nr, &first, &unused) &&
		 ops_run(subject, blocks, sizes, steady_nr, &steady, &worst);
	span_end(&span, -1);
	if (!served)
		return puts("refused an allocation was refused"), 0;
	printf("ok %.5f %.1f %.1f %.1f\n", span_stolen(&span), first, steady,
	       steady_nr ? (double)worst : -1);
	return 0;
}

static int large_pattern(const struct large_subject *subject, char **argv)
{
	static struct run run; /* workers read it until the process ends */

	run.bytes = strtoull(argv[1], NULL, 10);
	run.threads_nr = (unsigned)atoi(argv[2]);
	run.touch = (unsigned)atoi(argv[3]);
	run.measure_ms = (unsigned)atoi(argv[4]);
	run.warm_pairs = run.touch ? WARM_PAIRS_WRITTEN : WARM_PAIRS;
	if (run.threads_nr < 1 || run.threads_nr > WORKERS_MAX)
		return puts("refused a number of threads"), 0;
	for (unsigned i = 0; i < LARGE_PATTERNS_NR; i++)
		if (strcmp(argv[0], large_pattern_names[i]) == 0)
			return runner_measure(subject->patterns[i], &run);
	return puts("refused a pattern"), 0;
}

int large_main(const struct large_subject *subject, int argc, char **argv)
{
	const char *refused = argc < 3 ? "no command" : subject->setup(argv[0]);
	const char *what = argc < 3 ? "" : argv[1];
	size_t bytes =
		argc < 4 ? 0 : strtoull(argv[strcmp(what, "pattern") == 0 ? 3 : 2], NULL, 10);

	if (refused)
		return printf("refused %s\n", refused), 0;
	large_sizes_make(bytes);
	if (argc == 7 && strcmp(what, "pattern") == 0)
		return large_pattern(subject, argv + 2);
	pin_cpu(0); /* read the set of CPUs before a thread narrows its own */
	if (argc == 5 && strcmp(what, "half") == 0)
		return large_half(subject, bytes, argv + 3);
	if (argc == 6 && strcmp(what, "release") == 0)
		return large_release(subject, strcmp(argv[3], "ask") == 0, argv + 4);
	if (!pin_self(pin_cpu(0)))
		return puts("refused a thread cannot be pinned"), 0;
	if (argc == 5 && strcmp(what, "ops") == 0)
		return large_ops(subject, (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
	if (argc == 4 && strcmp(what, "tail") == 0)
		return large_tail(subject, (unsigned)atoi(argv[2]),
				  strcmp(argv[3], "purging") == 0);
	if (argc == 4 && strcmp(what, "tlb") == 0)
		return large_tlb(subject, bytes, (unsigned)atoi(argv[3]));
	return puts("refused not a command"), 0;
}
