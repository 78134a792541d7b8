/* SPDX-License-Identifier: MIT */
/*
 * lock_ops.h - spin locks that mask interrupts, and mutexes that sleep
 *
 * A spin lock's token is the flags that its release restores.  So a holder is neither interrupted nor preempted: a waiter
 * spins without a bound, and no handler ever finds a lock of its own CPU held.  A handler still only tries, which
 * lock_nested() tells it: it has interrupted whatever mutex its thread holds, and must not wait for another CPU.
 *
 * There is no fork, so no lock is ever kept or lent.
 */
#ifndef MACHINE_BARE_LOCK_OPS_H
#define MACHINE_BARE_LOCK_OPS_H

#include "base/check.h"
#include "machine/bare/spin.h"
#include "machine/linux/lock_order.h"
#include "machine/linux/thread.h"

enum {
	LOCK_FREE = 0,
	LOCK_HELD = 1,
	LOCK_CONTENDED = 2, /* a mutex for which threads may sleep */
};

void mutex_wait_slow(struct mutex *mutex);
void mutex_wake_slow(struct mutex *mutex);

void lock_init(struct lock *lock, enum lock_rank rank);
void mutex_init(struct mutex *mutex, enum lock_rank rank);

static inline bool lock_nested(void)
{
	return machine_thread.locks_held_nr != 0; /* an interrupt counts as one */
}

static inline bool lock_kept(void)
{
	return false;
}

static inline uint32_t lock_keep_begin(void)
{
	return 0;
}

static inline void lock_keep_end(uint32_t begun)
{
	(void)begun;
}

static inline lock_token lock_acquire_checked(struct lock *lock, bool ordered)
{
	uint64_t flags;

	if (QUIRE_DEBUG)
		lock_order_check(lock, lock->rank, ordered);
	flags = interrupts_mask();
	while (UNLIKELY(!spin_take(&lock->word))) {
		store_relaxed(&lock->waited, 1); /* pairs with lock_let_others_in() */
		spin_wait(flags);
	}
	if (QUIRE_DEBUG)
		lock_order_take(lock, lock->rank);
	return (lock_token)(flags & FLAG_INTERRUPTS);
}

static inline lock_token lock_acquire(struct lock *lock)
{
	return lock_acquire_checked(lock, false);
}

static inline lock_token lock_acquire_ordered(struct lock *lock)
{
	return lock_acquire_checked(lock, true);
}

static inline bool lock_try(struct lock *lock, lock_token *token)
{
	uint64_t flags = interrupts_mask();

	if (!spin_take(&lock->word)) {
		interrupts_restore(flags);
		return false;
	}
	if (QUIRE_DEBUG)
		lock_order_take(lock, lock->rank);
	*token = (lock_token)(flags & FLAG_INTERRUPTS);
	return true;
}

static inline void lock_release(struct lock *lock, lock_token token)
{
	if (QUIRE_DEBUG)
		lock_order_put(lock->rank);
	store_release(&lock->word, (uint32_t)LOCK_FREE); /* pairs with spin_take() */
	interrupts_restore(token);
}

static inline bool lock_is_lent(const struct lock *lock)
{
	(void)lock;
	return false;
}

static inline void lock_let_others_in(struct lock *lock)
{
	if (UNLIKELY(load_relaxed(&lock->waited) !=
		     0)) { /* a hint: pairs with lock_acquire_checked() */
		store_relaxed(&lock->waited, 0);
		pause_briefly();
	}
}

static inline bool lock_is_held(const struct lock *lock)
{
	return load_relaxed(&lock->word) != LOCK_FREE;
}

static inline void mutex_acquire(struct mutex *mutex)
{
	if (QUIRE_DEBUG)
		lock_order_check(mutex, mutex->rank, false);
	if (UNLIKELY(!spin_take(&mutex->word)))
		mutex_wait_slow(mutex);
	if (QUIRE_DEBUG)
		lock_order_take(mutex, mutex->rank);
}

static inline bool mutex_try(struct mutex *mutex)
{
	if (!spin_take(&mutex->word))
		return false;
	if (QUIRE_DEBUG)
		lock_order_take(mutex, mutex->rank);
	return true;
}

static inline void mutex_release(struct mutex *mutex)
{
	if (QUIRE_DEBUG)
		lock_order_put(mutex->rank);
	/* Pairs with spin_take(), and with the exchange in mutex_wait_slow(). */
	if (UNLIKELY(exchange_acq_rel(&mutex->word, (uint32_t)LOCK_FREE) == LOCK_CONTENDED))
		mutex_wake_slow(mutex);
}

static inline void mutex_lay_aside(struct mutex *mutex)
{
	if (QUIRE_DEBUG)
		lock_order_put(mutex->rank);
}

static inline void mutex_take_up(struct mutex *mutex)
{
	if (QUIRE_DEBUG)
		lock_order_take(mutex, mutex->rank);
}

static inline bool mutex_is_held(const struct mutex *mutex)
{
	return load_relaxed(&mutex->word) != LOCK_FREE;
}

#endif
