/* SPDX-License-Identifier: MIT */
/*
 * work.h - one worker per instance: "run this later, once"
 *
 * The worker's function does the work that is due and returns the time at which it wants to run
 * next.  In mode WORK_THREAD a thread runs it.  The thread exists from the first work_start() until
 * the function returns WORK_EXIT; while nothing is due it sleeps in the kernel.  It has all signals
 * blocked and a small stack that Quire maps.
 *
 * work_kick() makes work due.  It never waits, never allocates and never starts a thread, so it is
 * legal in a signal handler.  A caller that may have made work due also calls work_start(), and
 * states as an enum work_caller what work_start() may do.
 *
 * In mode WORK_INLINE, work_start() runs due work in callers that may wait.  It also does so in
 * mode WORK_THREAD while the system refuses the thread; the thread is requested again every
 * pause_ns.  In mode WORK_OFF only work_poll() runs the work.
 *
 * Memory pressure.  Once the function has asked for that, the thread watches in its sleep whether memory is
 * short in the process's group or in the system, and then runs the function at once, due or not.
 * There is no watch without a thread.
 */
#ifndef MACHINE_WORK_H
#define MACHINE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/atomic.h"

enum work_mode {
	WORK_THREAD,
	WORK_INLINE,
	WORK_OFF,
};

struct work_options {
	enum work_mode mode;
	uint64_t pause_ns;	       /* from a refusal of the thread to the next attempt */
	const uint64_t *isolated_cpus; /* the thread avoids them; not copied; NULL: none */
	size_t isolated_words;
};

#define WORK_IDLE UINT64_MAX	   /* nothing is due until work_kick() */
#define WORK_EXIT (UINT64_MAX - 1) /* nothing will be due, so the thread ends */

/* Does what is due at @now_ns.  Returns the time at which it wants to run next, WORK_IDLE or
 * WORK_EXIT. */
typedef uint64_t work_function(void *arg, uint64_t now_ns);

/* What the caller of work_start() allows. */
enum work_caller {
	WORK_CALLER_FREES,   /* starts the thread unless it may be in a signal handler */
	WORK_CALLER_HURRIES, /* ordinary context, must not wait: starts the thread */
	WORK_CALLER_WAITS,   /* may wait: starts the thread, or does what is due if there is none */
};

/* Of what the thread notices memory pressure. */
enum work_pressure {
	WORK_PRESSURE_UNWATCHED, /* nothing: not asked for, or there is no thread */
	WORK_PRESSURE_REFUSED,	 /* nothing: the system refused it */
	WORK_PRESSURE_GROUP,	 /* of the process's cgroup */
	WORK_PRESSURE_SYSTEM,	 /* of the whole system */
};

/* The thread's, but for what says atomic. */
struct work_watch {
	uint32_t wanted;  /* atomic */
	uint32_t state;	  /* atomic: enum work_pressure */
	uint32_t pressed; /* atomic: there was pressure, and the function has not yet been told */
	int32_t trigger;  /* descriptor; -1: none */
	int32_t timer;	  /* atomic: likewise; wakes the thread */
	uint64_t file;	  /* which the trigger is of */
	int32_t error;	  /* why there is none: -errno */
	uint64_t retry_ns;
};

struct work {
	work_function *run;
	void *arg;
	enum work_mode mode;
	uint64_t due_ns;     /* atomic: WORK_IDLE if nothing is due */
	uint32_t state;	     /* atomic: futex word: none, running, asleep, stopping */
	uint32_t generation; /* futex word; every kick changes it */
	uint64_t handle;     /* of the thread, in the machine's terms */
	uint32_t thread_id;  /* the system's; the thread writes it, read only after the join */
	void *stack;	     /* of the thread */
	size_t stack_bytes;  /* including the guard page */
	uint32_t running;    /* atomic: 1 while a thread runs the function; only one may */
	uint32_t refused;    /* atomic: the last attempt to start the thread failed */
	uint64_t retry_ns;   /* atomic: after a refusal, no attempt before this time */
	uint64_t pause_ns;   /* (c) from one attempt to the next */
	const uint64_t *isolated_cpus; /* (c) */
	size_t isolated_words;	       /* (c) */
	struct work_watch watch;
};

void work_init(struct work *work, const struct work_options *options, work_function *run,
	       void *arg);
/* Called when work may be due.  Ensures that it will be done, as far as @caller allows. */
void work_start(struct work *work, enum work_caller caller);
/* True if due work is done only in calls of work_start() and work_poll(): the mode is WORK_INLINE,
 * or the system refuses the thread, as which it counts where none may be made: in a child of a process that had other
 * threads than workers. */
bool work_needs_callers(const struct work *work);
/* Makes work due at @due_ns at the latest. */
void work_kick(struct work *work, uint64_t due_ns);
/* Runs due work in the caller.  Returns the next due time as the function does. */
uint64_t work_poll(struct work *work);
/* Makes the thread watch for memory pressure from its next sleep on. */
void work_watch_pressure(struct work *work);
/* For the function: whether there was pressure since it last asked. */
bool work_take_pressure(struct work *work);
/* A hint. */
enum work_pressure work_pressure(const struct work *work);
/* Stops and joins the thread.  Nothing runs afterwards. */
void work_stop(struct work *work);
/* No thread is asked for from here on, as if the system refused one for ever: callers do the work.  The caller
 * holds the work (work_hold()).  A child of fork may have a thread again. */
static inline void work_refuse(struct work *work)
{
	store_relaxed(&work->retry_ns, UINT64_MAX); /* a hint: pairs with may_start() */
	store_release(&work->refused, UINT32_C(1)); /* pairs with work_needs_callers() */
}
/*
 * Stops and joins the thread, if there is one, and prevents a new one until work_unhold().  Due
 * work stays due, and work_start() does not run it.  Returns 0; or -EBUSY if the system still
 * counts the thread after a while, and then nothing is held.  Only one holder at a time; holds do
 * not nest.
 */
int work_hold(struct work *work);
void work_unhold(struct work *work);
/* For the child of a fork, where the thread does not exist.  The next work_start() may start it
 * again, unless it is held.  A run that the fork interrupted is due again. */
void work_fork_child(struct work *work);

#endif
