/* SPDX-License-Identifier: MIT */
/*
 * percpu/counter.c - counters that are exact without a lock
 *
 * Words
 *   total       all amounts ever added on a CPU; the first word of its slot, changed by sequences
 *   told        how much of the total is included in the estimate; the second word, atomic
 *   base        amounts added on no CPU: the first amount, set(), threads without a CPU number
 *   estimate    base plus all told, in one word
 *
 * A total changes only by the amounts added and is never moved elsewhere, so base plus all
 * totals, each read once, is the sum: no add can be missed or counted twice, whatever runs
 * concurrently.  (Linux moves a CPU's share into the global count, and so needs a lock, which the
 * sum takes too.)
 *
 * An add that finds its total a batch away from told moves the difference into the estimate: it
 * sets told to the total that it saw by compare-and-swap, and if it succeeds, adds the difference
 * to the estimate.  told may be changed from another CPU, so no sequence touches it.  The add
 * knows which slot it has added to, so the bound holds for each slot separately, however threads
 * migrate.
 *
 * An add that is delayed between its commit and its read of told (because its thread migrated)
 * may use an outdated total.  It checks again in that case.  But an add on the slot's CPU may
 * have read told before other CPUs could see its own commit, and then neither notices the
 * difference.  All three totals are within a batch of the next, so the difference is below three
 * batches, and the next add on that CPU corrects it.  A fence in every add would cost ten times
 * the add; the sum is exact in any case.
 *
 * Rules, while no call is in progress
 *   sum = base + all totals
 *   estimate = base + all told			(a fork may break it: sync() mends it)
 *   |total - told| < batch, of the largest batch used (3 x batch if threads migrated)
 *
 * Bounds
 *   The default batch is Linux's: max(32, 2 x CPUs).  32 makes one add in 32 or fewer touch the
 *   shared line; with many CPUs that line has more users, hence 2 x CPUs.
 */
#include <quire/percpu.h>
#include <quire/percpu_counter.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/atomic.h"
#include "machine/cpu.h"
#include "machine/process.h"

#define BATCH_MIN  32u
#define BATCH_MOST (UINT32_C(1) << 31)

struct slot {
	uint64_t total; /* sequences, or atomic */
	uint64_t told;	/* atomic */
};

/*
 * Keys: (c) constant after init; (a) atomic.
 */
struct counter {
	struct quire *q;    /* (c) */
	struct slot *slots; /* (c) CPU 0's; NULL: everything goes to base */
	uint64_t base;	    /* (a) */
	uint64_t estimate;  /* (a) */
	uint32_t batch;	    /* (c) the default */
	uint32_t batch_max; /* (a) the largest used: only grows */
	uint32_t cpus_nr;   /* (c) that have slots */
};

_Static_assert(sizeof(struct counter) <= sizeof(struct quire_percpu_counter),
	       "the public struct holds it");

/* @call: the public call, for the line about misuse. */
static inline struct counter *counter_of(const struct quire_percpu_counter *counter,
					 const char *call)
{
	struct counter *inner = (struct counter *)(uintptr_t)counter;

	if (UNLIKELY(inner->batch == 0))
		misuse("not initialised", call, counter);
	return inner;
}

static struct slot *slot_at(const struct counter *counter, size_t distance)
{
	return (struct slot *)(void *)((char *)counter->slots + distance);
}

/* Whether a signed distance is at least @batch: 5, 3: yes; -2, 3: no; -3, 3: yes. */
static bool is_far(uint64_t distance, uint32_t batch)
{
	return distance + (batch - 1) > 2 * ((uint64_t)batch - 1);
}

int quire_percpu_counter_init(struct quire *q, struct quire_percpu_counter *counter, int64_t amount,
			      unsigned flags)
{
	struct counter *inner = (struct counter *)counter;
	unsigned cpus_nr = process_cpus_possible();
	struct slot *slots = NULL;

	(void)cpu_has_sequences(); /* asked before the first sequence, which else refuses */
	if (quire_percpu_units(q) >= cpus_nr) {
		slots = quire_alloc_percpu(q, sizeof(struct slot), 0, flags);
		if (slots == NULL)
			return -process_errno();
	}
	*inner = (struct counter){
		.q = q,
		.slots = slots,
		.base = (uint64_t)amount,
		.estimate = (uint64_t)amount,
		.batch = 2 * cpus_nr > BATCH_MIN ? 2 * cpus_nr : BATCH_MIN,
		.cpus_nr = slots == NULL ? 0 : cpus_nr,
	};
	inner->batch_max = inner->batch;
	return 0;
}

void quire_percpu_counter_destroy(struct quire_percpu_counter *counter)
{
	struct counter *inner = (struct counter *)counter;

	if (inner->batch == 0)
		return;
	quire_free_percpu(inner->q, inner->slots);
	*inner = (struct counter){ .q = NULL };
}

/* False if the thread has no CPU number; then nothing was added. */
static bool add_here(struct counter *counter, uint64_t amount, uint64_t *total, size_t *distance)
{
	if (counter->slots == NULL)
		return false;
	if (LIKELY(cpu_add_return(&counter->slots->total, amount, total, distance)))
		return true;
	if (cpu_has_sequences())
		return false;
	*distance = cpu_unit(counter->cpus_nr) * QUIRE_PERCPU_STRIDE;
	/* Pairs with the loads of sum(). */
	*total = fetch_add_relaxed(&slot_at(counter, *distance)->total, amount) + amount;
	return true;
}

/*
 * Moves told to the total, and checks again: while the thread was delayed, the total may have
 * changed, or another thread may have told a newer total and then this one again.  Pairs with
 * itself in other threads.
 */
static void tell(struct counter *counter, struct slot *slot, uint64_t total, uint32_t batch)
{
	uint64_t told = load_relaxed(&slot->told); /* a hint: the swap below decides */

	while (UNLIKELY(is_far(total - told, batch))) {
		uint64_t before = told;

		if (cas_acq_rel(&slot->told, &told, total))
			fetch_add_relaxed(&counter->estimate, total - before);
		told = load_relaxed(&slot->told);
		total = load_relaxed(&slot->total);
	}
}

static void add(struct counter *counter, int64_t amount, uint32_t batch)
{
	uint64_t total;
	size_t distance;

	if (LIKELY(add_here(counter, (uint64_t)amount, &total, &distance))) {
		tell(counter, slot_at(counter, distance), total, batch);
		return;
	}
	/* Pairs with the loads of sum() and read(). */
	fetch_add_relaxed(&counter->base, (uint64_t)amount);
	fetch_add_relaxed(&counter->estimate, (uint64_t)amount);
}

void quire_percpu_counter_add(struct quire_percpu_counter *counter, int64_t amount)
{
	struct counter *inner = counter_of(counter, __func__);

	add(inner, amount, inner->batch);
}

/* Raises batch_max, which quire_percpu_counter_compare() must see before an add uses the larger batch: whoever finds the amount
 * that is added next in a sum also finds the batch.  A thread that finds a batch as large here has read it before its own
 * add, by a branch. */
static void note_batch(struct counter *counter, uint32_t batch)
{
	uint32_t most = load_relaxed(&counter->batch_max);

	if (batch <= most)
		return;
	while (batch > most && !cas_relaxed(&counter->batch_max, &most, batch))
		;
	fence_seq_cst(); /* before the add; pairs with totals() */
}

void quire_percpu_counter_add_batch(struct quire_percpu_counter *counter, int64_t amount,
				    uint32_t batch)
{
	struct counter *inner = counter_of(counter, __func__);

	if (UNLIKELY(batch < 1 || batch > BATCH_MOST))
		misuse_number("batch out of range", __func__, counter, "batch", batch);
	note_batch(inner, batch);
	add(inner, amount, batch);
}

int64_t quire_percpu_counter_read(const struct quire_percpu_counter *counter)
{
	return (int64_t)load_relaxed(&counter_of(counter, __func__)->estimate);
}

static uint64_t totals(const struct counter *counter)
{
	uint64_t count = 0;

	/* Pairs with the commits of sequences, and with note_batch(). */
	for (unsigned cpu = 0; cpu < counter->cpus_nr; cpu++)
		count += load_acquire(&slot_at(counter, cpu * QUIRE_PERCPU_STRIDE)->total);
	return count;
}

static uint64_t sum(const struct counter *counter)
{
	uint64_t base = load_relaxed(&counter->base);

	return base + totals(counter);
}

int64_t quire_percpu_counter_sum(const struct quire_percpu_counter *counter)
{
	return (int64_t)sum(counter_of(counter, __func__));
}

/* Whether the count may change so.  8 with limit 10: by 2, not by 3; 8 with limit 5: by -3, not by -4. */
static bool is_within(int64_t count, int64_t limit, int64_t amount)
{
	if (amount >= 0)
		return count <= limit && (uint64_t)limit - (uint64_t)count >= (uint64_t)amount;
	return count >= limit &&
	       (uint64_t)count - (uint64_t)limit >= UINT64_C(0) - (uint64_t)amount;
}

/* All limited adds change the base, so one that comes between the sum and the swap makes the swap fail. */
bool quire_percpu_counter_limited_add(struct quire_percpu_counter *counter, int64_t limit,
				      int64_t amount)
{
	struct counter *inner = counter_of(counter, __func__);
	uint64_t base = load_relaxed(&inner->base);

	if (amount == 0)
		return true;
	do {
		if (!is_within((int64_t)(base + totals(inner)), limit, amount))
			return false;
	} while (!cas_relaxed(&inner->base, &base, base + (uint64_t)amount));
	fetch_add_relaxed(&inner->estimate, (uint64_t)amount);
	return true;
}

/* Moves told to the total, once.  Acquire, so the total is at least as new as the one that was
 * told. */
static void tell_all(struct counter *counter, struct slot *slot)
{
	uint64_t told = load_acquire(&slot->told);
	uint64_t total = load_relaxed(&slot->total), before = told;

	/* Release: pairs with the swap in tell(), after which the total is read again. */
	if (cas_release(&slot->told, &told, total))
		fetch_add_relaxed(&counter->estimate, total - before);
	/* As after a delayed add: it may have compared with the old value. */
	tell(counter, slot, load_relaxed(&slot->total), counter->batch);
}

/*
 * All totals are told first, so that the estimate equals the sum; then the change makes both equal
 * the amount.  No word that others add to is overwritten.  A concurrent add either is in the totals
 * that are read, and so is replaced, or is added to the new amount.  Its share of the estimate is
 * added once, by the thread that moves told past it, now or later.  If two sets run at once, the
 * compare-and-swap of the base succeeds for only one; the other starts again, so their changes do
 * not add up.
 */
void quire_percpu_counter_set(struct quire_percpu_counter *counter, int64_t amount)
{
	struct counter *inner = counter_of(counter, __func__);
	uint64_t base, change;

	for (unsigned cpu = 0; cpu < inner->cpus_nr; cpu++)
		tell_all(inner, slot_at(inner, cpu * QUIRE_PERCPU_STRIDE));
	base = load_relaxed(&inner->base);
	do {
		change = (uint64_t)amount - base - totals(inner);
	} while (!cas_relaxed(&inner->base, &base, base + change));
	fetch_add_relaxed(&inner->estimate, change);
}

/* No thread adds now, so if something was told and is not in the estimate, a fork has lost it. */
void quire_percpu_counter_sync(struct quire_percpu_counter *counter)
{
	struct counter *inner = counter_of(counter, __func__);
	uint64_t estimate = load_relaxed(&inner->base);

	for (unsigned cpu = 0; cpu < inner->cpus_nr; cpu++) {
		struct slot *slot = slot_at(inner, cpu * QUIRE_PERCPU_STRIDE);
		uint64_t total = load_relaxed(&slot->total);

		store_relaxed(&slot->told, total);
		estimate += total;
	}
	store_relaxed(&inner->estimate, estimate);
}

int quire_percpu_counter_compare(const struct quire_percpu_counter *counter, int64_t other)
{
	const struct counter *inner = counter_of(counter, __func__);
	uint64_t error = UINT64_C(3) * load_relaxed(&inner->batch_max) * inner->cpus_nr;
	int64_t count = (int64_t)load_relaxed(&inner->estimate); /* roughly */
	uint64_t distance = count > other ? (uint64_t)count - (uint64_t)other
					  : (uint64_t)other - (uint64_t)count;

	if (distance <= error)
		count = (int64_t)sum(inner);
	return (count > other) - (count < other);
}
