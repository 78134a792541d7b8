/* SPDX-License-Identifier: MIT */
/*
 * ops.c - what does adding one to this CPU's copy cost, compared with other ways to count?
 *
 * Method  Loops of nothing but the operation on pinned threads.  The contenders take turns, one
 *         sample each per round; a figure is the median of its rounds.
 * Read    ns per operation and thread.  A sample is its fastest step of 65,536 operations, since on a
 *         busy machine other processes take time from most steps.  Only for the shared word it is the
 *         mean of all steps, since there the other thread's effect is measured.  The hand-written
 *         sequence is the shortest possible: arm, number, scale, add; it checks no bound and does not
 *         clear rseq_cs.
 * Not     Cache misses: every copy is in its CPU's cache.  Only the shared word moves between caches.
 */
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <quire/percpu.h>
#include <quire/percpu_counter.h>
#include <quire/percpu_ops.h>
#include "harness/bench.h"
#include "harness/pin.h"

#define OPS_A_STEP   65536u
#define THREADS_MOST 2u
#define OVER_HAND    0.12 /* of ns: what the bound and the clearing may cost */

static uint64_t *copies;     /* a per-CPU variable */
static uint64_t *raw_copies; /* another one, worked on by atomic operations */
static uint64_t shared_word;
static _Thread_local uint64_t own_word;
static struct quire_percpu_counter counter;

#define LOOP(statement)                                                                            \
	for (unsigned i = 0; i < OPS_A_STEP; i++) {                                                \
		statement;                                                                         \
	}

static __attribute__((noinline)) void run_quire(void)
{
	uint64_t *ptr = copies;

	LOOP(quire_this_cpu_add(ptr, 1))
}

static __attribute__((noinline)) void run_return(void)
{
	uint64_t *ptr = copies;

	LOOP((void)quire_this_cpu_add_return(ptr, 1))
}

static __attribute__((noinline)) void run_cmpxchg(void)
{
	uint64_t *ptr = copies;

	LOOP((void)quire_this_cpu_cmpxchg(ptr, 0, 1))
}

static __attribute__((noinline)) void run_tls(void)
{
	LOOP(own_word++; __asm__ volatile("" ::: "memory"))
}

/* The copy is found once: what is measured is the locked instruction. */
static __attribute__((noinline)) void run_lock(void)
{
	uint64_t *own = quire_per_cpu_ptr(raw_copies, quire_cpu());

	LOOP(__atomic_fetch_add(own, 1, __ATOMIC_RELAXED))
}

static __attribute__((noinline)) void run_shared(void)
{
	LOOP(__atomic_fetch_add(&shared_word, 1, __ATOMIC_RELAXED))
}

static __attribute__((noinline)) void run_counter(void)
{
	LOOP(quire_percpu_counter_add(&counter, 1))
}

#if defined(__x86_64__) && QUIRE_THIS_CPU_SEQUENCES
#define HAS_HAND 1

static __attribute__((noinline)) void run_hand(void)
{
	uint64_t *ptr = copies;
	uintptr_t offset = quire_seq_rseq(&quire_this_cpu_words), at;

	LOOP(__asm__ volatile(".pushsection __rseq_cs, \"aw\"\n\t.balign 32\n\t"
			      "3: .long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n\t"
			      ".subsection 1\n\t.byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n\t"
			      "4: jmp 5f\n\t.previous\n\t"
			      "5: leaq 3b(%%rip), %[at]\n\tmovq %[at], %%fs:8(%[offset])\n\t"
			      "1: movl %%fs:4(%[offset]), %k[at]\n\tshlq $20, %[at]\n\t"
			      "addq $1, (%[ptr],%[at])\n\t"
			      "2:"
			      : [at] "=&r"(at)
			      : [offset] "r"(offset), [ptr] "r"(ptr)
			      : "memory", "cc"))
}
#else
#define HAS_HAND 0

static void run_hand(void)
{
}
#endif

static const struct way {
	const char *what;
	void (*run)(void);
	bool is_mean;
} ways[] = {
	{ "quire_this_cpu_add", run_quire, false },
	{ "hand-written rseq", run_hand, false },
	{ "thread-local", run_tls, false },
	{ "lock add on the own copy", run_lock, false },
	{ "shared atomic", run_shared, true },
	{ "quire_this_cpu_add_return", run_return, false },
	{ "quire_this_cpu_cmpxchg", run_cmpxchg, false },
	{ "quire_percpu_counter_add", run_counter, false },
};
#define WAYS_NR (sizeof(ways) / sizeof(ways[0]))
#define OURS	0u
#define HAND	1u

struct sample {
	pthread_barrier_t *start;
	const struct way *way;
	int cpu;
	double wanted_ns, ns; /* ns: of one operation; negative: not measured */
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static void *sample_thread(void *arg)
{
	struct sample *sample = arg;
	bool pinned = pin_self(sample->cpu);
	double begin, before, now, fastest = 1e18;
	unsigned steps = 0;

	sample->way->run(); /* warm */
	pthread_barrier_wait(sample->start);
	begin = now = now_ns();
	while (now - begin < sample->wanted_ns) {
		before = now;
		sample->way->run();
		now = now_ns();
		fastest = now - before < fastest ? now - before : fastest;
		steps++;
	}
	if (sample->way->is_mean)
		fastest = (now - begin) / steps;
	sample->ns = pinned ? fastest / OPS_A_STEP : -1;
	return NULL;
}

/* Mean of the threads, or negative. */
static double sample_take(const struct options *options, const struct way *way, unsigned threads_nr)
{
	struct sample samples[THREADS_MOST];
	pthread_t threads[THREADS_MOST];
	pthread_barrier_t start;
	double sum = 0;

	pthread_barrier_init(&start, NULL, threads_nr);
	for (unsigned i = 0; i < threads_nr; i++) {
		samples[i] = (struct sample){ .start = &start,
					      .way = way,
					      .cpu = pin_cpu(i),
					      .wanted_ns = 1e6 * options->measure_ms };
		if (pthread_create(&threads[i], NULL, sample_thread, &samples[i]) != 0)
			return -1;
	}
	for (unsigned i = 0; i < threads_nr; i++) {
		pthread_join(threads[i], NULL);
		sum = sum < 0 || samples[i].ns < 0 ? -1 : sum + samples[i].ns / threads_nr;
	}
	pthread_barrier_destroy(&start);
	return sum;
}

static void ways_measure(const struct options *options, unsigned threads_nr)
{
	static double ns[WAYS_NR][REPS_MAX];
	double medians[WAYS_NR];
	char wanted[64], what[64];
	struct target ours = { .kind = AT_MOST, .wanted = wanted };

	for (unsigned rep = 0; rep < options->reps; rep++) {
		for (unsigned turn = 0; turn < WAYS_NR; turn++) {
			unsigned way = (turn + rep) % (unsigned)WAYS_NR;

			ns[way][rep] = sample_take(options, &ways[way], threads_nr);
		}
	}
	for (unsigned way = 0; way < WAYS_NR; way++)
		medians[way] = spread_of(ns[way], options->reps).median;
	ours.limit = medians[HAND] + OVER_HAND;
	snprintf(wanted, sizeof(wanted), "at most hand-written + %.2f", OVER_HAND);
	for (unsigned way = 0; way < WAYS_NR; way++) {
		snprintf(what, sizeof(what), "%s, %u thread%s", ways[way].what, threads_nr,
			 threads_nr == 1 ? "" : "s");
		if (medians[way] < 0 || ((way == HAND || way == OURS) && !HAS_HAND))
			report_refused(options, what, "no sequences, or no CPU of its own");
		else
			report_figure(options,
				      &(struct figure){
					      .what = what, .value = medians[way], .unit = "ns" },
				      way == OURS ? &ours : &target_none);
	}
}

void bench_percpu_ops(const struct options *options)
{
	struct quire *q = quire_default();

	report_figures_begin("adding one on this CPU");
	copies = quire_alloc_percpu(q, sizeof(*copies), 64, 0);
	raw_copies = quire_alloc_percpu(q, sizeof(*raw_copies), 64, 0);
	if (!copies || !raw_copies || quire_percpu_counter_init(q, &counter, 0, 0) != 0) {
		report_refused(options, "per-CPU variables", "no memory");
		return;
	}
	for (unsigned threads_nr = 1; threads_nr <= THREADS_MOST; threads_nr++)
		ways_measure(options, threads_nr);
	quire_percpu_counter_destroy(&counter);
	quire_free_percpu(q, raw_copies);
	quire_free_percpu(q, copies);
}
