/* SPDX-License-Identifier: MIT */
/*
 * lean.c - the slots of lean stacks: CPUs
 *
 * There are sequences if the process has them at all and every possible CPU may have a slot.  Without, the
 * comparison with slots_nr refuses all, and rseq_offset points to words that may be written (thread.h).
 */
#include "machine/lean.h"

#include "base/check.h"
#include "machine/linux/fence.h"
#include "machine/linux/probe.h"
#include "machine/process.h"
#include "machine/stack.h"

void lean_setup(struct lean_stacks *s, unsigned slots, bool spare, bool rseq)
{
	struct cpu_stacks cpus;
	unsigned possible = process_cpus_possible();

	stack_setup(&cpus, 0, spare, rseq);
	*s = (struct lean_stacks){
		.rseq_offset = cpus.rseq_offset,
		.all_slots_nr = slots == 0 || slots > possible ? possible : slots,
	};
	if (cpus.slots_nr != 0 && s->all_slots_nr == possible)
		s->slots_nr = s->slots_open = possible;
}

unsigned lean_slot_slow(const struct lean_stacks *s)
{
	unsigned cpu = process_cpu();

	CHECK(s->all_slots_nr != 0);
	return cpu < s->all_slots_nr ? cpu : cpu % s->all_slots_nr;
}

void lean_fence(const struct lean_stacks *s, const uint64_t *skip)
{
	if (s->slots_open == 0)
		return;
	if (skip == NULL) {
		fence_all();
		return;
	}
	for (unsigned cpu = 0; cpu < s->slots_open; cpu++) {
		if ((skip[cpu / 64] >> (cpu % 64) & 1) == 0)
			fence_cpu(cpu);
	}
}
