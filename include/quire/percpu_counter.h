/* SPDX-License-Identifier: MIT */
/*
 * percpu_counter.h - a counter to which each CPU adds without shared cache lines
 *
 * A read is one load and approximate; an exact sum is available on request.  The error of a read is
 * below batch x CPUs, plus the amounts of adds in progress.  batch is the largest one ever used on
 * the counter: max(32, 2 x CPUs), unless quire_percpu_counter_add_batch() was given a larger one.
 * (The error is below 3 x batch x CPUs if threads migrated, or the counter was set, during adds.)
 *
 * A counter takes 16 bytes on each CPU.  It is embedded in the user's structure and may not be moved.
 * Only init and destroy may wait or take a lock; all other calls are legal anywhere, including signal
 * handlers.  A child of fork has all counts; until it calls quire_percpu_counter_sync(), its reads may
 * be off by the amounts that other threads were adding.
 */
#ifndef QUIRE_PERCPU_COUNTER_H
#define QUIRE_PERCPU_COUNTER_H

#include <stdint.h>
#include <quire/quire.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

/* Its content is the library's business; all zero is no counter. */
struct quire_percpu_counter {
	uint64_t private_words[6];
};

/**
 * quire_percpu_counter_init - make a counter
 * @q:		instance that its slots are allocated from
 * @counter:	to be filled
 * @amount:	what it counts at first
 * @flags:	as for quire_alloc_percpu()
 *
 * Returns   0; -ENOMEM, with nothing changed.
 * Context   as quire_alloc_percpu().
 * Pair      quire_percpu_counter_destroy().
 */
int quire_percpu_counter_init(struct quire *q, struct quire_percpu_counter *counter, int64_t amount,
			      unsigned flags);

/**
 * quire_percpu_counter_destroy - free the slots; nobody may be using it
 *
 * Once more, or for what is all zero, it does nothing.
 *
 * Context   as quire_free_percpu().
 * Cost      as quire_free_percpu().
 * Pair      quire_percpu_counter_init().
 */
void quire_percpu_counter_destroy(struct quire_percpu_counter *counter);

/**
 * quire_percpu_counter_add - add @amount, which may be negative
 *
 * Cost      one sequence on this CPU's slot; one atomic addition a batch.
 */
void quire_percpu_counter_add(struct quire_percpu_counter *counter, int64_t amount);

/**
 * quire_percpu_counter_add_batch - the same, telling the others after @batch
 * @batch:	1..2^31: at 1 reads are exact, and every add is an atomic one besides
 */
void quire_percpu_counter_add_batch(struct quire_percpu_counter *counter, int64_t amount,
				    uint32_t batch);

/** quire_percpu_counter_read - the count, off by less than batch x CPUs */
int64_t quire_percpu_counter_read(const struct quire_percpu_counter *counter);

/**
 * quire_percpu_counter_sum - the count
 *
 * Every add that ended before the call is in it, none that begins after; no lock is taken and
 * nobody is stopped.
 *
 * Cost      one cache miss a CPU.
 * Linux     percpu_counter_sum(), which takes the counter's lock.
 */
int64_t quire_percpu_counter_sum(const struct quire_percpu_counter *counter);

/**
 * quire_percpu_counter_set - make the count @amount
 *
 * Reads are exact until the next add, too (in a child of fork after quire_percpu_counter_sync()).
 * Adds of the same moment come before or after; of two sets one is the last.
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      two cache misses a CPU.
 */
void quire_percpu_counter_set(struct quire_percpu_counter *counter, int64_t amount);

/** quire_percpu_counter_sync - let reads be exact until the next add; nobody may be adding */
void quire_percpu_counter_sync(struct quire_percpu_counter *counter);

/**
 * quire_percpu_counter_compare - compare the count with @other
 *
 * Returns   -1, 0 or 1: exactly, but at the cost of a read where the two are far apart.
 */
int quire_percpu_counter_compare(const struct quire_percpu_counter *counter, int64_t other);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop
#endif
