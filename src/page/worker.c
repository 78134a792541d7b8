/* SPDX-License-Identifier: MIT */
/*
 * page/worker.c - who does what is due
 *
 * Whatever makes something due (a free, a spill, a drain, an allocation that caches the rest of a
 * batch) kicks the worker, which never waits and starts nothing.  Then, with no lock held, it comes
 * here, so that there is a thread to be kicked:
 *
 *   allocations, drains  start the thread unless they may be in a signal handler (ATOMIC, NOLOCK)
 *   frees                start it if they are known to be in none, and something is due
 *   fast paths           never come here.  There is always a slow path first: a stack that nobody
 *                        has used since the worker was last there, or since the fork, is cold.
 *
 * Without a thread (worker:inline; the system gives none) callers that may wait do what is due.
 * Then q->looks is set, every allocation takes its slow path, and looks at the clock there: so due
 * work is found by the first allocation after its time, also in a program whose every call would be
 * fast.  It costs such an allocation some 10 ns, and nothing as long as there is a thread.
 *
 * looks follows work_needs_callers(): whoever may have changed that comes here afterwards, stores
 * what it found, and looks again after a fence.  So of two that came at once the one that stored last
 * has seen the other's change.
 */
#include "page/worker.h"

#include <quire/quire.h>

#include "base/errno.h"
#include "instance/holders.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/work.h"
#include "page/giveback.h"
#include "page/instance.h"
#include "page/module.h"

static void set_looks(struct quire *q, bool looks)
{
	store_relaxed(&q->looks, looks);
	fence_seq_cst(); /* with module_follow() */
	if (!q->dead)
		store_relaxed(&q->fast_flags_end, looks ? 0 : q->fast_flags_most);
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

void module_start_worker(struct quire *q, unsigned flags)
{
	if ((flags & (QUIRE_ATOMIC | QUIRE_NOLOCK)) || lock_nested())
		return;
	call(q, flags & QUIRE_NOWAIT ? WORK_CALLER_HURRIES : WORK_CALLER_WAITS);
}

void module_start_worker_freed(struct quire *q)
{
	if (!lock_nested())
		call(q, WORK_CALLER_FREES);
}

void module_look(struct quire *q, unsigned flags)
{
	/* A hint; pairs with the kick that lowers it. */
	uint64_t due_ns = load_relaxed(&q->work.due_ns);

	if (due_ns < WORK_EXIT && clock_now_ns() >= due_ns)
		module_start_worker(q, flags);
}

/* ---- a visit ---- */

/* The modules' part comes after the pages': their locks are taken before giveback_mutex, not under it. */
static uint64_t visit(struct quire *q, uint64_t now_ns)
{
	uint64_t due_ns = giveback_tick(q, now_ns);
	uint64_t modules_due_ns = modules_tick(q, now_ns);

	if (modules_due_ns < WORK_EXIT)
		return modules_due_ns < due_ns ? modules_due_ns : due_ns;
	if (modules_due_ns == WORK_IDLE)
		return due_ns == WORK_EXIT ? WORK_IDLE : due_ns;
	return due_ns == WORK_IDLE && giveback_nothing_left(q) ? WORK_EXIT : due_ns;
}

/* One visit at a time, and none while somebody wants the instance still. */
uint64_t worker_run(void *arg, uint64_t now_ns)
{
	struct quire *q = arg;
	uint64_t due_ns;

	if (q->dead)
		return WORK_EXIT;
	mutex_acquire(&q->visit_mutex);
	due_ns = visit(q, now_ns);
	mutex_release(&q->visit_mutex);
	return due_ns;
}

void worker_still_begin(struct quire *q)
{
	mutex_acquire(&q->visit_mutex);
}

void worker_still_end(struct quire *q)
{
	mutex_release(&q->visit_mutex);
}

int quire_poll(struct quire *q)
{
	uint64_t due, now;

	if (q->dead)
		return -EOWNERDEAD;
	due = work_poll(&q->work);
	now = clock_now_ns();
	if (due == WORK_IDLE || due == WORK_EXIT)
		return 0;
	return due <= now ? 1 : (int)((due - now) / 1000000 + 1);
}

/* ---- without it for a moment ---- */

int quire_worker_stop(struct quire *q)
{
	int error = 0;

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
	if (holders_drop(&q->worker_stopped, "quire_worker_start"))
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
