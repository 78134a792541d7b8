/* SPDX-License-Identifier: MIT */
/*
 * instance/worker.c - making sure that due work is done
 *
 * A call that makes work due (a free, a spill, a drain, an allocation that caches the rest of a
 * batch) kicks the worker; a kick never waits and starts no thread.  Afterwards, with no lock
 * held, the call comes here, so that there is a thread to be kicked:
 *
 *   allocations, drains  start the thread unless they may be in a signal handler (ATOMIC, NOLOCK)
 *   frees                start it if they certainly are not in a handler, and work is due
 *   fast paths           never come here.  A slow path always comes first: a stack that was not used
 *                        since the worker's last visit, or since the fork, is cold.
 *
 * Without a thread (worker:inline, or the system refuses one) callers that may wait do the due
 * work.  Then q->looks is set, every allocation takes its slow path, and reads the clock there.
 * So the first allocation after the due time finds the work, even in a program that would
 * otherwise take only fast paths.  This costs such an allocation about 10 ns, and nothing while
 * there is a thread.
 *
 * looks follows work_needs_callers(): a caller that may have changed the latter comes here
 * afterwards, stores what it read, and checks again after a fence.  So of two concurrent callers,
 * the one that stores last has seen the other's change.
 */
#include "instance/worker.h"

#include <limits.h>

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "instance/holders.h"
#include "instance/instance.h"
#include "instance/module.h"
#include "instance/relief.h"
#include "instance/shrinker.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/work.h"

static void set_looks(struct quire *q, bool looks)
{
	store_relaxed(&q->looks, looks);
	fence_seq_cst(); /* with module_follow() */
	modules_set_looks(q, looks);
}

void worker_follow(struct quire *q)
{
	bool looks = work_needs_callers(&q->work), stored = load_relaxed(&q->looks);

	while (looks != stored) {
		set_looks(q, looks);
		stored = looks;
		fence_seq_cst();
		looks = work_needs_callers(&q->work);
	}
}

static void call(struct quire *q, enum work_caller caller)
{
	work_start(&q->work, caller);
	worker_follow(q);
}

void worker_kick(struct quire *q, uint64_t due_ns)
{
	/* A hint: pairs with the worker's own store of its next due time. */
	if (load_relaxed(&q->work.due_ns) > due_ns)
		work_kick(&q->work, due_ns);
}

void worker_ensure(struct quire *q, unsigned flags)
{
	if ((flags & (QUIRE_ATOMIC | QUIRE_NOLOCK)) || lock_nested())
		return;
	call(q, flags & QUIRE_NOWAIT ? WORK_CALLER_HURRIES : WORK_CALLER_WAITS);
}

void worker_ensure_freed(struct quire *q)
{
	if (!lock_nested())
		call(q, WORK_CALLER_FREES);
}

void worker_look(struct quire *q, unsigned flags)
{
	/* A hint; pairs with the kick that lowers it. */
	uint64_t due_ns = load_relaxed(&q->work.due_ns);

	if (due_ns < WORK_EXIT && clock_now_ns() >= due_ns)
		worker_ensure(q, flags);
}

/* ---- a visit ---- */

/* One visit at a time, and none between worker_exclude_begin() and worker_exclude_end().  What is short comes
 * first, with no lock held, since the program's shrinkers may be called. */
uint64_t worker_run(void *arg, uint64_t now_ns)
{
	struct quire *q = arg;
	uint64_t due_ns, observe_ns;

	if (q->dead)
		return WORK_EXIT;
	relief_run(q, now_ns);
	mutex_acquire(&q->visit_mutex);
	due_ns = modules_tick(q, now_ns);
	mutex_release(&q->visit_mutex);
	observe_ns = modules_observe(q, now_ns);
	return observe_ns < due_ns ? observe_ns : due_ns;
}

struct quire *worker_exclude_begin(const struct quire *q)
{
	struct quire *quiet = (struct quire *)(uintptr_t)q;

	mutex_acquire(&quiet->visit_mutex);
	return quiet;
}

void worker_exclude_end(struct quire *q)
{
	mutex_release(&q->visit_mutex);
}

int quire_poll(struct quire *q)
{
	uint64_t due, now, wait_ms;

	if (q->dead)
		return -EOWNERDEAD;
	due = work_poll(&q->work);
	now = clock_now_ns();
	if (due == WORK_IDLE || due == WORK_EXIT)
		return -1;
	if (due <= now)
		return 0;
	wait_ms = (due - now) / 1000000 + 1;
	return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

/* ---- stopping the worker ---- */

int quire_worker_stop(struct quire *q)
{
	int error = 0;

	if (shrinkers_call_this(q)) /* perhaps on the thread that would be joined */
		misuse("stopped by its shrinker", __func__, q);
	mutex_acquire(&q->worker_mutex);
	if (q->worker_stopped.nr == 0)
		error = work_hold(&q->work);
	if (!error)
		(void)holders_add(&q->worker_stopped);
	mutex_release(&q->worker_mutex);
	worker_follow(q);
	return error;
}

void quire_worker_start(struct quire *q)
{
	mutex_acquire(&q->worker_mutex);
	if (holders_drop(&q->worker_stopped, q, "quire_worker_start"))
		work_unhold(&q->work);
	mutex_release(&q->worker_mutex);
	/* A hint; pairs with kicks. */
	if (load_relaxed(&q->work.due_ns) < WORK_EXIT)
		call(q, WORK_CALLER_WAITS);
}

void worker_fork_child(struct quire *q)
{
	mutex_acquire(&q->worker_mutex);
	if (holders_fork_child(&q->worker_stopped))
		work_unhold(&q->work);
	mutex_release(&q->worker_mutex);
}

void worker_retire(struct quire *q)
{
	mutex_acquire(&q->worker_mutex);
	if (q->worker_stopped.nr == 0 && work_hold(&q->work) == 0) {
		work_refuse(&q->work);
		work_unhold(&q->work);
	}
	mutex_release(&q->worker_mutex);
	worker_follow(q);
}
