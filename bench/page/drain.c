/* SPDX-License-Identifier: MIT */
/*
 * drain.c - what does it cost to drain another CPU's lists, and how is that CPU delayed?
 *
 * Method  Two pinned threads: the drainer on the first CPU, the owner on the second.
 *         Idle: everything is drained, the drainer allocates n pages, the owner frees them and goes to
 *         sleep, the drainer drains the owner.  Busy: the owner keeps allocating and freeing HOLD_PAGES
 *         pages; the drainer drains it, and in the same rounds also times the fence alone.  Gap: the
 *         owner's time between two operations, alternately for a second with continuous drains and a
 *         second without.
 * Read    Medians of the time of one call.  "Pages of any length" is the highest cost per page of all
 *         lengths tried: with 63 pages the fixed cost dominates.
 * Refused An idle drain that did not move what was freed (63 pages); a run in which the owner's list was
 *         never found; a busy sample that began while the owner was not running.
 * Not     Draining CPUs whose threads have ended; the cost of refilling on the drained CPU.
 *
 * The library decides which slot holds the owner's pages (a CPU, or the kernel's number for a
 * running thread), so the drainer looks for the slot that yields pages.
 */
#include <pthread.h>
#include <linux/membarrier.h>
#include <quire/page.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "harness/bench.h"
#include "harness/gaps.h"
#include "harness/pin.h"
#include "harness/proc.h"

#define PAGES_MAX      8192u
#define FEW_PAGES      63u
#define HOLD_PAGES     32u
#define IDLE_SAMPLES   101u
#define BUSY_SAMPLES   101u
#define BUSY_PER_TURN  20u
#define GAP_ROUNDS     5u
#define SETTLE_MS      1u
#define PAUSE_NS       20000u /* between two calls: the owner refills what was drained */
#define WAIT_TURNS_MAX 1000u  /* of PAUSE_NS: several time slices */
#define NO_SLOT	       UINT32_MAX

enum owner_task {
	OWNER_SLEEP,
	OWNER_FREE, /* the pages in pages[], then sleep */
	OWNER_BUSY, /* until another task is set */
	OWNER_END,
};

static struct quire *q;
static void *pages[PAGES_MAX];
static unsigned pages_nr;
static int owner_task;	    /* enum owner_task */
static bool owner_measures; /* gaps are recorded */
static struct gaps *owner_gaps;
static uint64_t owner_rounds; /* the owner writes; it moves while the owner is running */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void owner_set(int task)
{
	pthread_mutex_lock(&mutex);
	__atomic_store_n(&owner_task, task, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static void owner_free_pages(void)
{
	for (unsigned i = 0; i < pages_nr; i++)
		quire_free_pages(q, pages[i], 0);
	__atomic_store_n(&owner_task, OWNER_SLEEP, __ATOMIC_RELEASE);
}

/* Notes the time since the last operation, when asked to. */
static void owner_tick(uint64_t *last)
{
	uint64_t now = proc_clock_ns(CLOCK_MONOTONIC);

	if (__atomic_load_n(&owner_measures, __ATOMIC_ACQUIRE))
		gaps_add(owner_gaps, now - *last);
	*last = now;
}

static void owner_busy(void)
{
	uint64_t last = proc_clock_ns(CLOCK_MONOTONIC);
	void *held[HOLD_PAGES];

	while (__atomic_load_n(&owner_task, __ATOMIC_RELAXED) == OWNER_BUSY) {
		for (unsigned i = 0; i < HOLD_PAGES; i++) {
			held[i] = quire_alloc_pages(q, 0, 0);
			owner_tick(&last);
		}
		for (unsigned i = 0; i < HOLD_PAGES; i++) {
			quire_free_pages(q, held[i], 0);
			owner_tick(&last);
		}
		__atomic_store_n(&owner_rounds, owner_rounds + 1, __ATOMIC_RELAXED);
	}
}

static void *owner_main(void *arg)
{
	pin_self(pin_cpu(1));
	for (;;) {
		int task;

		pthread_mutex_lock(&mutex);
		while ((task = __atomic_load_n(&owner_task, __ATOMIC_ACQUIRE)) == OWNER_SLEEP)
			pthread_cond_wait(&changed, &mutex);
		pthread_mutex_unlock(&mutex);
		if (task == OWNER_END)
			return arg;
		if (task == OWNER_FREE)
			owner_free_pages();
		else
			owner_busy();
	}
}

static void spin_ns(uint64_t ns)
{
	uint64_t begin = proc_clock_ns(CLOCK_MONOTONIC);

	while (proc_clock_ns(CLOCK_MONOTONIC) - begin < ns)
		;
}

/* Time of one drain of @slot; @moved receives the pages. */
static double drain_ns(unsigned slot, size_t *moved)
{
	uint64_t begin = proc_clock_ns(CLOCK_MONOTONIC);

	*moved = quire_drain_slot(q, slot);
	return (double)(proc_clock_ns(CLOCK_MONOTONIC) - begin);
}

/*
 * One idle drain of @nr pages.  The drainer spins while the owner frees, so that the two have
 * different slots.  Returns ns, and 0 if no slot gave pages.
 */
static double idle_sample(unsigned nr, size_t *moved)
{
	quire_drain_all(q);
	for (pages_nr = 0; pages_nr < nr; pages_nr++)
		pages[pages_nr] = quire_alloc_pages(q, 0, 0);
	quire_drain_all(q); /* also the pages that refills have left in the drainer's lists */
	owner_set(OWNER_FREE);
	while (__atomic_load_n(&owner_task, __ATOMIC_ACQUIRE) != OWNER_SLEEP)
		;
	spin_ns((uint64_t)SETTLE_MS * 1000000 / 5); /* the owner falls asleep */
	for (unsigned slot = 0; slot < quire_slots(q); slot++) {
		double ns = drain_ns(slot, moved);

		if (*moved > 0)
			return ns;
	}
	return 0;
}

static void idle_few(const struct options *options)
{
	static const char what[] = "drain of an idle CPU that holds 63 pages";
	double us[IDLE_SAMPLES];
	unsigned nr = 0, rejected = 0;
	char note[64];

	for (unsigned i = 0; i < IDLE_SAMPLES; i++) {
		size_t moved = 0;
		double ns = idle_sample(FEW_PAGES, &moved);

		if (moved == FEW_PAGES)
			us[nr++] = ns / 1000;
		else
			rejected++;
	}
	if (nr < IDLE_SAMPLES / 2) {
		report_refused(options, what, "most drains moved other than 63 pages");
		return;
	}
	snprintf(note, sizeof(note), "%u samples, %u rejected", nr, rejected);
	report_figure(options,
		      &(struct figure){ .what = what,
					.value = spread_of(us, nr).median,
					.unit = "us",
					.note = note },
		      &target_drain_idle_us);
}

/* ns a page of the drain of an idle CPU to which @freed pages were freed; @moved: how many it held.
 */
static double idle_page_ns(unsigned freed, size_t *moved)
{
	double ns[IDLE_SAMPLES];
	unsigned nr = 0;

	*moved = 0;
	for (unsigned i = 0; i < IDLE_SAMPLES; i++) {
		size_t now = 0;
		double sample = idle_sample(freed, &now);

		if (now == 0)
			continue;
		ns[nr++] = sample / (double)now;
		*moved = now > *moved ? now : *moved;
	}
	return spread_of(ns, nr).median;
}

static void idle_lengths(const struct options *options)
{
	static const char what[] = "the same, a page of lists of any length";
	static const unsigned lengths[] = { FEW_PAGES, 256, 512, 1024, 2048, PAGES_MAX };
	double dearest = 0;
	size_t moved, longest = 0;
	char note[64];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		double ns = idle_page_ns(lengths[i], &moved);

		dearest = ns > dearest ? ns : dearest;
		longest = moved > longest ? moved : longest;
		report_csv(options, "sample,drain-idle,quire,%u,%.4f,,,,%zu,a page\n", lengths[i],
			   ns, moved);
	}
	snprintf(note, sizeof(note), "longest list: %zu pages", longest);
	if (longest == 0)
		report_refused(options, what, "no drain moved a page");
	else
		report_figure(options,
			      &(struct figure){
				      .what = what, .value = dearest, .unit = "ns", .note = note },
			      &target_drain_page_ns);
}

/* The slot that gives pages while the owner is busy, or NO_SLOT. */
static unsigned busy_slot(void)
{
	size_t most = 0;
	unsigned found = NO_SLOT;

	for (unsigned slot = 0; slot < quire_slots(q); slot++) {
		size_t sum = 0;

		for (unsigned i = 0; i < 100; i++) {
			sum += quire_drain_slot(q, slot);
			spin_ns(10000);
		}
		if (sum > most) {
			most = sum;
			found = slot;
		}
	}
	return found;
}

static double fence_ns(void)
{
	uint64_t begin = proc_clock_ns(CLOCK_MONOTONIC);

	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU,
		pin_cpu(1));
	return (double)(proc_clock_ns(CLOCK_MONOTONIC) - begin);
}

/* Waits until the owner is seen running; false if another process has its CPU for too long. */
static bool owner_runs(void)
{
	uint64_t before = __atomic_load_n(&owner_rounds, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < WAIT_TURNS_MAX; i++) {
		spin_ns(PAUSE_NS);
		if (__atomic_load_n(&owner_rounds, __ATOMIC_RELAXED) != before)
			return true;
	}
	return false;
}

/*
 * The median time of a drain of @slot in us, or of a fence alone if @slot is NO_SLOT.  A sample
 * counts if the owner ran right before it.  0 if no sample counts.
 */
static double busy_turn_us(unsigned slot)
{
	double us[BUSY_PER_TURN];
	unsigned nr = 0;

	for (unsigned i = 0; i < BUSY_PER_TURN; i++) {
		size_t moved;

		if (owner_runs())
			us[nr++] = (slot == NO_SLOT ? fence_ns() : drain_ns(slot, &moved)) / 1000;
	}
	return spread_of(us, nr).median;
}

/* Alternates turns of drains and turns of fences, and compares their medians. */
static void busy_drain(const struct options *options, unsigned slot)
{
	double drain[BUSY_SAMPLES], fence[BUSY_SAMPLES];
	double drain_us, fence_us;
	unsigned nr = 0;
	char note[96];

	for (unsigned i = 0; i < BUSY_SAMPLES; i++) {
		drain[nr] = busy_turn_us(slot);
		fence[nr] = busy_turn_us(NO_SLOT);
		nr += drain[nr] > 0 && fence[nr] > 0;
	}
	if (nr < BUSY_SAMPLES / 2) {
		report_refused(options, "drain of a busy CPU", "its owner did not run");
		return;
	}
	drain_us = spread_of(drain, nr).median;
	fence_us = spread_of(fence, nr).median;
	snprintf(note, sizeof(note), "drain %.1f us, fence alone %.1f us", drain_us, fence_us);
	report_figure(options,
		      &(struct figure){ .what = "drain of a busy CPU, above the fence alone",
					.value = drain_us - fence_us,
					.unit = "us",
					.note = note },
		      &target_drain_over_fence_us);
}

/* Records the owner's gaps for @ms, with or without drains.  Returns the longest, leaving out the
 * longest 0.1 %. */
static double gap_us(struct gaps *gaps, unsigned ms, bool drains, unsigned slot,
		     unsigned *drains_nr)
{
	uint64_t end = proc_clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000;

	*gaps = (struct gaps){ .nr = 0 };
	owner_gaps = gaps;
	__atomic_store_n(&owner_measures, true, __ATOMIC_RELEASE);
	while (proc_clock_ns(CLOCK_MONOTONIC) < end) {
		if (!drains)
			continue;
		quire_drain_slot(q, slot);
		*drains_nr += 1;
	}
	__atomic_store_n(&owner_measures, false, __ATOMIC_RELEASE);
	spin_ns(100000); /* the last one is noted */
	return gaps->nr ? (double)gaps_top(gaps, 1000) / 1000 : 0;
}

static void busy_gap(const struct options *options, unsigned slot)
{
	static struct gaps gaps;
	double with[GAP_ROUNDS], without[GAP_ROUNDS], more[GAP_ROUNDS];
	unsigned ms = options->quick ? 100 : 1000;
	unsigned drains_nr = 0;
	char note[128];

	for (unsigned i = 0; i < GAP_ROUNDS; i++) {
		without[i] = gap_us(&gaps, ms, false, slot, &drains_nr);
		with[i] = gap_us(&gaps, ms, true, slot, &drains_nr);
		more[i] = with[i] - without[i];
	}
	snprintf(note, sizeof(note), "%.2f us with %u drains a second, %.2f us without",
		 spread_of(with, GAP_ROUNDS).median, drains_nr * 1000 / (ms * GAP_ROUNDS),
		 spread_of(without, GAP_ROUNDS).median);
	report_figure(
		options,
		&(struct figure){ .what = "the busy CPU's p99.9 gap, with drains minus without",
				  .value = spread_of(more, GAP_ROUNDS).median,
				  .unit = "us",
				  .note = note },
		&target_drain_gap_us);
}

static void busy(const struct options *options)
{
	static const char what[] = "drain of a busy CPU";
	unsigned slot;

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) != 0) {
		report_refused(options, what, "no fence to compare with");
		return;
	}
	owner_set(OWNER_BUSY);
	spin_ns((uint64_t)SETTLE_MS * 1000000);
	slot = busy_slot();
	if (slot == NO_SLOT) {
		report_refused(options, what, "its lists were never found to hold a page");
	} else {
		busy_drain(options, slot);
		busy_gap(options, slot);
	}
	owner_set(OWNER_SLEEP);
}

void bench_drain(const struct options *options)
{
	pthread_t owner;

	report_figures_begin("remote drain");
	if (pin_cpu(1) < 0 || !pin_self(pin_cpu(0)) || quire_create(NULL, &q) != 0) {
		report_refused(options, "remote drain", "two CPUs and an instance are needed");
		return;
	}
	pthread_create(&owner, NULL, owner_main, NULL);
	idle_few(options);
	idle_lengths(options);
	busy(options);
	owner_set(OWNER_END);
	pthread_join(owner, NULL);
	quire_destroy(q);
}
