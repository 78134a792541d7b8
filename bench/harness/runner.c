/* SPDX-License-Identifier: MIT */
/*
 * runner.c - the life of a runner process that measures one pattern
 *
 * There are two phases, warm-up and measurement, of the same pattern on the same state.  Workers
 * and the main thread meet at a gate between them.  In each phase the main thread sleeps and then
 * stops the workers, so all of them run for the whole measured time.  A run of first_pairs is warm
 * as soon as the first blocks are live, and ends when each worker has done so many.
 *
 * The time that other processes or the hypervisor took from the workers is counted: how long they
 * were ready but waited for a CPU (if the kernel does not count this, wall time less CPU time).
 * The CPU time of the subject's background threads is subtracted, and sleeping in the subject's
 * locks does not count, since both are costs of the subject.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"
#include "harness/runner.h"

/* Churn is warm when each block was replaced about ten times: free lists are then shuffled. */
#define WARM_TURNS    10u
/* ... but no subject gets longer than this on top of half the measured time. */
#define WARM_EXTRA_MS 300u

static struct worker workers[WORKERS_MAX];
static struct ring ring;
static struct {
	int stop;
	int warm_nr; /* workers that left the warm-up */
	bool failed; /* a worker was refused something: none measures, since one may wait for it */
} control CACHE_LINES_2;
static pthread_barrier_t gate;
static pattern_function pattern_of_run;

static unsigned churn_live(unsigned order)
{
	uint64_t fit = CHURN_BYTES / ((uint64_t)4096 << order);

	return fit < CHURN_BLOCKS ? (unsigned)fit : CHURN_BLOCKS;
}

static void worker_measure(struct worker *w)
{
	uint64_t switches = proc_switches();
	uint64_t delay = proc_delay_ns();
	uint64_t cpu = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t wall = proc_clock_ns(CLOCK_MONOTONIC);

	w->pairs_nr = 0;
	w->pairs_min = w->run->first_pairs;
	pattern_of_run(w);
	w->wall_ns = proc_clock_ns(CLOCK_MONOTONIC) - wall;
	w->cpu_ns = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	w->delay_ns = delay == UINT64_MAX ? w->wall_ns - w->cpu_ns : proc_delay_ns() - delay;
	w->switches_nr = proc_switches() - switches;
	if (sched_getcpu() != (int)w->cpu)
		w->refused = "a thread left its CPU";
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	if (!pin_self((int)w->cpu))
		w->refused = "a thread cannot be pinned";
	pthread_barrier_wait(&gate);
	if (!w->refused)
		pattern_of_run(w);
	__atomic_fetch_add(&control.warm_nr, 1, __ATOMIC_RELEASE);
	pthread_barrier_wait(&gate); /* warm */
	pthread_barrier_wait(&gate); /* the main thread has reset the stop flag */
	if (!__atomic_load_n(&control.failed, __ATOMIC_RELAXED))
		worker_measure(w);
	pthread_barrier_wait(&gate);
	return NULL;
}

static const char *workers_start(const struct run *run)
{
	pthread_barrier_init(&gate, NULL, run->threads_nr + 1);
	for (unsigned i = 0; i < run->threads_nr; i++) {
		struct worker *w = &workers[i];
		pthread_t thread;
		int cpu = pin_cpu(i);

		if (cpu < 0)
			return "fewer CPUs than threads";
		w->run = run;
		w->stop = &control.stop;
		w->ring = &ring;
		w->index = i;
		w->cpu = (unsigned)cpu;
		w->random = i + 1;
		w->live_nr = churn_live(run->order);
		w->pairs_min = run->first_pairs ? 0 : run->warm_pairs;
		if (run->pattern == PATTERN_CHURN)
			w->pairs_min = WARM_TURNS * w->live_nr;
		memset(w->blocks, 0, sizeof(w->blocks));
		if (pthread_create(&thread, NULL, worker_main, w) != 0)
			return "a thread cannot be made";
	}
	return NULL;
}

/* Lets the workers run until they are warm, and leaves them waiting for the measurement. */
static void workers_warm(const struct run *run)
{
	if (run->first_pairs != 0)
		__atomic_store_n(&control.stop, STOP_WHEN_WARM, __ATOMIC_RELAXED);
	pthread_barrier_wait(&gate);
	if (run->first_pairs == 0)
		proc_sleep_ms(run->measure_ms / 2);
	__atomic_store_n(&control.stop, STOP_WHEN_WARM, __ATOMIC_RELAXED);
	for (unsigned ms = 0; ms < WARM_EXTRA_MS; ms++) {
		if (__atomic_load_n(&control.warm_nr, __ATOMIC_ACQUIRE) == (int)run->threads_nr)
			break;
		proc_sleep_ms(1);
	}
	__atomic_store_n(&control.stop, STOP_NOW, __ATOMIC_RELAXED);
	pthread_barrier_wait(&gate);
	__atomic_store_n(&control.stop, run->first_pairs ? STOP_WHEN_WARM : STOP_NO,
			 __ATOMIC_RELAXED);
	ring.ended = false;
	for (unsigned i = 0; i < run->threads_nr; i++)
		if (workers[i].refused)
			__atomic_store_n(&control.failed, true, __ATOMIC_RELAXED);
}

static double worker_pair_ns(const struct worker *w)
{
	return (double)w->wall_ns / (double)w->pairs_nr;
}

static int result_print(const struct run *run, uint64_t process_cpu_ns, uint64_t steal_ms)
{
	double ns = 0, cpu = 0, wall = 0, delay = 0, stolen;
	uint64_t pairs_nr = 0, switches_nr = 0, background_ns;

	for (unsigned i = 0; i < run->threads_nr; i++) {
		const struct worker *w = &workers[i];

		if (w->refused || w->wall_ns == 0 || w->pairs_nr == 0)
			return printf("refused %s\n", w->refused ? w->refused : "no pair was done"),
			       0;
		ns += worker_pair_ns(w) / run->threads_nr;
		cpu += (double)w->cpu_ns;
		wall += (double)w->wall_ns;
		delay += (double)w->delay_ns;
		pairs_nr += w->pairs_nr;
		switches_nr += w->switches_nr;
	}
	if (run->pattern == PATTERN_REMOTE)
		ns = worker_pair_ns(&workers[1]);
	background_ns = process_cpu_ns > (uint64_t)cpu ? process_cpu_ns - (uint64_t)cpu : 0;
	stolen = delay > (double)background_ns ? (delay - (double)background_ns) / wall : 0;
	if (stolen < (double)steal_ms * 1e6 / wall)
		stolen = (double)steal_ms * 1e6 / wall;
	printf("ok %.5f %.4f %.4f %llu %llu %u\n", stolen, ns, cpu / (double)pairs_nr,
	       (unsigned long long)switches_nr, (unsigned long long)pairs_nr, run->threads_nr);
	return 0;
}

int runner_measure(pattern_function pattern, const struct run *run)
{
	uint64_t process_cpu, steal;
	const char *refused;

	pattern_of_run = pattern;
	refused = workers_start(run);
	if (refused)
		return printf("refused %s\n", refused), 0;
	workers_warm(run);
	process_cpu = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	steal = proc_steal_ms();
	pthread_barrier_wait(&gate);
	if (run->first_pairs == 0) {
		proc_sleep_ms(run->measure_ms);
		__atomic_store_n(&control.stop, STOP_NOW, __ATOMIC_RELAXED);
	}
	pthread_barrier_wait(&gate);
	return result_print(run, proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - process_cpu,
			    proc_steal_ms() - steal);
}
