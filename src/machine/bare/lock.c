/* SPDX-License-Identifier: MIT */
/* lock.c - waiting for mutexes */
#include "machine/lock.h"

#include "machine/bare/threads.h"

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
	/* Taken as contended, since other sleepers may remain; the exchange pairs with a release. */
	while (exchange_acquire(&mutex->word, (uint32_t)LOCK_CONTENDED) != LOCK_FREE)
		thread_wait(&mutex->word, LOCK_CONTENDED, THREAD_WAIT_FOREVER);
}

void mutex_wake_slow(struct mutex *mutex)
{
	thread_wake(&mutex->word, 1);
}
