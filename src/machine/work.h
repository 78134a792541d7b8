/* SPDX-License-Identifier: MIT */
/*
 * work.h - one worker per instance: "run this later, once"
 *
 * The function does the work that is due and returns the time at which it wants to run next.  The
 * thread exists from the first work_start() until the function returns WORK_EXIT; while nothing is
 * scheduled it sleeps in the kernel.  It has all signals blocked and a small stack that Quire maps.
 *
 * Every caller that may have made work due calls work_start(), and states what work_start() may do.
 * work_kick() never waits, never allocates and never starts a thread: legal in a signal handler.
 * With WORK_INLINE, work_start() runs the work that is due, in callers that may wait.  It also does so
 * while the system refuses the thread, which is retried every retry_ns.  With WORK_OFF only
 * work_poll() runs the work.
 */
#ifndef MACHINE_WORK_H
#define MACHINE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum work_mode {
	WORK_THREAD,
	WORK_INLINE,
	WORK_OFF,
};

struct work_options {
	enum work_mode mode;
	uint64_t pause_ns; /* after the system refused a thread it is asked again so much later */
	const uint64_t *isolated_cpus; /* the thread stays off them; lives as long; NULL: none */
	size_t isolated_words;
};

#define WORK_IDLE UINT64_MAX	   /* nothing is due until work_kick() */
#define WORK_EXIT (UINT64_MAX - 1) /* nothing will be due: the thread ends */

/* Does what is due at @now_ns; returns the time it wants to run next, WORK_IDLE or WORK_EXIT. */
typedef uint64_t work_function(void *arg, uint64_t now_ns);

/* Who calls work_start(). */
enum work_caller {
	WORK_CALLER_FREES,   /* perhaps in a handler: starts the thread if it is known not to be */
	WORK_CALLER_HURRIES, /* ordinary context, may not wait: starts the thread */
	WORK_CALLER_WAITS,   /* without a thread it also does what is due */
};

struct work {
	work_function *run;
	void *arg;
	enum work_mode mode;
	uint64_t due_ns;     /* atomic: WORK_IDLE if nothing is due */
	uint32_t state;	     /* atomic: futex word: none, running, asleep, stopping */
	uint32_t generation; /* futex word that kicks change */
	uint64_t handle;     /* the machine's: thread */
	uint32_t thread_id;  /* the system's, the thread's own until it is joined */
	void *stack;	     /* and its size, the guard page included */
	size_t stack_bytes;
	uint32_t running;  /* atomic: work_poll() lets one caller in */
	uint32_t refused;  /* atomic: the system gave no thread when it was last asked */
	uint64_t retry_ns; /* atomic: refused, it is not asked again before then */
	uint64_t pause_ns; /* (c) from one attempt to the next */
	const uint64_t *isolated_cpus; /* (c) */
	size_t isolated_words;	       /* (c) */
};

void work_init(struct work *work, const struct work_options *options, work_function *run,
	       void *arg);
/* Something may be due: makes sure that it will be done, as far as @caller may. */
void work_start(struct work *work, enum work_caller caller);
/* Nobody but callers of work_start() and work_poll() does what is due: inline, or no thread to be had. */
bool work_needs_callers(const struct work *work);
void work_kick(struct work *work, uint64_t due_ns);
/* Runs what is due in the caller.  Returns the next due time as the function does. */
uint64_t work_poll(struct work *work);
/* Stops and joins the thread; nothing runs afterwards. */
void work_stop(struct work *work);
/* Stops and joins the thread, if any, and there is none until work_unhold(); what is due stays due, and
 * callers of work_start() do not do it.
 * -EBUSY if the system does not forget it in time: then nothing is held.  Holders do not nest, and
 * come one at a time. */
int work_hold(struct work *work);
void work_unhold(struct work *work);
/* In the child of a fork: the thread is gone; unless held it is started again by the next work_start().  What it
 * had taken in hand is due again. */
void work_fork_child(struct work *work);

#endif
