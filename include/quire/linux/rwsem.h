/* SPDX-License-Identifier: MIT */
/* linux/rwsem.h - semaphores for readers and one writer, which no reader overtakes: so a reader takes it once */
#ifndef QUIRE_LINUX_RWSEM_H
#define QUIRE_LINUX_RWSEM_H

#include <linux/compiler.h>

#include <pthread.h>

struct rw_semaphore {
	pthread_rwlock_t lock;
};

#define __RWSEM_INITIALIZER(name)                                                                  \
	{                                                                                          \
		PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP                                  \
	}
#define DECLARE_RWSEM(name) struct rw_semaphore name = __RWSEM_INITIALIZER(name)

static inline void init_rwsem(struct rw_semaphore *semaphore)
{
	*semaphore = (struct rw_semaphore)__RWSEM_INITIALIZER(semaphore);
}

#define down_read(semaphore)	      ((void)pthread_rwlock_rdlock(&(semaphore)->lock))
#define up_read(semaphore)	      ((void)pthread_rwlock_unlock(&(semaphore)->lock))
#define down_write(semaphore)	      ((void)pthread_rwlock_wrlock(&(semaphore)->lock))
#define up_write(semaphore)	      ((void)pthread_rwlock_unlock(&(semaphore)->lock))
#define down_read_trylock(semaphore)  (pthread_rwlock_tryrdlock(&(semaphore)->lock) == 0)
#define down_write_trylock(semaphore) (pthread_rwlock_trywrlock(&(semaphore)->lock) == 0)

#endif
