/* SPDX-License-Identifier: MIT */
#include "machine/lock.h"

#include "machine/linux/futex.h"
#include "machine/linux/pause.h"

/*
 * A spin lock is held for a batch at most: some microseconds.  Sleeping and being woken costs the
 * two threads about as much.  So we spin for 2 us (100 rounds of about 20 ns), which is bounded by
 * what a sleep would have cost anyway: if the holder was preempted we lose at most a factor of two.
 */
#define SPIN_ROUNDS 100

/* The first spin ranks follow the last mutex rank: a waiting lock is never taken under a spin. */
#define RANK_SPIN_FIRST RANK_PERCPU_CPU

void lock_init(struct lock *lock, enum lock_rank rank)
{
	CHECK_VALUES(rank >= RANK_SPIN_FIRST && rank < RANKS_NR, rank, RANK_SPIN_FIRST);
	*lock = (struct lock){ .word = LOCK_FREE, .rank = (uint16_t)rank };
}

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
	CHECK_VALUES(rank < RANK_SPIN_FIRST, rank, RANK_SPIN_FIRST);
	*mutex = (struct mutex){ .word = LOCK_FREE, .rank = (uint16_t)rank };
}

void lock_word_sleep_slow(uint32_t *word)
{
	/* Taken as contended, since other sleepers may remain; the exchange pairs with a release.
	 */
	while (exchange_acquire(word, (uint32_t)LOCK_CONTENDED) != LOCK_FREE)
		futex_wait(word, LOCK_CONTENDED);
}

void lock_word_wait_slow(uint32_t *word)
{
	for (unsigned round = 0; round < SPIN_ROUNDS; round++) {
		uint32_t found = load_relaxed(word);

		/* Others sleep already, so the holder takes long: spinning would only delay them.
		 */
		if (found == LOCK_CONTENDED)
			break;
		if (found == LOCK_FREE && lock_word_take(word))
			return;
		pause_briefly();
	}
	lock_word_sleep_slow(word);
}

void lock_word_wake_slow(uint32_t *word)
{
	futex_wake_one(word);
}
