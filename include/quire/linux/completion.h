/* SPDX-License-Identifier: MIT */
/* linux/completion.h - events that threads wait for; a timeout is in jiffies of linux/delay.h */
#ifndef QUIRE_LINUX_COMPLETION_H
#define QUIRE_LINUX_COMPLETION_H

#include <linux/delay.h>
#include <linux/kernel.h>

#include <pthread.h>

struct completion {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned done; /* under the lock; UINT_MAX: for all and for ever */
};

#define COMPLETION_INITIALIZER(name)                                                               \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .done = 0  \
	}
#define DECLARE_COMPLETION(name)	 struct completion name = COMPLETION_INITIALIZER(name)
#define DECLARE_COMPLETION_ONSTACK(name) DECLARE_COMPLETION(name)

static inline void init_completion(struct completion *completion)
{
	*completion = (struct completion)COMPLETION_INITIALIZER(completion);
}

static inline void quire_linux_complete_(struct completion *completion, bool all)
{
	(void)pthread_mutex_lock(&completion->lock);
	if (all)
		completion->done = UINT_MAX;
	else if (completion->done != UINT_MAX)
		completion->done++;
	(void)pthread_cond_broadcast(&completion->changed);
	(void)pthread_mutex_unlock(&completion->lock);
}

#define complete(completion)	 quire_linux_complete_(completion, false)
#define complete_all(completion) quire_linux_complete_(completion, true)

/* What is left of the time, at least 1; 0 if it ran out. */
static inline unsigned long wait_for_completion_timeout(struct completion *completion,
							unsigned long jiffies_max)
{
	struct timespec end = quire_linux_end_(jiffies_max);
	bool is_done;
	int error = 0;

	(void)pthread_mutex_lock(&completion->lock);
	while (completion->done == 0 && error == 0)
		error = pthread_cond_timedwait(&completion->changed, &completion->lock, &end);
	is_done = completion->done != 0;
	if (is_done && completion->done != UINT_MAX)
		completion->done--;
	(void)pthread_mutex_unlock(&completion->lock);
	return is_done ? 1 + quire_linux_left_(&end) : 0;
}

static inline void wait_for_completion(struct completion *completion)
{
	while (wait_for_completion_timeout(completion, 3600UL * HZ) == 0)
		;
}

#endif
