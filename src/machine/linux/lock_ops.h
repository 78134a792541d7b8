/* SPDX-License-Identifier: MIT */
/*
 * lock_ops.h - locks on one futex word, the uncontended paths inline
 *
 * The word is free, held, or contended: held, with threads possibly sleeping for it.  A release
 * that finds it contended wakes one sleeper.  A thread that has slept takes the lock as
 * contended, since others may still sleep.
 *
 * The thread's count of held locks is raised before the word is tried and lowered after it is
 * released, with compiler barriers in between, so the count includes every lock of an interrupted
 * frame when a signal handler of the thread reads it.
 */
#ifndef MACHINE_LINUX_LOCK_OPS_H
#define MACHINE_LINUX_LOCK_OPS_H

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/lock_order.h"
#include "machine/linux/thread.h"

enum {
	LOCK_FREE = 0,
	LOCK_HELD = 1,
	LOCK_CONTENDED = 2,
};

/* Wait for a lock that was found taken: a spin lock spins before it sleeps, a mutex does not. */
void lock_wait_slow(struct lock *lock);
void mutex_wait_slow(struct mutex *mutex);
void lock_word_wake_slow(uint32_t *word);
void lock_pause(struct lock *lock);

void lock_init(struct lock *lock, enum lock_rank rank);
void mutex_init(struct mutex *mutex, enum lock_rank rank);

static inline void lock_count_up(void)
{
	machine_thread.locks_held_nr++;
	__asm__ volatile("" ::: "memory");
}

static inline void lock_count_down(void)
{
	__asm__ volatile("" ::: "memory");
	machine_thread.locks_held_nr--;
}

static inline bool lock_nested(void)
{
	return machine_thread.locks_held_nr != 0;
}

static inline bool lock_kept(void)
{
	return machine_thread.locks_kept_nr != 0;
}

static inline uint32_t lock_keep_begin(void)
{
	return machine_thread.locks_held_nr;
}

/* A handler between the two stores finds the locks both held and kept: then it only tries locks. */
static inline void lock_keep_end(uint32_t begun)
{
	machine_thread.locks_kept_nr += machine_thread.locks_held_nr - begun;
	__asm__ volatile("" ::: "memory");
	machine_thread.locks_held_nr = begun;
}

static inline uint32_t lock_unkeep(void)
{
	uint32_t held = machine_thread.locks_held_nr;

	machine_thread.locks_held_nr += machine_thread.locks_kept_nr;
	__asm__ volatile("" ::: "memory");
	machine_thread.locks_kept_nr = 0;
	return held;
}

static inline void lock_keep_again(uint32_t begun)
{
	lock_keep_end(begun);
}

/* Borrows a lock that was found taken, if this thread's fork keeps it.  A signal handler that runs
 * between the test and the store returns the lock before this function continues. */
static inline bool lock_lend(uint8_t *lent)
{
	if (LIKELY(!lock_kept()) || *lent)
		return false;
	*lent = 1;
	return true;
}

/* Pairs with the exchange in lock_word_release(). */
static inline bool lock_word_take(uint32_t *word)
{
	uint32_t found = LOCK_FREE;

	return cas_acquire(word, &found, (uint32_t)LOCK_HELD);
}

/* Pairs with the compare-and-swap in lock_word_take() and with those of the slow paths. */
static inline void lock_word_release(uint32_t *word)
{
	if (UNLIKELY(exchange_acq_rel(word, (uint32_t)LOCK_FREE) == LOCK_CONTENDED))
		lock_word_wake_slow(word);
}

static inline void lock_acquire_checked(struct lock *lock, bool ordered)
{
	if (QUIRE_DEBUG)
		lock_order_check(lock, lock->rank, ordered);
	lock_count_up();
	if (UNLIKELY(!lock_word_take(&lock->word)))
		lock_wait_slow(lock);
	if (QUIRE_DEBUG)
		lock_order_take(lock, lock->rank);
}

static inline lock_token lock_acquire(struct lock *lock)
{
	lock_acquire_checked(lock, false);
	return 0;
}

static inline lock_token lock_acquire_ordered(struct lock *lock)
{
	lock_acquire_checked(lock, true);
	return 0;
}

static inline bool lock_try(struct lock *lock, lock_token *token)
{
	lock_count_up();
	if (UNLIKELY(!lock_word_take(&lock->word)) && !lock_lend(&lock->lent)) {
		lock_count_down();
		return false;
	}
	if (QUIRE_DEBUG)
		lock_order_take(lock, lock->rank);
	*token = 0;
	return true;
}

static inline void lock_release(struct lock *lock, lock_token token)
{
	(void)token;
	if (QUIRE_DEBUG)
		lock_order_put(lock->rank);
	if (LIKELY(!lock->lent))
		lock_word_release(&lock->word);
	else
		lock->lent = 0;
	lock_count_down();
}

static inline bool lock_is_lent(const struct lock *lock)
{
	return lock->lent != 0;
}

/* Another CPU sees that the lock is free only after the cache line has travelled. */
static inline void lock_let_others_in(struct lock *lock)
{
	if (UNLIKELY(load_relaxed(&lock->waited) != 0)) /* a hint: pairs with lock_wait_slow() */
		lock_pause(lock);
}

static inline bool lock_is_held(const struct lock *lock)
{
	return load_relaxed(&lock->word) != LOCK_FREE;
}

static inline void mutex_acquire(struct mutex *mutex)
{
	if (QUIRE_DEBUG)
		lock_order_check(mutex, mutex->rank, false);
	lock_count_up();
	if (UNLIKELY(!lock_word_take(&mutex->word)))
		mutex_wait_slow(mutex);
	if (QUIRE_DEBUG)
		lock_order_take(mutex, mutex->rank);
}

static inline bool mutex_try(struct mutex *mutex)
{
	lock_count_up();
	if (UNLIKELY(!lock_word_take(&mutex->word)) && !lock_lend(&mutex->lent)) {
		lock_count_down();
		return false;
	}
	if (QUIRE_DEBUG)
		lock_order_take(mutex, mutex->rank);
	return true;
}

static inline void mutex_release(struct mutex *mutex)
{
	if (QUIRE_DEBUG)
		lock_order_put(mutex->rank);
	if (LIKELY(!mutex->lent))
		lock_word_release(&mutex->word);
	else
		mutex->lent = 0;
	lock_count_down();
}

static inline void mutex_lay_aside(struct mutex *mutex)
{
	if (QUIRE_DEBUG)
		lock_order_put(mutex->rank);
	lock_count_down();
}

static inline void mutex_take_up(struct mutex *mutex)
{
	lock_count_up();
	if (QUIRE_DEBUG)
		lock_order_take(mutex, mutex->rank);
}

static inline bool mutex_is_held(const struct mutex *mutex)
{
	return load_relaxed(&mutex->word) != LOCK_FREE;
}

#endif
