/* SPDX-License-Identifier: MIT */
/* linux/rwsem.h - semaphores for readers and one writer */
#ifndef QUIRE_LINUX_RWSEM_H
#define QUIRE_LINUX_RWSEM_H

#include <linux/compiler.h>

#include <pthread.h>

struct rw_semaphore {
	pthread_rwlock_t lock;
};

#define DECLARE_RWSEM(name)   struct rw_semaphore name = { PTHREAD_RWLOCK_INITIALIZER }
#define init_rwsem(semaphore) ((void)pthread_rwlock_init(&(semaphore)->lock, NULL))
#define down_read(semaphore)  ((void)pthread_rwlock_rdlock(&(semaphore)->lock))
#define up_read(semaphore)    ((void)pthread_rwlock_unlock(&(semaphore)->lock))
#define down_write(semaphore) ((void)pthread_rwlock_wrlock(&(semaphore)->lock))
#define up_write(semaphore)   ((void)pthread_rwlock_unlock(&(semaphore)->lock))

#endif
