/* SPDX-License-Identifier: MIT */
/*
 * batch.c - does a pair of per-CPU objects cost the same in batches, on two CPUs, and for whole pages?
 *
 * Method  Pinned threads allocate a batch of objects one by one and then free them in the same order,
 *         again and again, in one new instance for each row.  For whole pages a row writes a word of
 *         each CPU's copy between the two calls.  A sample is the median of its steps of at least
 *         STEP_PAIRS pairs, in CPU time of the thread, which leaves out what others took.
 * Read    ns a pair and thread.  Batches of 20,000 are larger than a stack gets.  librseq's mempool is
 *         cited, not run: 64 bytes in batches 20 / 198 ns, 4 KiB at once 16 ns, 25 with zeroing.
 * Not     A fresh object's first write, which allocates its page: percpu_memory.
 */
#include <pthread.h>
#include <stdlib.h>
#include <quire/percpu.h>
#include "harness/bench.h"
#include "harness/pin.h"
#include "harness/proc.h"

#define STEP_PAIRS   2048u
#define STEPS_MAX    8192u
#define THREADS_MOST 2u
#define WARM_STEPS   8u

struct row {
	size_t bytes;
	unsigned batch, threads_nr;
	bool written; /* a word of each copy */
	double at_most;
};

static const struct row rows[] = {
	{ .bytes = 8, .batch = 1, .threads_nr = 1, .at_most = 8 },
	{ .bytes = 8, .batch = 1, .threads_nr = 2, .at_most = 8 },
	{ .bytes = 64, .batch = 1, .threads_nr = 1, .at_most = 8 },
	{ .bytes = 64, .batch = 1, .threads_nr = 2, .at_most = 8 },
	{ .bytes = 64, .batch = 256, .threads_nr = 1, .at_most = 12 },
	{ .bytes = 64, .batch = 256, .threads_nr = 2, .at_most = 15 },
	{ .bytes = 64, .batch = 1024, .threads_nr = 1, .at_most = 15 },
	{ .bytes = 64, .batch = 1024, .threads_nr = 2, .at_most = 20 },
	{ .bytes = 64, .batch = 20000, .threads_nr = 1 },
	{ .bytes = 64, .batch = 20000, .threads_nr = 2 },
	{ .bytes = 4096, .batch = 1, .threads_nr = 1, .at_most = 60 },
	{ .bytes = 4096, .batch = 1, .threads_nr = 1, .written = true, .at_most = 400 },
};
#define ROWS_NR (sizeof(rows) / sizeof(rows[0]))

struct batcher {
	const struct row *row;
	struct quire *q;
	pthread_barrier_t *start;
	uint64_t wanted_ns;
	int cpu;
	bool refused;
	double ns; /* of one pair; negative: not measured */
	void **objects;
	double step_ns[STEPS_MAX];
};

static void write_copies(struct batcher *batcher, void *object)
{
	for (unsigned cpu = 0; cpu < quire_percpu_units(batcher->q); cpu++)
		*(uint64_t *)quire_per_cpu_ptr(object, cpu) = cpu + 1;
}

static void batch_once(struct batcher *batcher)
{
	const struct row *row = batcher->row;

	for (unsigned i = 0; i < row->batch; i++) {
		batcher->objects[i] = quire_alloc_percpu(batcher->q, row->bytes, 8, 0);
		batcher->refused |= !batcher->objects[i];
		if (row->written && batcher->objects[i])
			write_copies(batcher, batcher->objects[i]);
	}
	for (unsigned i = 0; i < row->batch; i++)
		quire_free_percpu(batcher->q, batcher->objects[i]);
}

/* Returns ns a pair. */
static double step(struct batcher *batcher)
{
	unsigned batch = batcher->row->batch, batches_nr = (STEP_PAIRS + batch - 1) / batch;
	uint64_t begin = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned i = 0; i < batches_nr; i++)
		batch_once(batcher);
	return (double)(proc_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (batches_nr * batch);
}

static void *batcher_main(void *arg)
{
	struct batcher *batcher = arg;
	bool pinned = pin_self(batcher->cpu);
	unsigned steps = 0;
	uint64_t begin;

	for (unsigned i = 0; i < WARM_STEPS; i++) /* the stacks grow */
		step(batcher);
	pthread_barrier_wait(batcher->start);
	begin = proc_clock_ns(CLOCK_MONOTONIC);
	while (proc_clock_ns(CLOCK_MONOTONIC) - begin < batcher->wanted_ns && steps < STEPS_MAX)
		batcher->step_ns[steps++] = step(batcher);
	batcher->ns = pinned && !batcher->refused && steps > 0
			      ? spread_of(batcher->step_ns, steps).median
			      : -1;
	return NULL;
}

/* Mean of the threads, or negative. */
static double sample_take(const struct options *options, const struct row *row)
{
	static struct batcher batchers[THREADS_MOST];
	pthread_t threads[THREADS_MOST];
	pthread_barrier_t start;
	struct quire *q;
	double sum = 0;

	if (quire_create(NULL, &q) != 0)
		return -1;
	pthread_barrier_init(&start, NULL, row->threads_nr);
	for (unsigned i = 0; i < row->threads_nr; i++) {
		batchers[i].row = row;
		batchers[i].q = q;
		batchers[i].start = &start;
		batchers[i].wanted_ns = (uint64_t)options->measure_ms * 1000000;
		batchers[i].cpu = pin_cpu(i);
		batchers[i].refused = false;
		batchers[i].objects = calloc(row->batch, sizeof(void *));
		if (!batchers[i].objects ||
		    pthread_create(&threads[i], NULL, batcher_main, &batchers[i]) != 0)
			exit(1); /* the other waits */
	}
	for (unsigned i = 0; i < row->threads_nr; i++) {
		pthread_join(threads[i], NULL);
		free(batchers[i].objects);
		sum = sum < 0 || batchers[i].ns < 0 ? -1 : sum + batchers[i].ns / row->threads_nr;
	}
	pthread_barrier_destroy(&start);
	quire_destroy(q);
	return sum;
}

static void row_report(const struct options *options, const struct row *row, double ns)
{
	char what[96], wanted[32];
	struct target target = target_none;

	snprintf(what, sizeof(what), "%zu bytes in batches of %u, %u thread%s%s", row->bytes,
		 row->batch, row->threads_nr, row->threads_nr == 1 ? "" : "s",
		 row->written ? ", written on each CPU" : "");
	snprintf(wanted, sizeof(wanted), "at most %.0f ns", row->at_most);
	if (row->at_most > 0)
		target =
			(struct target){ .kind = AT_MOST, .limit = row->at_most, .wanted = wanted };
	if (ns < 0)
		report_refused(options, what, "no memory, or no CPU of its own");
	else
		report_figure(options, &(struct figure){ .what = what, .value = ns, .unit = "ns" },
			      &target);
}

void bench_percpu_batch(const struct options *options)
{
	static double ns[ROWS_NR][REPS_MAX];

	for (unsigned rep = 0; rep < options->reps; rep++)
		for (unsigned i = 0; i < ROWS_NR; i++)
			ns[i][rep] = sample_take(options, &rows[i]);
	report_figures_begin("per-CPU objects allocated in batches and freed");
	for (unsigned i = 0; i < ROWS_NR; i++)
		row_report(options, &rows[i], spread_of(ns[i], options->reps).median);
}
