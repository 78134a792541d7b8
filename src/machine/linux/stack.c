/* SPDX-License-Identifier: MIT */
/*
 * stack.c - the numbering of slots
 *
 *   numbering   when                                                  slots
 *   mm_cid      the kernel fills it (AT_RSEQ_FEATURE_SIZE >= 28)      as many as wanted
 *   cpu_id      it does not, or the caller wants CPUs                 all possible CPUs, or none
 *   none        no sequences, or no fence of one CPU for cpu_id       0, and doors by CPU
 *
 * mm_cid numbers the running threads of the process compactly, so it stays below the number of
 * CPUs and of threads.  With fewer slots than CPUs it may exceed the slots while many threads
 * run: then the sequence refuses, stack_slot() hashes, and the caller uses a list under its lock.
 */
#include "machine/stack.h"

#include "base/check.h"
#include "machine/linux/fence.h"
#include "machine/linux/probe.h"
#include "machine/linux/thread.h"
#include "machine/process.h"

/* In struct rseq.  glibc registers at least 32 bytes, whatever __rseq_size says of features. */
#define RSEQ_CPU_ID_OFFSET 4
#define RSEQ_CS_OFFSET	   8
#define RSEQ_MM_CID_OFFSET 24

static intptr_t offset_from_thread_pointer(const void *variable)
{
	return (intptr_t)variable - (intptr_t)stack_thread_pointer();
}

/* The bounds check makes every sequence refuse; its stores before that go to our own words. */
static void setup_refusing(struct cpu_stacks *s)
{
	s->slots_nr = 0;
	s->by_cpu = false;
	s->rseq_offset = offset_from_thread_pointer(&machine_thread.no_rseq_cs) - RSEQ_CS_OFFSET;
	s->slot_offset = offset_from_thread_pointer(&machine_thread.locks_held_nr);
}

_Static_assert(offsetof(struct machine_thread, no_rseq_cs) >= RSEQ_CS_OFFSET,
	       "a sequence may read the stand-in's cpu_id");

void stack_setup(struct cpu_stacks *s, unsigned cpus_max, bool want_by_cpu, bool rseq)
{
	unsigned possible = process_cpus_possible();
	bool all = cpus_max == 0 || cpus_max >= possible;
	uint32_t answer = rseq && STACK_SEQUENCES ? probe_once() : PROBE_NO_SEQUENCES;
	bool by_cpu = want_by_cpu || answer == PROBE_BY_CPU;

	s->all_slots_nr = all ? possible : cpus_max;
	setup_refusing(s);
	if (answer == PROBE_NO_SEQUENCES || (by_cpu && (!all || !fence_can_name_a_cpu())))
		return;
	s->slots_nr = s->all_slots_nr;
	s->by_cpu = by_cpu;
	s->rseq_offset = probe_rseq_offset();
	s->slot_offset = s->rseq_offset + (by_cpu ? RSEQ_CPU_ID_OFFSET : RSEQ_MM_CID_OFFSET);
}

int stack_slot_slow(const struct cpu_stacks *s)
{
	unsigned cpu = process_cpu();

	CHECK(s->all_slots_nr != 0);
	/* A multiplicative hash, so that neighbouring CPUs do not share a door at any
	 * all_slots_nr. */
	if (cpu >= s->all_slots_nr)
		cpu = (unsigned)((uint64_t)(cpu * UINT32_C(0x9e3779b1)) * s->all_slots_nr >> 32);
	return (int)cpu;
}

void stack_fence_slot(const struct cpu_stacks *s, unsigned slot)
{
	if (s->slots_nr == 0)
		return;
	if (s->by_cpu)
		fence_cpu(slot);
	else
		fence_all();
}

void stack_fence_all(const struct cpu_stacks *s, const uint64_t *skip)
{
	if (s->slots_nr == 0)
		return;
	if (skip == NULL) {
		fence_all();
		return;
	}
	CHECK(s->by_cpu);
	for (unsigned cpu = 0; cpu < s->slots_nr; cpu++) {
		if ((skip[cpu / 64] >> (cpu % 64) & 1) == 0)
			fence_cpu(cpu);
	}
}
