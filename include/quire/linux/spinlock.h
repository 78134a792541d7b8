/* SPDX-License-Identifier: MIT */
/*
 * linux/spinlock.h - spin locks, whose holders are in a section of linux/preempt.h, as in the kernel
 *
 * So this_cpu_ptr() of a holder stays where it is, and whoever takes a spin lock in a section and whoever enters
 * a section with a spin lock held do not wait for each other.  Waiters sleep.  No signal handler may take one.
 */
#ifndef QUIRE_LINUX_SPINLOCK_H
#define QUIRE_LINUX_SPINLOCK_H

#include <linux/preempt.h>

#include <pthread.h>

typedef struct {
	pthread_mutex_t lock;
} spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name)                                                                 \
	{                                                                                          \
		PTHREAD_MUTEX_INITIALIZER                                                          \
	}
#define DEFINE_SPINLOCK(name)	 spinlock_t name = __SPIN_LOCK_UNLOCKED(name)
#define spin_lock_init(spinlock) ((void)pthread_mutex_init(&(spinlock)->lock, NULL))

static inline void spin_lock(spinlock_t *spinlock)
{
	preempt_disable();
	(void)pthread_mutex_lock(&spinlock->lock);
}

static inline void spin_unlock(spinlock_t *spinlock)
{
	(void)pthread_mutex_unlock(&spinlock->lock);
	preempt_enable();
}

static inline bool spin_trylock(spinlock_t *spinlock)
{
	preempt_disable();
	if (pthread_mutex_trylock(&spinlock->lock) == 0)
		return true;
	preempt_enable();
	return false;
}

#define spin_lock_irq(spinlock)	  spin_lock(spinlock)
#define spin_unlock_irq(spinlock) spin_unlock(spinlock)
#define spin_lock_bh(spinlock)	  spin_lock(spinlock)
#define spin_unlock_bh(spinlock)  spin_unlock(spinlock)
#define spin_lock_irqsave(spinlock, flags)                                                         \
	do {                                                                                       \
		(flags) = 0;                                                                       \
		spin_lock(spinlock);                                                               \
	} while (0)
#define spin_unlock_irqrestore(spinlock, flags)                                                    \
	do {                                                                                       \
		(void)(flags);                                                                     \
		spin_unlock(spinlock);                                                             \
	} while (0)

#endif
