/* SPDX-License-Identifier: MIT */
/*
 * work.c - the worker of an instance, as a task that the scheduler may let run when it is due
 *
 * A worker sleeps until its due time; since time jumps to that of the task that runs next, the
 * scheduler decides how late the worker is.  THERE is asleep or running; HOLDING is STOPPING on
 * behalf of work_hold().
 */
#include "base/errno.h"
#include "machine/clock.h"
#include "machine/sim/internal.h"
#include "machine/work.h"

enum {
	WORKER_NONE,
	WORKER_THERE,
	WORKER_STOPPING,
	WORKER_HOLDING,
	WORKER_HELD,
};

uint64_t clock_now_ns(void)
{
	return sim_run_.now_ns;
}

void sim_pass_ns(uint64_t ns)
{
	sim_run_.now_ns += ns;
}

void sim_sleep_ns(uint64_t ns)
{
	sched_sleep(sim_run_.now_ns + ns, CALLER_PC);
}

void work_init(struct work *work, const struct work_options *options, work_function *run, void *arg)
{
	UNDO(*work);
	*work = (struct work){ .run = run,
			       .arg = arg,
			       .mode = options->mode,
			       .pause_ns = options->pause_ns,
			       .due_ns = WORK_IDLE };
}

static void set_due(struct work *work, uint64_t due_ns)
{
	UNDO(work->due_ns);
	work->due_ns = due_ns;
}

static void set_state(struct work *work, uint32_t state)
{
	UNDO(work->state);
	work->state = state;
}

static void set_running(struct work *work, uint32_t running)
{
	UNDO(work->running);
	work->running = running;
}

/* One turn: the due time is taken first, so that a kick during the turn is kept. */
static uint64_t turn(struct work *work)
{
	uint64_t next;

	set_due(work, WORK_IDLE);
	set_running(work, 1);
	if (sim_mode & MODE_RACE && sim_mode & MODE_RUN)
		race_acquire(work);
	if (sim_mode & MODE_LATE)
		late_pin(sim_run_.current);
	next = work->run(work->arg, sim_run_.now_ns);
	sched_point(POINT_WORK, work, 0, CALLER_PC);
	set_running(work, 0);
	if (next < work->due_ns && next < WORK_EXIT)
		set_due(work, next);
	return next;
}

static void worker(void *arg)
{
	struct work *work = arg;

	while (work->state == WORKER_THERE) {
		if (work->due_ns > sim_run_.now_ns && !work->watch.pressed) {
			sched_sleep(work->due_ns, 0);
			continue;
		}
		if (turn(work) == WORK_EXIT && work->due_ns == WORK_IDLE)
			break;
	}
	set_state(work, work->state == WORKER_HOLDING ? WORKER_HELD : WORKER_NONE);
	sched_wake(work);
}

static void note_attempt(struct work *work, bool refused)
{
	UNDO(work->refused);
	UNDO(work->retry_ns);
	work->refused = refused;
	work->retry_ns = refused ? sim_run_.now_ns + work->pause_ns : 0;
}

static bool may_start(const struct work *work, enum work_caller caller)
{
	if (work->refused != 0 && sim_run_.now_ns < work->retry_ns)
		return false;
	return caller != WORK_CALLER_FREES || (work->due_ns != WORK_IDLE && !sim_in_handler());
}

static void thread_want(struct work *work, enum work_caller caller)
{
	if (work->state != WORKER_NONE || !may_start(work, caller))
		return;
	note_attempt(work, sim_refuses());
	if (work->refused != 0)
		return;
	set_state(work, WORKER_THERE);
	UNDO(work->handle);
	work->handle = sched_spawn("worker", current_task()->cpu, worker, work);
	sim_run_.tasks[work->handle].daemon = true;
}

bool work_needs_callers(const struct work *work)
{
	return work->mode == WORK_INLINE || work->refused != 0;
}

void work_start(struct work *work, enum work_caller caller)
{
	sched_point(POINT_WORK, work, 0, CALLER_PC);
	if (work->mode == WORK_THREAD)
		thread_want(work, caller);
	if (caller == WORK_CALLER_WAITS && work_needs_callers(work))
		(void)work_poll(work);
}

void work_kick(struct work *work, uint64_t due_ns)
{
	struct task *task = &sim_run_.tasks[work->handle];

	sched_point(POINT_WORK, work, 0, CALLER_PC);
	if (sim_mode & MODE_RACE && sim_mode & MODE_RUN)
		race_release(work);
	if (due_ns >= work->due_ns)
		return;
	set_due(work, due_ns);
	if (work->state == WORKER_THERE && task->state == TASK_SLEEPING)
		task->due_ns = due_ns;
}

void work_watch_pressure(struct work *work)
{
	UNDO(work->watch.wanted);
	work->watch.wanted = 1;
}

bool work_take_pressure(struct work *work)
{
	uint32_t pressed = work->watch.pressed;

	sched_point(POINT_WORK, work, 0, CALLER_PC);
	UNDO(work->watch.pressed);
	work->watch.pressed = 0;
	return pressed != 0;
}

enum work_pressure work_pressure(const struct work *work)
{
	return work->watch.wanted && work->state == WORKER_THERE ? WORK_PRESSURE_GROUP
								 : WORK_PRESSURE_UNWATCHED;
}

void sim_press_memory(struct work *work)
{
	struct task *task = &sim_run_.tasks[work->handle];

	sched_point(POINT_WORK, work, 0, CALLER_PC);
	if (work_pressure(work) != WORK_PRESSURE_GROUP)
		return;
	UNDO(work->watch.pressed);
	work->watch.pressed = 1;
	if (task->state == TASK_SLEEPING)
		task->due_ns = sim_run_.now_ns;
}

uint64_t work_poll(struct work *work)
{
	sched_point(POINT_WORK, work, 0, CALLER_PC);
	if (work->running || work->due_ns > sim_run_.now_ns)
		return work->due_ns;
	turn(work);
	return work->due_ns;
}

/* From @stopping to @stopped; the worker makes the last step itself. */
static void stop(struct work *work, uint32_t stopping, uint32_t stopped)
{
	struct task *task = &sim_run_.tasks[work->handle];

	set_state(work, stopping);
	if (!(sim_mode & MODE_RUN)) {
		task->state = TASK_DONE;
		set_state(work, stopped);
		return;
	}
	if (task->state == TASK_SLEEPING)
		task->due_ns = sim_run_.now_ns;
	while (work->state == stopping)
		sched_block(work, CALLER_PC);
}

void work_stop(struct work *work)
{
	sched_point(POINT_WORK, work, 0, CALLER_PC);
	if (work->state == WORKER_THERE)
		stop(work, WORKER_STOPPING, WORKER_NONE);
}

int work_hold(struct work *work)
{
	sched_point(POINT_WORK, work, 0, CALLER_PC);
	if (work->state == WORKER_THERE) {
		stop(work, WORKER_HOLDING, WORKER_HELD);
		if (sim_refuses()) { /* the system still counts the thread */
			set_state(work, WORKER_NONE);
			return -EBUSY;
		}
	}
	set_state(work, WORKER_HELD);
	note_attempt(work, false);
	return 0;
}

void work_unhold(struct work *work)
{
	sched_point(POINT_WORK, work, 0, CALLER_PC);
	if (work->state == WORKER_HELD)
		set_state(work, WORKER_NONE);
}

void work_fork_child(struct work *work)
{
	if (work->running != 0)
		set_due(work, 0);
	if (work->state != WORKER_HELD)
		set_state(work, WORKER_NONE);
	set_running(work, 0);
	UNDO(work->watch.pressed);
	work->watch.pressed = 0;
	note_attempt(work, false);
}
