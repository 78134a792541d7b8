/* SPDX-License-Identifier: MIT */
/*
 * stack.c - the per-CPU sequences, one step at a time
 *
 * The steps, which the assembly follows too:
 *
 *	pop	slot, low, top, empty?, entry, commit top - 1
 *	push	slot, guard, high, top, full?, entry, commit top + 1
 *	pop_n	slot, low, top, empty?, entries..., commit top - n
 *	push_n	slot, high, top, full?, entries..., commit top + n
 *
 * Before each step the scheduler may switch, interrupt, migrate or abort; if the sequence has to
 * restart it does so there, having changed nothing but entries above top.  The scheduler cannot act
 * between its last decision and the commit, as nothing can interrupt a store instruction.
 *
 * Headers are marked accesses (aligned words that others read).  Entries are marked ones of the sequences
 * alone: if a closer reads them without a fence, that is reported as a data race.  A sequence that sees a stack
 * open also sees what its opener did: bounds are loaded with acquire, which costs nothing on x86
 * and needs its own instruction on aarch64.
 */
#include <string.h>

#include "machine/lock.h"
#include "machine/sim/internal.h"
#include "machine/sim/memory.h"
#include "machine/stack.h"

struct sequence {
	const struct cpu_stacks *stacks;
	struct task *task;
	struct stack_header *header;
	uint32_t *entries;
	uintptr_t pc;
	uint32_t top;
};

/* A step: false if the sequence has to restart. */
static bool step(struct sequence *sequence, const void *addr, enum point_kind kind)
{
	struct task *task = sequence->task;

	sched_point(kind, addr, 4, sequence->pc);
	if (task->seq_abort)
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_MEMORY)
		memory_access(addr, 4, kind == POINT_SEQ_COMMIT, sequence->pc);
	return true;
}

static bool read_header(struct sequence *sequence, const uint32_t *word, uint32_t *value)
{
	if (!step(sequence, word, POINT_SEQ_READ))
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE) {
		race_marked(word, 4, false, sequence->pc);
		race_acquire(&sequence->header->low);
	}
	*value = (uint32_t)late_load(word, sizeof(*word), __ATOMIC_ACQUIRE, *word);
	trace_value(*value);
	return true;
}

/* An entry is read or written by one instruction of a sequence, so a thread that holds the lock may look
 * at it with an atomic operation (stacks_touch_locked()).  A plain access has to be ordered by a fence. */
static bool write_entry(struct sequence *sequence, uint32_t index, uint32_t value)
{
	uint32_t *word = &sequence->entries[index];

	if (!step(sequence, word, POINT_WRITE))
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_marked(word, 4, true, sequence->pc);
	buffer_store(word, &value, sizeof(value));
	return true;
}

static bool read_entry(struct sequence *sequence, uint32_t index, uint32_t *value)
{
	uint32_t *word = &sequence->entries[index];

	if (!step(sequence, word, POINT_READ))
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_marked(word, 4, false, sequence->pc);
	*value = (uint32_t)late_load(word, sizeof(*word), __ATOMIC_RELAXED, *word);
	return true;
}

/* The last step: nothing can happen between the test for a restart and the store. */
static bool commit(struct sequence *sequence, uint32_t top)
{
	if (!step(sequence, &sequence->header->top, POINT_SEQ_COMMIT))
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_marked(&sequence->header->top, 4, true, sequence->pc);
	buffer_store(&sequence->header->top, &top, sizeof(top));
	trace_value(top);
	sequence->task->in_seq = false;
	return true;
}

/* The first step: reads the slot.  Sets *@refused if this thread has none. */
static bool begin(struct sequence *sequence, unsigned class, bool *refused)
{
	const struct cpu_stacks *s = sequence->stacks;
	struct task *task = sequence->task;
	uint32_t cpu;

	task->in_seq = true;
	task->seq_abort = false;
	sched_point(POINT_SEQ_READ, s, 4, sequence->pc);
	if (task->seq_abort)
		return false;
	cpu = task->cpu;
	*refused = cpu >= s->slots_nr;
	if (*refused) {
		task->in_seq = false;
		return true;
	}
	sequence->header = stack_header(s, cpu, class);
	sequence->entries = stack_entries(s, cpu);
	return true;
}

static struct sequence sequence_of(const struct cpu_stacks *s, uintptr_t pc)
{
	return (struct sequence){ .stacks = s, .task = current_task(), .pc = pc };
}

static bool refuse(struct sequence *sequence)
{
	sequence->task->in_seq = false;
	return true;
}

static bool pop_once(struct sequence *sequence, unsigned class, uint32_t *entry)
{
	uint32_t low, top;
	bool refused;

	*entry = STACK_NONE;
	if (!begin(sequence, class, &refused))
		return false;
	if (refused)
		return true;
	if (!read_header(sequence, &sequence->header->low, &low) ||
	    !read_header(sequence, &sequence->header->top, &top))
		return false;
	if (top <= low)
		return refuse(sequence);
	return read_entry(sequence, top - 1, entry) && commit(sequence, top - 1);
}

uint32_t stack_pop(const struct cpu_stacks *s, unsigned class)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	uint32_t entry;

	while (!pop_once(&sequence, class, &entry))
		;
	return entry;
}

static bool read_guard(struct sequence *sequence, const uint8_t *guard, uint8_t *value)
{
	if (!step(sequence, guard, POINT_SEQ_READ))
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_marked(guard, 1, false, sequence->pc);
	*value = (uint8_t)late_load(guard, sizeof(*guard), __ATOMIC_RELAXED, *guard);
	trace_value(*value);
	return true;
}

static bool push_once(struct sequence *sequence, unsigned class, uint32_t entry,
		      const uint8_t *guard, uint8_t expected, bool *pushed)
{
	uint32_t high, top;
	uint8_t found;
	bool refused;

	*pushed = false;
	if (!begin(sequence, class, &refused))
		return false;
	if (refused)
		return true;
	if (!read_guard(sequence, guard, &found))
		return false;
	if (found != expected)
		return refuse(sequence);
	if (!read_header(sequence, &sequence->header->high, &high) ||
	    !read_header(sequence, &sequence->header->top, &top))
		return false;
	if (top >= high)
		return refuse(sequence);
	if (!write_entry(sequence, top, entry) || !commit(sequence, top + 1))
		return false;
	*pushed = true;
	return true;
}

bool stack_push(const struct cpu_stacks *s, unsigned class, uint32_t entry, const uint8_t *guard,
		uint8_t expected)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	bool pushed;

	while (!push_once(&sequence, class, entry, guard, expected, &pushed))
		;
	return pushed;
}

static bool pop_n_once(struct sequence *sequence, unsigned class, uint32_t *entries, unsigned *n)
{
	uint32_t low, top;
	bool refused;

	if (!begin(sequence, class, &refused))
		return false;
	if (refused) {
		*n = 0;
		return true;
	}
	if (!read_header(sequence, &sequence->header->low, &low) ||
	    !read_header(sequence, &sequence->header->top, &top))
		return false;
	if (top <= low || *n == 0) {
		*n = 0;
		return refuse(sequence);
	}
	if (*n > top - low)
		*n = top - low;
	for (unsigned i = 0; i < *n; i++)
		if (!read_entry(sequence, top - *n + i, &entries[i]))
			return false;
	return commit(sequence, top - *n);
}

unsigned stack_pop_n(const struct cpu_stacks *s, unsigned class, uint32_t *entries, unsigned n)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	unsigned taken = n;

	while (!pop_n_once(&sequence, class, entries, &taken))
		taken = n;
	return taken;
}

static bool push_n_once(struct sequence *sequence, unsigned class, const uint32_t *entries,
			unsigned *n)
{
	uint32_t high, top;
	bool refused;

	if (!begin(sequence, class, &refused))
		return false;
	if (refused) {
		*n = 0;
		return true;
	}
	if (!read_header(sequence, &sequence->header->high, &high) ||
	    !read_header(sequence, &sequence->header->top, &top))
		return false;
	if (top >= high || *n == 0) {
		*n = 0;
		return refuse(sequence);
	}
	if (*n > high - top)
		*n = high - top;
	for (unsigned i = 0; i < *n; i++)
		if (!write_entry(sequence, top + i, entries[i]))
			return false;
	return commit(sequence, top + *n);
}

unsigned stack_push_n(const struct cpu_stacks *s, unsigned class, const uint32_t *entries,
		      unsigned n)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	unsigned put = n;

	while (!push_n_once(&sequence, class, entries, &put))
		put = n;
	return put;
}

int stack_slot(const struct cpu_stacks *s)
{
	unsigned cpu;

	sched_point(POINT_LOAD, s, 4, CALLER_PC);
	cpu = current_task()->cpu;
	if (cpu < s->all_slots_nr)
		return (int)cpu;
	return s->all_slots_nr > 1 ? (int)(cpu % (s->all_slots_nr - 1)) : 0;
}

void stack_setup(struct cpu_stacks *s, unsigned cpus_max, bool want_by_cpu, bool rseq)
{
	bool all = cpus_max == 0 || cpus_max >= sim_opt.cpus_nr;

	sim_log_write(s, sizeof(*s));
	*s = (struct cpu_stacks){
		.slots_nr = rseq && all ? sim_opt.cpus_nr : 0,
		.all_slots_nr = all ? sim_opt.cpus_nr : cpus_max,
		.by_cpu = want_by_cpu,
	};
}

/* membarrier(2): each CPU that runs a task executes a full barrier and restarts its sequence. */
void sequences_fence(int cpu, uintptr_t pc)
{
	sched_point(POINT_CPU_FENCE, NULL, 0, pc);
	if (!(sim_mode & MODE_RUN))
		return;
	if (sim_mode & MODE_BUFFER)
		buffer_fence_everybody();
	if (sim_mode & MODE_RACE)
		race_everybody_meets(sim_run_.current);
	if (sim_mode & MODE_LATE)
		late_pin_everybody();
	sched_restart_sequences(cpu);
}

void stack_fence_slot(const struct cpu_stacks *s, unsigned slot)
{
	sequences_fence(s->by_cpu ? (int)slot : -1, CALLER_PC);
}

static bool skipped(const uint64_t *skip, unsigned slot)
{
	return skip != NULL && skip[slot / 64] >> (slot % 64) & 1;
}

void stack_fence_all(const struct cpu_stacks *s, const uint64_t *skip)
{
	if (!s->by_cpu) {
		sequences_fence(-1, CALLER_PC);
		return;
	}
	for (unsigned slot = 0; slot < s->slots_nr; slot++)
		if (!skipped(skip, slot))
			sequences_fence((int)slot, CALLER_PC);
}
