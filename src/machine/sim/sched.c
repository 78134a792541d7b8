/* SPDX-License-Identifier: MIT */
/*
 * sched.c - choosing the next task, and the actions at its points
 *
 * One host thread, many fibers.  The scenario's body is task 0; it runs alone while it sets up and
 * while it checks, and sleeps while sim_run() runs the others.  At a point the strategy either
 * continues (no action) or picks one of the actions that are possible there.  If the running task
 * cannot continue (it waits, or has ended), the default is the next task in cyclic order.
 *
 * Which task may run:
 *   - it is runnable, or sleeps until a known time (time then jumps, since the speed of a CPU
 *     relative to the clock is not modelled);
 *   - UP: no other task of the CPU holds a spin lock (preemption is off);
 *   - RT: no task of a higher level is runnable on its CPU.
 *
 * A livelock is a run of more than step_limit points.  A task that takes SCHED_FAIR_STEPS points
 * while others could run has to let one go first, so that a loop which waits for another task
 * ends.
 */
#include <stdio.h>
#include <string.h>

#include "machine/sim/internal.h"

/* ---- tasks ---- */

static bool blocked_by_config(const struct task *task)
{
	for (unsigned i = 1; i < sim_run_.tasks_nr; i++) {
		const struct task *other = &sim_run_.tasks[i];

		if (other == task || other->cpu != task->cpu || other->state == TASK_DONE)
			continue;
		if (sim_opt.config == SIM_UP && (other->spin_nr != 0 || other->irq_depth != 0) &&
		    other->state == TASK_RUNNABLE)
			return true;
		if (other->level > task->level && other->state == TASK_RUNNABLE)
			return true;
	}
	return false;
}

static inline bool eligible(const struct task *task)
{
	if (task->state == TASK_BLOCKED || task->state == TASK_DONE)
		return false;
	if (task->state == TASK_SLEEPING && task->due_ns == UINT64_MAX)
		return false;
	return sim_opt.config == SIM_SMP || !blocked_by_config(task);
}

bool sched_eligible(const struct task *task)
{
	return eligible(task);
}

static void task_ended(struct task *task)
{
	lock_check_task_end(task);
	if (sim_mode & MODE_BUFFER)
		buffer_drain_all(task);
	task->state = TASK_DONE;
	sched_wake(task);
	sched_block(task, CALLER_PC);
}

void sched_task_entry(void)
{
	struct task *task = current_task();

	sched_point(POINT_NOTE, task, 0, (uintptr_t)task->body);
	task->body(task->arg);
	sched_point(POINT_NOTE, task, 0, (uintptr_t)task->body);
	task_ended(task);
}

uint8_t sched_spawn(const char *name, unsigned cpu, void (*body)(void *arg), void *arg)
{
	unsigned index = sim_run_.tasks_nr;
	struct task *task = &sim_run_.tasks[index];

	if (index == TASKS_MAX)
		sim_fail("scenario", "too many tasks");
	memset(task, 0, offsetof(struct task, held));
	*task = (struct task){
		.body = body,
		.arg = arg,
		.name = name,
		.cpu = (uint16_t)cpu,
		.context = fiber_make(arena_stack_end(index), sched_task_entry),
		.next_deviation = STEP_NEVER,
	};
	sim_run_.tasks_nr++;
	if (sim_mode & MODE_RUN) {
		strategy_task_started(task);
		if (sim_mode & MODE_RACE)
			race_spawn(sim_run_.current, index);
		if (sim_mode & MODE_LATE)
			late_pin(index);
	}
	return (uint8_t)index;
}

/* ---- switching ---- */

/* @task takes over its CPU: the task that was running there is preempted. */
static void enter_cpu(struct task *task)
{
	uint8_t index = (uint8_t)(task - sim_run_.tasks);
	uint8_t last = sim_run_.last_on_cpu[task->cpu];

	if (last == index)
		return;
	if (last != NO_TASK) {
		struct task *before = &sim_run_.tasks[last];

		if (before->cpu == task->cpu && before->in_seq) {
			before->seq_abort = true;
			sim_run_.upsets_left -= sim_run_.upsets_left != 0;
		}
		if (sim_mode & MODE_BUFFER)
			while (before->buffer_nr != 0)
				buffer_drain_one(before, 0);
		if (sim_mode & MODE_RACE)
			race_cpu_leave(last, task->cpu);
	}
	if (sim_mode & MODE_RACE)
		race_cpu_enter(index, task->cpu);
	if (sim_mode & MODE_LATE)
		late_pin(index);
	sim_run_.last_on_cpu[task->cpu] = index;
}

static inline __attribute__((always_inline)) void switch_to(uint8_t next)
{
	struct task *from = current_task(), *to = &sim_run_.tasks[next];

	if (from == to)
		return;
	if (sim_mode & MODE_BUFFER)
		buffer_unapply(from);
	if (next != 0)
		sim_run_.switches++;
	sim_run_.current = next;
	sim_task = to;
	if (to->state == TASK_SLEEPING) {
		if (to->due_ns > sim_run_.now_ns)
			sim_run_.now_ns = to->due_ns;
		to->state = TASK_RUNNABLE;
	}
	if (next != 0)
		enter_cpu(to);
	if (sim_mode & MODE_RACE)
		race_set_task(next);
	if (sim_mode & MODE_BUFFER)
		buffer_apply(to);
	sim_run_.fair_step = sim_run_.steps + SCHED_FAIR_STEPS;
	sched_set_next_step();
	fiber_switch_here(&from->context, to->context);
}

void sched_set_next_step(void)
{
	uint32_t step = sim_run_.strategy_step;

	if (sim_run_.fair_step < step)
		step = sim_run_.fair_step;
	if (sim_opt.step_limit < step)
		step = sim_opt.step_limit;
	sim_run_.next_step = step;
}

/* ---- actions ---- */

static bool irq_allowed(const struct task *task, const struct irq *irq)
{
	return irq->times != 0 && irq->cpu == task->cpu && task->irq_depth < 2 && !task->irq_off &&
	       sim_run_.last_on_cpu[task->cpu] == sim_run_.current;
}

static bool rt(void)
{
	return sim_opt.config == SIM_UP_RT || sim_opt.config == SIM_SMP_RT;
}

_Static_assert(ACTIONS_MAX > TASKS_MAX, "there is room for a switch to each task");

static void add_action(struct action *list, unsigned *nr, enum action_kind kind, unsigned arg)
{
	if (*nr < ACTIONS_MAX)
		list[(*nr)++] = (struct action){ .kind = (uint8_t)kind, .arg = (uint16_t)arg };
}

/* Switching to @task would abort a sequence. */
static bool aborts(const struct task *task)
{
	uint8_t last = sim_run_.last_on_cpu[task->cpu];
	const struct task *before = &sim_run_.tasks[last == NO_TASK ? 0 : last];

	return last != NO_TASK && before != task && before->cpu == task->cpu && before->in_seq;
}

static inline unsigned add_switches_between(struct action *list, unsigned nr, unsigned first,
					    unsigned last)
{
	bool may_abort = sim_run_.upsets_left != 0;

	for (unsigned i = first; i < last; i++) {
		const struct task *task = &sim_run_.tasks[i];

		if (eligible(task) && (may_abort || !aborts(task)))
			list[nr++] = (struct action){ .kind = ACT_SWITCH, .arg = (uint16_t)i };
	}
	return nr;
}

/* In cyclic order, from the running task on. */
static void add_switches(struct action *list, unsigned *nr)
{
	unsigned self = sim_run_.current;

	*nr = add_switches_between(list, *nr, self + 1, sim_run_.tasks_nr);
	*nr = add_switches_between(list, *nr, 1, self);
}

static void add_drains(struct action *list, unsigned *nr)
{
	for (unsigned i = 1; i < sim_run_.tasks_nr; i++) {
		unsigned most = sim_opt.model == SIM_TSO ? 1 : BUFFER_MAX;

		if (sim_run_.tasks[i].buffer_nr < most)
			most = sim_run_.tasks[i].buffer_nr;
		for (unsigned j = 0; j < most; j++)
			if (buffer_can_drain(&sim_run_.tasks[i], j))
				add_action(list, nr, ACT_DRAIN, i << 8 | j);
	}
}

/* Aborts and migrations.  A run has a limited number, since a sequence that is always aborted never
 * ends. */
static void add_upsets(const struct task *task, struct action *list, unsigned *nr)
{
	if (task->in_seq && !task->seq_abort && sim_opt.events & SIM_ABORT)
		add_action(list, nr, ACT_ABORT, 0);
	if (!(sim_opt.events & SIM_MIGRATE) || task->irq_depth != 0)
		return;
	if (task->spin_nr != 0 && sim_opt.config == SIM_UP)
		return;
	for (unsigned cpu = 0; cpu < sim_opt.cpus_nr; cpu++)
		if (cpu != task->cpu)
			add_action(list, nr, ACT_MIGRATE, cpu);
}

static void add_events(const struct task *task, struct action *list, unsigned *nr)
{
	for (unsigned i = 0; i < sim_run_.irqs_nr; i++)
		if (irq_allowed(task, &sim_run_.irqs[i]))
			add_action(list, nr, ACT_IRQ, i);
	if (sim_run_.upsets_left != 0)
		add_upsets(task, list, nr);
	if (sim_mode & MODE_BUFFER)
		add_drains(list, nr);
}

static void run_irq(struct task *task, struct irq *irq)
{
	bool in_seq;

	irq->times--;
	if (rt()) {
		struct task *handler = &sim_run_.tasks[irq->task];

		handler->state = TASK_RUNNABLE;
		switch_to(irq->task);
		return;
	}
	in_seq = task->in_seq;
	task->in_seq = false; /* the handler has not begun one */
	task->irq_depth++;
	trace_note("interrupt", 0);
	irq->body(irq->arg);
	sched_point(POINT_NOTE, irq, 0, (uintptr_t)irq->body);
	trace_note("return from interrupt", 0);
	task->irq_depth--;
	task->in_seq = in_seq;
	task->seq_abort = in_seq;
}

static void migrate(struct task *task, unsigned cpu)
{
	if (task->in_seq)
		task->seq_abort = true;
	if (sim_mode & MODE_BUFFER)
		buffer_drain_all(task);
	if (sim_mode & MODE_RACE)
		race_cpu_leave(sim_run_.current, task->cpu);
	if (sim_run_.last_on_cpu[task->cpu] == sim_run_.current)
		sim_run_.last_on_cpu[task->cpu] = NO_TASK;
	task->cpu = (uint16_t)cpu;
	enter_cpu(task);
	trace_note("migrates to CPU", cpu);
}

static void drain(unsigned arg)
{
	struct task *task = current_task(), *owner = &sim_run_.tasks[arg >> 8];

	if (task == owner) {
		buffer_drain_one(owner, arg & 255);
		return;
	}
	buffer_unapply(task);
	buffer_drain_one(owner, arg & 255);
	buffer_apply(task);
}

/* Any action but a switch. */
static NOINLINE void perform(struct task *task, struct action action)
{
	switch (action.kind) {
	case ACT_IRQ:
		run_irq(task, &sim_run_.irqs[action.arg]);
		break;
	case ACT_MIGRATE:
		sim_run_.upsets_left--;
		migrate(task, action.arg);
		break;
	case ACT_ABORT:
		sim_run_.upsets_left--;
		task->seq_abort = true;
		trace_note("sequence aborted", 0);
		break;
	case ACT_DRAIN:
		drain(action.arg);
		break;
	default:
		break;
	}
}

static inline void check_livelock(const struct task *task)
{
	if (sim_run_.steps >= sim_opt.step_limit)
		sim_fail("livelock", "%u scheduling points and no end; %s on CPU %u was last",
			 sim_run_.steps, task->name, task->cpu);
}

/* At the points at which the scheduler may act. */
static inline __attribute__((always_inline)) void decide(struct task *task)
{
	static struct action actions[ACTIONS_MAX];
	unsigned nr = 1, choice;

	check_livelock(task);
	if (sim_run_.steps >= sim_run_.fair_step) {
		sched_fair(task);
		return;
	}
	actions[0] = (struct action){ .kind = ACT_CONTINUE };
	add_switches(actions, &nr);
	add_events(task, actions, &nr);
	choice = strategy_choose(actions, nr, false);
	sim_run_.strategy_step = strategy_next_step(sim_run_.steps);
	sched_set_next_step();
	if (actions[choice].kind == ACT_SWITCH)
		switch_to((uint8_t)actions[choice].arg);
	else if (choice != 0)
		perform(task, actions[choice]);
}

void sim_point_slow(struct task *task)
{
	decide(task);
}

void sched_deciding_point(enum point_kind kind, const volatile void *addr)
{
	decide(current_task());
	hash_point(kind, addr);
}

/* The task may be waiting in a loop for another one: lets one run. */
void sched_fair(struct task *task)
{
	struct action actions[ACTIONS_MAX];
	unsigned nr = 0;

	if (sim_mode & MODE_BUFFER)
		buffer_drain_all(task);
	add_switches(actions, &nr);
	sim_run_.fair_step = sim_run_.steps + SCHED_FAIR_STEPS;
	sched_set_next_step();
	if (nr != 0)
		switch_to((uint8_t)actions[strategy_choose(actions, nr, true)].arg);
}

bool sched_decide(enum action_kind kind)
{
	struct action actions[2] = { { .kind = ACT_CONTINUE }, { .kind = (uint8_t)kind } };
	struct task *task = current_task();

	if (!(sim_mode & MODE_RUN))
		return false;
	task->steps++;
	return strategy_choose(actions, 2, false) == 1;
}

/* ---- waiting ---- */

static bool all_ended(void)
{
	for (unsigned i = 1; i < sim_run_.tasks_nr; i++) {
		const struct task *task = &sim_run_.tasks[i];

		if (task->state == TASK_DONE)
			continue;
		if (!task->daemon || task->state == TASK_RUNNABLE)
			return false;
		if (task->state == TASK_BLOCKED)
			return false;
		if (task->state == TASK_SLEEPING && task->due_ns <= sim_run_.now_ns)
			return false;
	}
	return true;
}

static void report_deadlock(void)
{
	char text[900];
	bool lost = true;

	for (unsigned i = 1; i < sim_run_.tasks_nr; i++) {
		const struct task *task = &sim_run_.tasks[i];

		if (task->state == TASK_BLOCKED && task->wait_pc != 0)
			lost = false;
	}
	lock_describe_waits(text, sizeof(text));
	sim_fail(lost ? "lost wake-up" : "deadlock", "%s", text);
}

/* The running task cannot continue: chooses another. */
void sched_switch_away(void)
{
	struct action actions[ACTIONS_MAX];
	unsigned nr = 0;

	if (all_ended()) {
		switch_to(0);
		return;
	}
	add_switches(actions, &nr);
	if (nr == 0 && sim_mode & MODE_BUFFER) {
		buffer_drain_everybody();
		add_switches(actions, &nr);
	}
	if (nr == 0 && sched_eligible(current_task()))
		return;
	if (nr == 0)
		report_deadlock();
	switch_to((uint8_t)actions[strategy_choose(actions, nr, true)].arg);
}

void sched_block(const void *object, uintptr_t pc)
{
	struct task *task = current_task();

	if (!(sim_mode & MODE_RUN))
		sim_fail("deadlock", "the scenario's body waits, with no task running");
	task->steps++;
	task->wait_on = object;
	task->wait_pc = pc;
	if (task->state != TASK_DONE)
		task->state = TASK_BLOCKED;
	sched_switch_away();
	if (sim_mode & MODE_LATE)
		late_pin(sim_run_.current);
	task->wait_on = NULL;
}

void sched_sleep(uint64_t due_ns, uintptr_t pc)
{
	struct task *task = current_task();

	task->steps++;
	task->wait_pc = pc;
	task->due_ns = due_ns;
	task->state = TASK_SLEEPING;
	sched_switch_away();
	if (sim_mode & MODE_LATE)
		late_pin(sim_run_.current);
}

void sched_wake(const void *object)
{
	for (unsigned i = 1; i < sim_run_.tasks_nr; i++) {
		struct task *task = &sim_run_.tasks[i];

		if (task->state == TASK_BLOCKED && task->wait_on == object) {
			task->state = TASK_RUNNABLE;
			strategy_woken();
		}
	}
}

/* The kernel interrupts @cpu, or all CPUs if it is negative, and restarts the sequences there. */
void sched_restart_sequences(int cpu)
{
	for (unsigned i = 0; i < sim_run_.tasks_nr; i++) {
		struct task *task = &sim_run_.tasks[i];

		if (task->in_seq && task != current_task() && (cpu < 0 || task->cpu == cpu))
			task->seq_abort = true;
	}
}
