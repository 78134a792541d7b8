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

/* Lets one waiter go, or @all of now and later. */
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

static inline void reinit_completion(struct completion *completion)
{
	(void)pthread_mutex_lock(&completion->lock);
	completion->done = 0;
	(void)pthread_mutex_unlock(&completion->lock);
}

#define complete(completion)	 quire_linux_complete_(completion, false)
#define complete_all(completion) quire_linux_complete_(completion, true)

/* Takes one of the events, or one of those for ever; false if there is none. */
static inline bool quire_linux_take_event_(struct completion *completion)
{
	bool is_done = completion->done != 0;

	if (is_done && completion->done != UINT_MAX)
		completion->done--;
	return is_done;
}

static inline bool try_wait_for_completion(struct completion *completion)
{
	bool is_done;

	(void)pthread_mutex_lock(&completion->lock);
	is_done = quire_linux_take_event_(completion);
	(void)pthread_mutex_unlock(&completion->lock);
	return is_done;
}

static inline bool completion_done(struct completion *completion)
{
	bool is_done;

	(void)pthread_mutex_lock(&completion->lock);
	is_done = completion->done != 0;
	(void)pthread_mutex_unlock(&completion->lock);
	return is_done;
}

/* What is left of the time, at least 1; 0 if it ran out. */
static inline unsigned long wait_for_completion_timeout(struct completion *completion,
							unsigned long jiffies_max)
{
	struct timespec end = quire_linux_end_(jiffies_max);
	bool is_done;
	int error = 0;

	(void)pthread_mutex_lock(&completion->lock);
	while (completion->done == 0 && error == 0)
		error = pthread_cond_clockwait(&completion->changed, &completion->lock,
					       CLOCK_MONOTONIC, &end);
	is_done = quire_linux_take_event_(completion);
	(void)pthread_mutex_unlock(&completion->lock);
	return is_done ? max_t(unsigned long, quire_linux_left_(&end), 1) : 0;
}

static inline void wait_for_completion(struct completion *completion)
{
	while (wait_for_completion_timeout(completion, 3600UL * HZ) == 0)
		;
}

#endif
