/* SPDX-License-Identifier: MIT */
/*
 * work.c - one worker per instance
 *
 *   from       when                                           to         by
 *   NONE       work_start, and there is a free thread         THERE      starter
 *   THERE      WORK_EXIT, and nothing is due                  NONE       thread
 *   THERE      work_stop, work_hold                           STOPPING   stopper
 *   STOPPING   the thread has seen it                         NONE       thread
 *   NONE       work_hold                                      HELD       holder
 *   HELD       work_unhold                                    NONE       holder
 *
 * One lock guards state, due_ns and generation of all workers; it masks interrupts, so a handler may kick.  The thread
 * sleeps until its due time, or until a kick changes the generation.  It frees itself: a stopper waits for the state and
 * not for the thread, which touches nothing of the instance after that.
 *
 * Nothing here knows of memory pressure.
 */
#include "machine/work.h"

#include "base/check.h"
#include "machine/bare/spin.h"
#include "machine/bare/threads.h"
#include "machine/clock.h"
#include "machine/lock.h"

enum {
	WORKER_NONE,
	WORKER_THERE,
	WORKER_STOPPING,
	WORKER_HELD,
};

static struct spin workers;

void work_init(struct work *work, const struct work_options *options, work_function *run, void *arg)
{
	*work = (struct work){ .run = run,
			       .arg = arg,
			       .mode = options->mode,
			       .pause_ns = options->pause_ns,
			       .due_ns = WORK_IDLE };
}

/* ---- one run ---- */

static bool run_begin(struct work *work)
{
	return spin_take(&work->running);
}

static void run_end(struct work *work)
{
	store_release(&work->running, UINT32_C(0)); /* pairs with run_begin() */
	thread_wake(&work->running, UINT32_MAX);
}

/* What is due is taken out first, so that a kick during the run is kept. */
static uint64_t run_due(struct work *work, uint64_t now_ns)
{
	uint64_t next_ns;

	(void)exchange_acq_rel(&work->due_ns, (uint64_t)WORK_IDLE);
	next_ns = work->run(work->arg, now_ns);
	if (next_ns < WORK_EXIT)
		work_kick(work, next_ns);
	return next_ns;
}

uint64_t work_poll(struct work *work)
{
	uint64_t now_ns = clock_now_ns(), next_ns;

	if (load_acquire(&work->due_ns) > now_ns || !run_begin(work))
		return load_relaxed(&work->due_ns);
	next_ns = run_due(work, now_ns);
	run_end(work);
	return next_ns == WORK_EXIT ? WORK_EXIT : load_relaxed(&work->due_ns);
}

/* ---- the thread ---- */

static void set_state(struct work *work, uint32_t state)
{
	store_release(&work->state, state); /* pairs with stop() */
	thread_wake(&work->state, UINT32_MAX);
}

/* After @next_ns: ends if there is nothing to do, or if it shall.  Returns whether the thread is none any more. */
static bool leave(struct work *work, uint64_t next_ns)
{
	uint64_t flags = spin_acquire(&workers);
	bool leaves = work->state == WORKER_STOPPING ||
		      (next_ns == WORK_EXIT && work->due_ns == WORK_IDLE);

	if (leaves)
		set_state(work, WORKER_NONE);
	spin_release(&workers, flags);
	return leaves;
}

static void worker(void *arg)
{
	struct work *work = arg;
	uint64_t next_ns = WORK_IDLE;

	while (!leave(work, next_ns)) {
		uint32_t generation = load_acquire(&work->generation); /* pairs with change() */
		uint64_t due_ns = load_acquire(&work->due_ns), now_ns = clock_now_ns();

		next_ns = WORK_IDLE;
		if (load_acquire(&work->state) == WORKER_STOPPING)
			continue;
		if (due_ns > now_ns) {
			thread_wait(&work->generation, generation, due_ns);
		} else if (run_begin(work)) {
			next_ns = run_due(work, now_ns);
			run_end(work);
		} else {
			thread_wait(&work->running, 1, THREAD_WAIT_FOREVER);
		}
	}
}

static void start_locked(struct work *work)
{
	bool made;

	CHECK(spin_is_held(&workers));
	made = thread_create(worker, work, true) != NULL;
	if (made)
		store_relaxed(&work->state, (uint32_t)WORKER_THERE);
	store_relaxed(&work->retry_ns, made ? 0 : clock_now_ns() + work->pause_ns);
	store_release(&work->refused, (uint32_t)!made); /* pairs with work_needs_callers() */
}

static bool may_start_locked(const struct work *work, enum work_caller caller)
{
	CHECK(spin_is_held(&workers));
	if (work->state != WORKER_NONE)
		return false;
	if (work->refused != 0 && clock_now_ns() < work->retry_ns)
		return false;
	return caller != WORK_CALLER_FREES || (work->due_ns != WORK_IDLE && !lock_nested());
}

bool work_needs_callers(const struct work *work)
{
	return work->mode == WORK_INLINE || load_acquire(&work->refused) != 0;
}

void work_start(struct work *work, enum work_caller caller)
{
	if (work->mode == WORK_THREAD && load_relaxed(&work->state) == WORKER_NONE) {
		uint64_t flags = spin_acquire(&workers);

		if (may_start_locked(work, caller))
			start_locked(work);
		spin_release(&workers, flags);
	}
	if (caller == WORK_CALLER_WAITS && work_needs_callers(work))
		(void)work_poll(work);
}

/* Wakes the thread to look at what has changed. */
static void change_locked(struct work *work)
{
	CHECK(spin_is_held(&workers));
	(void)fetch_add_acq_rel(&work->generation, UINT32_C(1)); /* pairs with worker() */
	thread_wake(&work->generation, UINT32_MAX);
}

void work_kick(struct work *work, uint64_t due_ns)
{
	uint64_t flags = spin_acquire(&workers);

	if (due_ns < work->due_ns) {
		store_release(&work->due_ns, due_ns); /* pairs with work_poll() */
		change_locked(work);
	}
	spin_release(&workers, flags);
}

void work_watch_pressure(struct work *work)
{
	store_relaxed(&work->watch.wanted, UINT32_C(1));
}

bool work_take_pressure(struct work *work)
{
	(void)work;
	return false;
}

enum work_pressure work_pressure(const struct work *work)
{
	(void)work;
	return WORK_PRESSURE_UNWATCHED;
}

/* ---- the end ---- */

/* Until there is no thread; then the state is @stopped. */
static void stop(struct work *work, uint32_t stopped)
{
	for (;;) {
		uint64_t flags = spin_acquire(&workers);
		uint32_t state = work->state;

		if (state == WORKER_NONE)
			store_relaxed(&work->state, stopped);
		if (state == WORKER_THERE) {
			store_relaxed(&work->state, (uint32_t)WORKER_STOPPING);
			change_locked(work);
		}
		spin_release(&workers, flags);
		if (state == WORKER_NONE || state == WORKER_HELD)
			return;
		thread_wait(&work->state, WORKER_STOPPING, THREAD_WAIT_FOREVER);
	}
}

void work_stop(struct work *work)
{
	stop(work, WORKER_NONE);
}

int work_hold(struct work *work)
{
	stop(work, WORKER_HELD);
	store_release(&work->refused, UINT32_C(0));
	return 0;
}

void work_unhold(struct work *work)
{
	uint64_t flags = spin_acquire(&workers);

	if (work->state == WORKER_HELD)
		store_relaxed(&work->state, (uint32_t)WORKER_NONE);
	spin_release(&workers, flags);
}

/* No fork: only a member's fork_child() calls it. */
void work_fork_child(struct work *work)
{
	(void)work;
}
