/* SPDX-License-Identifier: MIT */
/*
 * lean.c - the sequences on lean stacks, one step at a time
 *
 *	pop	slot and slots_nr, top, entry, empty?, commit top - 1
 *	push	slot and slots_nr, top, the same?, high, full?, entry, commit top + 1
 *	pop_n	slot and slots_nr, top, (entry, empty?)..., commit top - n
 *	push_n	slot and slots_nr, high, top, (full?, entry)..., commit top + n
 *	replace	slot and slots_nr, the right one?, header, other?, commit header
 *
 * The note that pop leaves for push is left out: it never changes which class is used.
 *
 * What stack.c says of its steps holds for these.  slots_nr is loaded with acquire, so a sequence that finds the
 * set open sees what its opener did; everything else is loaded after it.
 */
#include "machine/lean.h"

#include <string.h>

#include "machine/lock.h"
#include "machine/sim/internal.h"
#include "machine/sim/memory.h"

struct sequence {
	const struct lean_stacks *stacks;
	struct task *task;
	struct lean_header *header;
	uint64_t *words;
	uintptr_t pc;
};

/* A step: false if the sequence has to restart. */
static bool step(struct sequence *sequence, const void *addr, unsigned bytes, enum point_kind kind)
{
	bool commit = kind == POINT_SEQ_COMMIT;

	sched_point(kind, addr, bytes, sequence->pc);
	if (sequence->task->seq_abort)
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_MEMORY)
		memory_access(addr, bytes, commit || kind == POINT_WRITE, sequence->pc);
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_marked(addr, bytes, commit || kind == POINT_WRITE, sequence->pc);
	return true;
}

static bool read_half(struct sequence *sequence, const uint32_t *word, uint32_t *value)
{
	if (!step(sequence, word, sizeof(*word), POINT_SEQ_READ))
		return false;
	*value = (uint32_t)late_load(word, sizeof(*word), __ATOMIC_RELAXED, *word);
	trace_value(*value);
	return true;
}

static bool read_word(struct sequence *sequence, uint32_t index, uint64_t *value)
{
	const uint64_t *word = &sequence->words[index];

	if (!step(sequence, word, sizeof(*word), POINT_READ))
		return false;
	*value = late_load(word, sizeof(*word), __ATOMIC_RELAXED, *word);
	return true;
}

static bool write_word(struct sequence *sequence, uint32_t index, uint64_t value)
{
	uint64_t *word = &sequence->words[index];

	if (!step(sequence, word, sizeof(value), POINT_WRITE))
		return false;
	buffer_store(word, &value, sizeof(value));
	return true;
}

/* The last step: nothing can happen between the test for a restart and the store. */
static bool commit(struct sequence *sequence, void *to, const void *from, unsigned bytes)
{
	if (!step(sequence, to, bytes, POINT_SEQ_COMMIT))
		return false;
	buffer_store(to, from, bytes);
	sequence->task->in_seq = false;
	return true;
}

static bool commit_top(struct sequence *sequence, uint32_t top)
{
	if (!commit(sequence, &sequence->header->top, &top, sizeof(top)))
		return false;
	trace_value(top);
	return true;
}

/* The first step: compares the slot.  False if the sequence has to restart. */
static bool begin(struct sequence *sequence, unsigned class, bool *refused)
{
	const struct lean_stacks *s = sequence->stacks;
	struct task *task = sequence->task;
	uint32_t cpu, slots_nr;

	task->in_seq = true;
	task->seq_abort = false;
	if (!step(sequence, &s->slots_nr, sizeof(s->slots_nr), POINT_SEQ_READ))
		return false;
	if (sim_mode & MODE_RUN && sim_mode & MODE_RACE)
		race_acquire(&s->slots_nr);
	slots_nr =
		(uint32_t)late_load(&s->slots_nr, sizeof(slots_nr), __ATOMIC_ACQUIRE, s->slots_nr);
	cpu = task->cpu;
	*refused = cpu >= slots_nr;
	if (*refused) {
		task->in_seq = false;
		return true;
	}
	sequence->header = lean_header(s, cpu, class);
	sequence->words = (uint64_t *)(void *)lean_words(s, cpu);
	return true;
}

static struct sequence sequence_of(const struct lean_stacks *s, uintptr_t pc)
{
	return (struct sequence){ .stacks = s, .task = current_task(), .pc = pc };
}

static bool refuse(struct sequence *sequence)
{
	sequence->task->in_seq = false;
	return true;
}

static bool pop_once(struct sequence *sequence, unsigned class, uint64_t *entry)
{
	uint32_t top;
	bool refused;

	*entry = 0;
	if (!begin(sequence, class, &refused))
		return false;
	if (refused)
		return true;
	if (!read_half(sequence, &sequence->header->top, &top) || !read_word(sequence, top, entry))
		return false;
	return *entry == 0 ? refuse(sequence) : commit_top(sequence, top - 1);
}

void *lean_pop(const struct lean_stacks *s, unsigned class)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	uint64_t entry;

	while (!pop_once(&sequence, class, &entry))
		;
	return (void *)(uintptr_t)entry;
}

static bool push_once(struct sequence *sequence, unsigned class, void *entry, bool *pushed)
{
	uint32_t high, top;
	uint64_t newest;
	bool refused;

	*pushed = false;
	if (!begin(sequence, class, &refused))
		return false;
	if (refused)
		return true;
	if (!read_half(sequence, &sequence->header->top, &top) ||
	    !read_word(sequence, top, &newest))
		return false;
	if (newest == (uintptr_t)entry)
		return refuse(sequence);
	if (!read_half(sequence, &sequence->header->high, &high))
		return false;
	if (top >= high)
		return refuse(sequence);
	if (!write_word(sequence, top + 1, (uintptr_t)entry) || !commit_top(sequence, top + 1))
		return false;
	*pushed = true;
	return true;
}

static bool push_n_once(struct sequence *sequence, unsigned class, void *const *entries, unsigned n,
			unsigned *pushed)
{
	uint32_t high, top;
	bool refused;

	*pushed = 0;
	if (!begin(sequence, class, &refused))
		return false;
	if (refused)
		return true;
	if (!read_half(sequence, &sequence->header->high, &high) ||
	    !read_half(sequence, &sequence->header->top, &top))
		return false;
	while (*pushed < n && top < high) {
		if (!write_word(sequence, top + 1, (uintptr_t)entries[*pushed]))
			return false;
		top++;
		++*pushed;
	}
	return *pushed == 0 ? refuse(sequence) : commit_top(sequence, top);
}

bool lean_push(const struct lean_stacks *s, unsigned class, void *entry)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	bool pushed;

	while (!push_once(&sequence, class, entry, &pushed))
		;
	return pushed;
}

unsigned lean_push_n(const struct lean_stacks *s, unsigned class, void *const *entries, unsigned n)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	unsigned pushed;

	while (!push_n_once(&sequence, class, entries, n, &pushed))
		;
	return pushed;
}

static bool pop_n_once(struct sequence *sequence, unsigned class, void **entries, unsigned n,
		       unsigned *popped)
{
	uint64_t entry;
	uint32_t top;
	bool refused;

	*popped = 0;
	if (!begin(sequence, class, &refused))
		return false;
	if (refused)
		return true;
	if (!read_half(sequence, &sequence->header->top, &top))
		return false;
	for (; *popped < n; ++*popped, top--) {
		if (!read_word(sequence, top, &entry))
			return false;
		if (entry == 0)
			break;
		entries[*popped] = (void *)(uintptr_t)entry;
	}
	return *popped == 0 ? refuse(sequence) : commit_top(sequence, top);
}

unsigned lean_pop_n(const struct lean_stacks *s, unsigned class, void **entries, unsigned n)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	unsigned popped;

	while (!pop_n_once(&sequence, class, entries, n, &popped))
		;
	return popped;
}

static bool replace_once(struct sequence *sequence, unsigned slot, unsigned class,
			 struct lean_header expected, struct lean_header wanted, bool *replaced)
{
	struct lean_header found;
	bool refused;

	*replaced = false;
	if (!begin(sequence, class, &refused))
		return false;
	if (refused)
		return true;
	if (sequence->task->cpu != slot)
		return refuse(sequence);
	if (!step(sequence, sequence->header, sizeof(found), POINT_SEQ_READ))
		return false;
	found = *sequence->header;
	if (found.top != expected.top || found.high != expected.high)
		return refuse(sequence);
	if (!commit(sequence, sequence->header, &wanted, sizeof(wanted)))
		return false;
	*replaced = true;
	return true;
}

bool lean_replace(const struct lean_stacks *s, unsigned slot, unsigned class,
		  struct lean_header expected, struct lean_header wanted)
{
	struct sequence sequence = sequence_of(s, CALLER_PC);
	bool replaced;

	while (!replace_once(&sequence, slot, class, expected, wanted, &replaced))
		;
	return replaced;
}

unsigned lean_slot(const struct lean_stacks *s)
{
	unsigned cpu;

	sched_point(POINT_LOAD, s, 4, CALLER_PC);
	cpu = current_task()->cpu;
	return cpu < s->all_slots_nr ? cpu : cpu % s->all_slots_nr;
}

void lean_setup(struct lean_stacks *s, unsigned slots, bool spare, bool rseq)
{
	bool all = slots == 0 || slots >= sim_opt.cpus_nr;

	(void)spare;
	sim_log_write(s, sizeof(*s));
	*s = (struct lean_stacks){
		.all_slots_nr = all ? sim_opt.cpus_nr : slots,
	};
	if (rseq && all)
		s->slots_nr = s->slots_open = sim_opt.cpus_nr;
}

void lean_fence(const struct lean_stacks *s, const uint64_t *skip)
{
	if (skip == NULL) {
		sequences_fence(-1, CALLER_PC);
		return;
	}
	for (unsigned slot = 0; slot < s->slots_open; slot++)
		if ((skip[slot / 64] >> (slot % 64) & 1) == 0)
			sequences_fence((int)slot, CALLER_PC);
}
