/* SPDX-License-Identifier: MIT */
/*
 * stack.h - per-CPU stacks of 32-bit entries, worked on by restartable sequences
 *
 * A set of stacks (struct cpu_stacks) has one region of STACKS_STRIDE bytes for each slot.  A slot
 * is a CPU (or, where the kernel numbers a process's running threads compactly, such a number:
 * mm_cid).  A region begins with headers, one a class, followed by all entries.  A header's words
 * are indexes of 4-byte entries within the region:
 *
 *     low   the stack is empty when top == low; pop is refused when top <= low
 *     top   one past the newest entry
 *     high  push is refused when top >= high
 *
 * Closing.  low = UINT32_MAX and high = 0, stored together, refuse both operations, so the comparison
 * that every sequence makes anyway also detects a closed stack.  After stack_fence_slot() or
 * stack_fence_all() no sequence that began before the close can still commit, and the closing thread
 * owns top and all entries until it reopens the stack.  stacks/stacks.h defines which thread may
 * close a stack, and the rest of a stack's life.
 *
 * Sequences (machine/<m>/stack_ops.h).  Each acts on the slot that is current when it commits; it
 * may be aborted and restarted at any instruction before the commit, and has no effect until then.
 * Each checks the slot number against slots_nr inside the section.  The number may be -1 or -2; a
 * thread without rseq has mm_cid 0, so a negative cpu_id refuses too.
 * Each reads its bound (low or high) before it reads top, also in the order that other CPUs observe.
 * No fence covers a sequence that begins while the stack is closed: if it read top first, it could
 * find the bound reopened, and commit the value that top had before the closer emptied the stack.
 * For the same reason the closer stores top before it opens (release).
 * After stack_setup() all of them may be called; with slots_nr == 0 they refuse.
 *
 *   uint32_t stack_pop(const struct cpu_stacks *s, unsigned class);
 *	newest entry, or STACK_NONE (empty, closed, no sequences on this thread)
 *   bool stack_push(const struct cpu_stacks *s, unsigned class, uint32_t entry,
 *		     const uint8_t *guard, uint8_t expected);
 *	refused if full, closed, or *guard != expected when read inside the section
 *   unsigned stack_pop_n(const struct cpu_stacks *s, unsigned class, uint32_t *entries, unsigned n);
 *	takes the newest min(n, held) entries; entries[0] was pushed first; returns how many
 *   unsigned stack_push_n(const struct cpu_stacks *s, unsigned class, const uint32_t *entries,
 *			   unsigned n);
 *	pushes entries[0] first, the first min(n, room); returns how many
 *   int stack_slot(const struct cpu_stacks *s);
 *	current slot: a hint; works without sequences (then from the current CPU, modulo nothing:
 *	numbers at or above slots_nr are hashed to one below; only locks are used then)
 *
 * pop_n and push_n are called by a holder of some door of the same instance.
 */
#ifndef MACHINE_STACK_H
#define MACHINE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STACK_NONE UINT32_MAX

/* Bytes from one slot's region to the next. */
#define STACKS_STRIDE_SHIFT 17
#define STACKS_STRIDE	    ((size_t)1 << STACKS_STRIDE_SHIFT)

struct stack_header {
	uint32_t top;
	uint32_t keeps; /* no sequence reads it: what src/stacks opens the class with */
	uint32_t low;	/* low and high are one aligned 8-byte word: closing is one store */
	uint32_t high;
};

struct cpu_stacks {
	char *base;	      /* slot 0's region */
	uint32_t slots_nr;    /* 0: no sequences here; pops and pushes are refused */
	uint32_t doors_nr;    /* slots that have lists: slots_nr, or the CPUs without sequences */
	intptr_t rseq_offset; /* of struct rseq from the thread pointer */
	intptr_t slot_offset; /* of the slot number (cpu_id or mm_cid) from the thread pointer */
	bool by_cpu;	      /* slots are CPU numbers: a fence may name its CPU */
};

#include "stack_ops.h" /* the machine's sequences */

static inline struct stack_header *stack_header(const struct cpu_stacks *s, unsigned slot,
						unsigned class)
{
	return (struct stack_header *)(void *)(s->base + ((size_t)slot << STACKS_STRIDE_SHIFT)) +
	       class;
}

static inline uint32_t *stack_entries(const struct cpu_stacks *s, unsigned slot)
{
	return (uint32_t *)(void *)(s->base + ((size_t)slot << STACKS_STRIDE_SHIFT));
}

/*
 * Decides how slots are numbered on this process and fills @s but for base.
 * @cpus_max: the most slots wanted (0: all possible); below the possible CPUs means by_cpu == false
 *            must hold for sequences to be used (mm_cid never exceeds the CPUs the process may
 *            run on); otherwise no sequences, never an index modulo N
 * @want_by_cpu: isolated CPUs or more than one node: index by cpu_id or not at all
 * @rseq: false: no sequences (slots_nr = 0)
 */
void stack_setup(struct cpu_stacks *s, unsigned cpus_max, bool want_by_cpu, bool rseq);

/*
 * After it returns, every sequence of this process that began before the call, on CPU @slot if
 * slots are CPUs, else on any, has committed or will restart.  Nobody else is interrupted.
 */
void stack_fence_slot(const struct cpu_stacks *s, unsigned slot);
/* The same for all slots but those whose bit is set in @skip (by_cpu only; may be NULL). */
void stack_fence_all(const struct cpu_stacks *s, const uint64_t *skip);

#endif
