/* SPDX-License-Identifier: MIT */
#include "machine/lock.h"

#include "machine/linux/futex.h"
#include "machine/linux/pause.h"

/*
 * A spin lock is held for a batch at most: a few microseconds.  Sleeping and waking costs the two
 * threads 10 us, on virtual CPUs 50 us and more.  So a waiter spins for about 10 us (500 rounds
 * of 20 ns where it was measured) before each sleep; if the holder was preempted, spinning at
 * most doubles the cost of the sleep.  A waiter also spins while others sleep, and again after it
 * was woken: a holder that works in batches has taken the lock again by then, and releases it
 * within that time.
 */
#define SPIN_ROUNDS  500
/* Between two holds in a loop: the time for a cache line to reach another CPU and come back. */
#define PAUSE_ROUNDS 50

/* The first spin ranks follow the last mutex rank: a waiting lock is never taken under a spin. */
#define RANK_SPIN_FIRST RANK_SLAB_CLOSE

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

void mutex_wait_slow(struct mutex *mutex)
{
	uint32_t *word = &mutex->word;

	if (lock_lend(&mutex->lent))
		return;
	/* Taken as contended, since other sleepers may remain; the exchange pairs with a release.
	 */
	while (exchange_acquire(word, (uint32_t)LOCK_CONTENDED) != LOCK_FREE)
		futex_wait(word, LOCK_CONTENDED);
}

/* Spins for the lock, and takes it as @taken if it becomes free. */
static bool spin(struct lock *lock, uint32_t taken)
{
	store_relaxed(&lock->waited, 1); /* pairs with lock_let_others_in() */
	for (unsigned round = 0; round < SPIN_ROUNDS; round++) {
		uint32_t found = LOCK_FREE;

		/* Pairs with the exchange in lock_word_release(). */
		if (load_relaxed(&lock->word) == LOCK_FREE &&
		    cas_acquire(&lock->word, &found, taken))
			return true;
		pause_briefly();
	}
	return false;
}

void lock_wait_slow(struct lock *lock)
{
	uint32_t taken = LOCK_HELD;

	if (lock_lend(&lock->lent))
		return;
	while (!spin(lock, taken)) {
		if (exchange_acquire(&lock->word, (uint32_t)LOCK_CONTENDED) == LOCK_FREE)
			return;
		futex_wait(&lock->word, LOCK_CONTENDED);
		taken = LOCK_CONTENDED; /* other sleepers may remain */
	}
}

void lock_pause(struct lock *lock)
{
	store_relaxed(&lock->waited, 0);
	for (unsigned round = 0; round < PAUSE_ROUNDS; round++)
		pause_briefly();
}

void lock_word_wake_slow(uint32_t *word)
{
	futex_wake_one(word);
}
