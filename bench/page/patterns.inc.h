/* SPDX-License-Identifier: MIT */
/*
 * patterns.inc.h - the five patterns of pages, compiled into each subject
 *
 * The including file defines
 *   PAGE_LOCALS           declarations at the top of each pattern
 *   PAGE_ALLOC(order)     allocate a block; NULL if refused
 *   PAGE_FREE(p, order)   free it
 *
 * lifo    a block is allocated and freed at once
 * fifo    1,024 are allocated, then freed in the same order
 * rand    1,024 are allocated, then freed in shuffled order
 * churn   32,768 are live (at most 2 GiB); a random one is replaced
 * remote  worker 0 allocates, worker 1 frees; a pair is one block's way from one to the other
 */
#include "harness/random.h"
#include "harness/runner.h"

static inline void pattern_touch(void *block, unsigned touch)
{
	if (touch)
		*(volatile char *)block = 1;
}

static void pattern_lifo(struct worker *w)
{
	const unsigned order = w->run->order;
	const unsigned touch = w->run->touch;
	PAGE_LOCALS;

	while (worker_goes_on(w)) {
		for (unsigned i = 0; i < ROUND_PAIRS; i++) {
			void *block = PAGE_ALLOC(order);

			if (!block) {
				w->refused = "an allocation was refused";
				return;
			}
			pattern_touch(block, touch);
			PAGE_FREE(block, order);
		}
		w->pairs_nr += ROUND_PAIRS;
	}
}

/* Takes blocks until @count are in w->blocks. */
static bool pattern_fill(struct worker *w, unsigned have, unsigned count)
{
	const unsigned order = w->run->order;
	const unsigned touch = w->run->touch;
	PAGE_LOCALS;

	for (unsigned i = have; i < count; i++) {
		void *block = PAGE_ALLOC(order);

		if (!block) {
			w->refused = "an allocation was refused";
			return false;
		}
		pattern_touch(block, touch);
		w->blocks[i] = block;
	}
	return true;
}

static void pattern_fifo(struct worker *w)
{
	const unsigned order = w->run->order;
	PAGE_LOCALS;

	while (worker_goes_on(w)) {
		if (!pattern_fill(w, 0, BULK_BLOCKS))
			return;
		for (unsigned i = 0; i < BULK_BLOCKS; i++)
			PAGE_FREE(w->blocks[i], order);
		w->pairs_nr += BULK_BLOCKS;
	}
}

static void pattern_rand(struct worker *w)
{
	const unsigned order = w->run->order;
	unsigned turn = 0;
	PAGE_LOCALS;

	while (worker_goes_on(w)) {
		const uint16_t *shuffle = shuffles[turn++ % SHUFFLES_NR];

		if (!pattern_fill(w, 0, BULK_BLOCKS))
			return;
		for (unsigned i = 0; i < BULK_BLOCKS; i++)
			PAGE_FREE(w->blocks[shuffle[i]], order);
		w->pairs_nr += BULK_BLOCKS;
	}
}

static void pattern_churn(struct worker *w)
{
	const unsigned order = w->run->order;
	const unsigned touch = w->run->touch;
	const uint32_t live_nr = w->live_nr;
	uint64_t random = w->random;
	PAGE_LOCALS;

	if (!w->blocks[0] && !pattern_fill(w, 0, live_nr))
		return;
	while (worker_goes_on(w)) {
		for (unsigned i = 0; i < ROUND_PAIRS; i++) {
			void **victim = &w->blocks[random_below(&random, live_nr)];
			void *block;

			PAGE_FREE(*victim, order);
			block = PAGE_ALLOC(order);
			if (!block) {
				w->refused = "an allocation was refused";
				return;
			}
			pattern_touch(block, touch);
			*victim = block;
		}
		w->pairs_nr += ROUND_PAIRS;
	}
	w->random = random;
}

/* Prefetches all lines of one handover, since the ring's own cost is not measured. */
#define ring_prefetch(ring, at, for_writing)                                                       \
	do {                                                                                       \
		for (unsigned line_ = 0; line_ < ROUND_PAIRS; line_ += 8)                          \
			__builtin_prefetch(&(ring)->blocks[((at) + line_) % RING_BLOCKS],          \
					   for_writing);                                           \
	} while (0)

static void pattern_produce(struct worker *w)
{
	const unsigned order = w->run->order;
	const unsigned touch = w->run->touch;
	struct ring *ring = w->ring;
	uint64_t written = ring->written;
	PAGE_LOCALS;

	while (worker_goes_on(w) && !w->refused) {
		/* Pairs with the consumer's release of taken: the slots are free again. */
		while (written - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE) >
		       RING_BLOCKS - ROUND_PAIRS)
			spin_pause();
		ring_prefetch(ring, written, 1);
		for (unsigned i = 0; i < ROUND_PAIRS; i++) {
			void *block = PAGE_ALLOC(order);

			if (!block) {
				w->refused = "an allocation was refused";
				break;
			}
			pattern_touch(block, touch);
			ring->blocks[(written + i) % RING_BLOCKS] = block;
		}
		if (w->refused)
			break;
		written += ROUND_PAIRS;
		w->pairs_nr += ROUND_PAIRS;
		__atomic_store_n(&ring->written, written, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&ring->ended, true, __ATOMIC_RELEASE);
}

static void pattern_consume(struct worker *w)
{
	const unsigned order = w->run->order;
	struct ring *ring = w->ring;
	uint64_t taken = ring->taken;
	PAGE_LOCALS;

	for (;;) {
		/* Loads ended first: if it is set, the next load finds all blocks written. */
		bool ended = __atomic_load_n(&ring->ended, __ATOMIC_ACQUIRE);

		if (__atomic_load_n(&ring->written, __ATOMIC_ACQUIRE) == taken) {
			if (ended)
				return;
			spin_pause();
			continue;
		}
		ring_prefetch(ring, taken, 0);
		for (unsigned i = 0; i < ROUND_PAIRS; i++)
			PAGE_FREE(ring->blocks[(taken + i) % RING_BLOCKS], order);
		taken += ROUND_PAIRS;
		w->pairs_nr += ROUND_PAIRS;
		__atomic_store_n(&ring->taken, taken, __ATOMIC_RELEASE);
	}
}

static void pattern_remote(struct worker *w)
{
	if (w->index == 0)
		pattern_produce(w);
	else
		pattern_consume(w);
}

/* clang-format off */
#define PAGE_PATTERNS                                                                           \
	{                                                                                          \
		[PATTERN_LIFO] = pattern_lifo,                                                     \
		[PATTERN_FIFO] = pattern_fifo,                                                     \
		[PATTERN_RAND] = pattern_rand,                                                     \
		[PATTERN_CHURN] = pattern_churn,                                                   \
		[PATTERN_REMOTE] = pattern_remote,                                                 \
	}
/* clang-format on */
