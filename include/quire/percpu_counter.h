/* SPDX-License-Identifier: MIT */
/*
 * percpu_counter.h - a counter to which each CPU adds without shared cache lines
 *
 * A read is one load and approximate; an exact sum is available on request.  The error of a read is
 * below batch x CPUs, plus the amounts of adds in progress.  batch is the largest one ever used on
 * the counter: max(32, 2 x CPUs), unless quire_percpu_counter_add_batch() was given a larger one.
 * (The error is below 3 x batch x CPUs if threads migrated, or the counter was set, during adds.)
 *
 * A counter takes 16 bytes on each CPU.  It is embedded in the user's structure and may not be
 * moved.  Only init and destroy may wait or take a lock; all other calls are legal anywhere,
 * including signal handlers.  A child of fork has all counts; until it calls
 * quire_percpu_counter_sync(), its reads may be off by the amounts that other threads were
 * adding.
 */
#ifndef QUIRE_PERCPU_COUNTER_H
#define QUIRE_PERCPU_COUNTER_H

#include <stdbool.h>
#include <stdint.h>
#include <quire/quire.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

/* Its content is the library's business; all zero is no counter: any call but init and destroy is misuse. */
struct quire_percpu_counter {
	uint64_t private_words[6];
};

/**
 * quire_percpu_counter_init - make a counter
 * @q:		instance that its slots are allocated from
 * @counter:	to be filled; embedded in what it counts for, and not moved
 * @amount:	what it counts at first
 * @flags:	as for quire_alloc_percpu()
 *
 * Returns   0; -EINVAL, -ENOMEM or -ENOSPC where quire_alloc_percpu() refuses so, with nothing changed.
 * Context   as quire_alloc_percpu().
 * Cost      as quire_alloc_percpu(): 16 bytes on each CPU.
 * Pair      quire_percpu_counter_destroy().
 * Linux     percpu_counter_init().
 */
int quire_percpu_counter_init(struct quire *q, struct quire_percpu_counter *counter, int64_t amount,
			      unsigned flags);

/**
 * quire_percpu_counter_destroy - free the slots
 * @counter:	which no thread uses any more
 *
 * A second call, or one for a struct that is all zero, does nothing.
 *
 * Context   as quire_free_percpu().
 * Cost      as quire_free_percpu().
 * Pair      quire_percpu_counter_init().
 * Linux     percpu_counter_destroy().
 */
void quire_percpu_counter_destroy(struct quire_percpu_counter *counter);

/**
 * quire_percpu_counter_add - add to the count
 * @counter:	counter
 * @amount:	may be negative
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence on this CPU's slot; one atomic addition to a shared word a batch.
 * Linux     percpu_counter_add(); percpu_counter_sub(), _inc() and _dec() are the same with
 *           -amount, 1 and -1.
 */
void quire_percpu_counter_add(struct quire_percpu_counter *counter, int64_t amount);

/**
 * quire_percpu_counter_add_batch - add, and tell the others after @batch
 * @counter:	counter
 * @amount:	may be negative
 * @batch:	1..2^31: at 1 reads are exact, and every add is an atomic one besides
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      as quire_percpu_counter_add(), with this batch.
 * Linux     percpu_counter_add_batch().
 */
void quire_percpu_counter_add_batch(struct quire_percpu_counter *counter, int64_t amount,
				    uint32_t batch);

/**
 * quire_percpu_counter_limited_add - add, unless the count would pass a limit
 * @counter:	counter
 * @limit:	most that the count may be afterwards; least, if @amount is negative
 * @amount:	may be negative; 0 adds nothing and passes no limit
 *
 * However many threads call this at once, what they add does not take the count past their limit.  Other
 * adds know no limit: those that ended before the call are counted.
 *
 * Returns   true if @amount was added; false if nothing was.
 * Context   anywhere, signal handlers included; takes no lock and interrupts no CPU.
 * Cost      as quire_percpu_counter_sum(), and one atomic operation on a shared word; again for each other
 *           such call that comes between.
 * Linux     percpu_counter_limited_add(), which takes the counter's lock when the limit is near.
 */
bool quire_percpu_counter_limited_add(struct quire_percpu_counter *counter, int64_t limit,
				      int64_t amount);

/**
 * quire_percpu_counter_read - the count, roughly
 * @counter:	counter
 *
 * Returns   the count, off by less than batch x CPUs: the top of this file.  It may be negative for
 *           a count that never is.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one load of a shared word.
 * Linux     percpu_counter_read().
 */
int64_t quire_percpu_counter_read(const struct quire_percpu_counter *counter);

/**
 * quire_percpu_counter_sum - the count
 * @counter:	counter
 *
 * Every add that ended before the call is in it, none that begins after.
 *
 * Returns   the count.
 * Context   anywhere, signal handlers included; takes no lock and interrupts no CPU.
 * Cost      one cache miss per CPU.
 * Linux     percpu_counter_sum(), which takes the counter's lock.
 */
int64_t quire_percpu_counter_sum(const struct quire_percpu_counter *counter);

/**
 * quire_percpu_counter_set - make the count @amount
 * @counter:	counter
 * @amount:	the new count
 *
 * Reads are exact until the next add, too (in a child of fork after quire_percpu_counter_sync()).
 * Adds of the same moment come before or after; of two sets one is the last.
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      two cache misses a CPU.
 * Linux     percpu_counter_set(), which may miscount adds of the same moment.
 */
void quire_percpu_counter_set(struct quire_percpu_counter *counter, int64_t amount);

/**
 * quire_percpu_counter_sync - let reads be exact until the next add
 * @counter:	to which no thread is adding meanwhile
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one cache miss per CPU.
 * Linux     percpu_counter_sync(), which moves only the share of the CPU that it runs on.
 */
void quire_percpu_counter_sync(struct quire_percpu_counter *counter);

/**
 * quire_percpu_counter_compare - compare the count with a number
 * @counter:	counter
 * @other:	the number
 *
 * Returns   -1, 0 or 1 as the count is less, equal or greater: exactly.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one load if the two are further apart than a read may be off; otherwise a sum.
 * Linux     percpu_counter_compare().
 */
int quire_percpu_counter_compare(const struct quire_percpu_counter *counter, int64_t other);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop
#endif
