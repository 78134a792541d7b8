/* SPDX-License-Identifier: MIT */
/* pthread.h - kernel threads by their other names */
#ifndef BARE_PTHREAD_H
#define BARE_PTHREAD_H

#include <signal.h>

#include "machine/atomic.h"
#include "machine/bare/threads.h"

typedef struct thread *pthread_t;

/* In turns: @turn changes when the last of @nr threads has come. */
typedef struct {
	uint32_t nr, come, turn; /* the last two atomic */
} pthread_barrier_t;

#define pthread_self thread_self

static inline void pthread_kill(pthread_t thread, int number)
{
	thread_interrupt(thread, (unsigned)number);
}

static inline void pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	(void)old;
	thread_block_interrupts(*set, how == SIG_BLOCK);
}

static inline void pthread_barrier_init(pthread_barrier_t *barrier, const void *attributes,
					unsigned nr)
{
	(void)attributes;
	*barrier = (pthread_barrier_t){ .nr = nr };
}

static inline void pthread_barrier_destroy(pthread_barrier_t *barrier)
{
	barrier->nr = 0;
}

/* The turn is read first: it cannot change before this thread has come. */
static inline void pthread_barrier_wait(pthread_barrier_t *barrier)
{
	uint32_t turn = load_acquire(&barrier->turn);

	if (fetch_add_acq_rel(&barrier->come, UINT32_C(1)) + 1 == barrier->nr) {
		store_relaxed(&barrier->come, UINT32_C(0));
		store_release(&barrier->turn, turn + 1);
		thread_wake(&barrier->turn, UINT32_MAX);
		return;
	}
	while (load_acquire(&barrier->turn) == turn)
		thread_wait(&barrier->turn, turn, THREAD_WAIT_FOREVER);
}

#endif
