/* SPDX-License-Identifier: MIT */
/* linux/spinlock.h - spin locks: a holder may be preempted, so waiters sleep; no handler may take one */
#ifndef QUIRE_LINUX_SPINLOCK_H
#define QUIRE_LINUX_SPINLOCK_H

#include <linux/compiler.h>

#include <pthread.h>

typedef struct {
	pthread_mutex_t lock;
} spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name)                                                                 \
	{                                                                                          \
		PTHREAD_MUTEX_INITIALIZER                                                          \
	}
#define DEFINE_SPINLOCK(name)	  spinlock_t name = __SPIN_LOCK_UNLOCKED(name)
#define spin_lock_init(spinlock)  ((void)pthread_mutex_init(&(spinlock)->lock, NULL))
#define spin_lock(spinlock)	  ((void)pthread_mutex_lock(&(spinlock)->lock))
#define spin_unlock(spinlock)	  ((void)pthread_mutex_unlock(&(spinlock)->lock))
#define spin_trylock(spinlock)	  (pthread_mutex_trylock(&(spinlock)->lock) == 0)
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
