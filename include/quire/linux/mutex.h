/* SPDX-License-Identifier: MIT */
/* linux/mutex.h - mutexes */
#ifndef QUIRE_LINUX_MUTEX_H
#define QUIRE_LINUX_MUTEX_H

#include <linux/compiler.h>

#include <pthread.h>

struct mutex {
	pthread_mutex_t lock;
};

#define DEFINE_MUTEX(name)   struct mutex name = { PTHREAD_MUTEX_INITIALIZER }
#define mutex_init(mutex)    ((void)pthread_mutex_init(&(mutex)->lock, NULL))
#define mutex_destroy(mutex) ((void)pthread_mutex_destroy(&(mutex)->lock))
#define mutex_lock(mutex)    ((void)pthread_mutex_lock(&(mutex)->lock))
#define mutex_unlock(mutex)  ((void)pthread_mutex_unlock(&(mutex)->lock))
#define mutex_trylock(mutex) (pthread_mutex_trylock(&(mutex)->lock) == 0)

#endif
