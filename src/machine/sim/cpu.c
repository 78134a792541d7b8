/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - the sequences on per-CPU data, one step at a time
 *
 * The steps are those of include/quire/arch/this_cpu.h in their form for aarch64: an operation
 * loads the copy and commits the result.  x86-64 does both in one instruction, which is one of the
 * schedules of these steps.
 *
 *	number and bound, guard?, load, commit
 *
 * Before each step the scheduler may switch, interrupt, migrate or abort, but it cannot act between
 * its last decision and the commit.  A task without a number (sim_without_number()) reads one above
 * the bound.
 *
 * cpu_fallback() works as in machine/linux/cpu.c: the task registers for one sequence, with a step
 * before it and one after; if that is refused, it ends all sequences: bound, fence, flag.  An
 * atomic operation reads its CPU in one step and changes the copy in another, so the task may
 * migrate between the two.
 */
#include <string.h>

#include "machine/cpu.h"
#include "machine/sim/internal.h"
#include "machine/sim/memory.h"
#include "machine/stack.h"

struct section {
	struct task *task;
	uintptr_t pc;
	char *copy;
	size_t slot;
	unsigned bytes;
	bool refused;
};

/* The kernel has to restart the task's sequence. */
static bool must_restart(const struct task *task)
{
	return task->seq_abort;
}

/* A step: false if the sequence has to restart. */
static bool step(struct section *section, const volatile void *addr, unsigned bytes,
		 enum point_kind kind)
{
	bool commit = kind == POINT_SEQ_COMMIT;

	sched_point(kind, addr, bytes, section->pc);
	if (must_restart(section->task))
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_MEMORY)
		memory_access(addr, bytes, commit, section->pc);
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_marked(addr, bytes, commit, section->pc);
	return true;
}

/* The first step.  False if the sequence has to restart; refuses if the task has no valid
 * number. */
static bool begin(struct section *section, volatile void *ptr)
{
	struct task *task = section->task;
	unsigned number;

	task->in_seq = true;
	task->seq_abort = false;
	sched_point(POINT_SEQ_READ, ptr, 4, section->pc);
	if (must_restart(task))
		return false;
	number = task->no_number ? sim_opt.cpus_nr : task->cpu;
	section->refused = number >= (sim_run_.ops_bound_is_0 ? 0 : sim_opt.cpus_nr);
	section->slot = number * QUIRE_PERCPU_STRIDE;
	section->copy = (char *)(uintptr_t)ptr + section->slot;
	return true;
}

static bool load(struct section *section, uint64_t *value)
{
	if (!step(section, section->copy, section->bytes, POINT_SEQ_READ))
		return false;
	*value = 0;
	memcpy(value, section->copy, section->bytes);
	*value = late_load(section->copy, section->bytes, __ATOMIC_RELAXED, *value);
	trace_value(*value);
	return true;
}

/* The last step: nothing can happen between the test for a restart and the store. */
static bool commit(struct section *section, uint64_t value)
{
	if (!step(section, section->copy, section->bytes, POINT_SEQ_COMMIT))
		return false;
	buffer_store(section->copy, &value, section->bytes);
	trace_value(value);
	return true;
}

static bool is_store(unsigned operation, const struct cpu_effect *effect, uint64_t old)
{
	if ((operation & ~15u) == QUIRE_THIS_CPU_READ)
		return false;
	return (operation & ~15u) != QUIRE_THIS_CPU_CMPXCHG || effect->bits != old;
}

struct request {
	unsigned operation;
	volatile void *ptr;
	uint64_t value, expected;
	const volatile uint32_t *guard; /* NULL: none */
	uint32_t guard_expected;
};

static bool guard_holds(struct section *section, const struct request *request, bool *holds)
{
	uint32_t guard;

	*holds = true;
	if (request->guard == NULL)
		return true;
	if (!step(section, request->guard, 4, POINT_SEQ_READ))
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_acquire((const void *)(uintptr_t)request->guard);
	guard = (uint32_t)late_load(request->guard, sizeof(guard), __ATOMIC_ACQUIRE,
				    *request->guard);
	trace_value(guard);
	*holds = guard == request->guard_expected;
	return true;
}

/* One pass through the steps; false if the sequence has to restart. */
static bool run_once(struct section *section, const struct request *request, uint64_t *result)
{
	struct cpu_effect effect;
	uint64_t old = 0;
	bool holds;

	if (!begin(section, request->ptr))
		return false;
	if (section->refused)
		return true;
	if (!guard_holds(section, request, &holds))
		return false;
	section->refused = !holds;
	if (section->refused)
		return true;
	if ((request->operation & ~15u) != QUIRE_THIS_CPU_WRITE && !load(section, &old))
		return false;
	effect = cpu_apply(request->operation, old, request->value, request->expected);
	*result = effect.result;
	return !is_store(request->operation, &effect, old) || commit(section, effect.bits);
}

static bool run(struct section *section, const struct request *request, uint64_t *result)
{
	section->bytes = request->operation & 15u;
	*result = 0;
	while (!run_once(section, request, result))
		;
	section->task->in_seq = false;
	return !section->refused;
}

bool cpu_sequence(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected,
		  uint64_t *result)
{
	struct section section = { .task = current_task(), .pc = CALLER_PC };

	return run(
		&section,
		&(struct request){
			.operation = operation, .ptr = ptr, .value = value, .expected = expected },
		result);
}

bool cpu_add_return(volatile uint64_t *ptr, uint64_t value, uint64_t *sum, size_t *slot)
{
	struct section section = { .task = current_task(), .pc = CALLER_PC };
	bool done = run(&section,
			&(struct request){ .operation = QUIRE_THIS_CPU_ADD_RETURN | 8u,
					   .ptr = ptr,
					   .value = value },
			sum);

	*slot = section.slot;
	return done;
}

bool cpu_add_if(volatile uint64_t *ptr, uint64_t value, const volatile uint32_t *guard,
		uint32_t expected)
{
	struct section section = { .task = current_task(), .pc = CALLER_PC };
	uint64_t result;

	return run(&section,
		   &(struct request){ .operation = QUIRE_THIS_CPU_ADD | 8u,
				      .ptr = ptr,
				      .value = value,
				      .guard = guard,
				      .guard_expected = expected },
		   &result);
}

bool cpu_has_sequences(void)
{
	return !sim_run_.ops_ended;
}

/* One atomic instruction on the copy of a CPU. */
static uint64_t do_once(unsigned operation, volatile void *ptr, unsigned cpu, uint64_t value,
			uint64_t expected)
{
	unsigned bytes = operation & 15u;
	char *copy = (char *)(uintptr_t)ptr + cpu * QUIRE_PERCPU_STRIDE;
	struct cpu_effect effect;
	uint64_t old = 0;

	sched_point(POINT_RMW, copy, bytes, CALLER_PC);
	if (sim_mode & MODE_RUN && sim_mode & MODE_MEMORY)
		memory_access(copy, bytes, true, CALLER_PC);
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_marked(copy, bytes, true, CALLER_PC);
	if (sim_mode & MODE_LATE)
		buffer_make_way(current_task(), copy, bytes);
	memcpy(&old, copy, bytes);
	effect = cpu_apply(operation, old, value, expected);
	buffer_store(copy, &effect.bits, bytes);
	if (sim_mode & MODE_BUFFER)
		buffer_drain_all(current_task());
	return effect.result;
}

static void end_sequences(void)
{
	sched_point(POINT_RMW, NULL, 0, CALLER_PC);
	sim_run_.ops_bound_is_0 = true;
	sequences_fence(-1, CALLER_PC);
	sim_run_.ops_ended = true;
}

static void registered(bool is_registered)
{
	struct task *task = current_task();

	sched_point(POINT_RMW, NULL, 0, CALLER_PC);
	UNDO(task->no_number);
	UNDO(task->is_registered);
	task->no_number = !is_registered;
	task->is_registered = is_registered;
}

static bool do_registered(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected,
			  uint64_t *result)
{
	bool done;

	if (!current_task()->no_number || current_task()->no_registering)
		return false;
	registered(true);
	done = cpu_sequence(operation, ptr, value, expected, result);
	registered(false);
	return done;
}

uint64_t cpu_fallback(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected)
{
	uint64_t result;

	if (cpu_has_sequences()) {
		if (do_registered(operation, ptr, value, expected, &result))
			return result;
		end_sequences();
	}
	return do_once(operation, ptr, cpu_unit(sim_opt.cpus_nr), value, expected);
}

/* Other tests cover objects that have fewer units than there are CPUs. */
int cpu_units_add(const void *base, size_t bytes, unsigned units)
{
	(void)base;
	(void)bytes;
	(void)units;
	return 0;
}

void cpu_units_remove(const void *base)
{
	(void)base;
}

unsigned cpu_units_of(const volatile void *ptr)
{
	(void)ptr;
	return sim_opt.cpus_nr;
}

/* A task that may not register also models a task on a CPU above the units. */
unsigned cpu_unit(unsigned units)
{
	return current_task()->no_registering ? 0 : current_task()->cpu % units;
}

void cpu_fence(void)
{
	sequences_fence(-1, CALLER_PC);
}

/* Scenarios call the library; other tests cover the sequences that programs inline. */
void cpu_fill_words(struct quire_this_cpu_words *words)
{
	(void)words;
}

void sim_without_number(enum sim_number number)
{
	struct task *task = current_task();

	UNDO(task->no_number);
	UNDO(task->no_registering);
	task->no_number = number != SIM_NUMBER;
	task->no_registering = number == SIM_NO_REGISTERING;
}
