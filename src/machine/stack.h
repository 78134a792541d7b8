/* SPDX-License-Identifier: MIT */
/*
 * stack.h - per-CPU stacks of 32-bit entries, accessed by restartable sequences
 *
 * A set of stacks (struct cpu_stacks) has one region of STACKS_STRIDE bytes for each slot.  A slot
 * is a CPU, or, if the kernel provides mm_cid, the compact number that it gives to a running thread
 * of the process.  A region begins with one header per class; all entries follow.  The words of a
 * header are indexes of 4-byte entries in the region:
 *
 *     low   the stack is empty when top == low; pop is refused when top <= low
 *     top   one past the newest entry
 *     high  push is refused when top >= high
 *
 * Closing.  To close a stack, store low = UINT32_MAX and high = 0 together.  They make both
 * operations refuse, so the comparison that every sequence makes anyway also detects a closed
 * stack.  After stack_fence_slot() or stack_fence_all() no sequence that began before the close can
 * still commit, and the closing thread owns top and all entries until it reopens the stack.
 * stacks/stacks.h defines which thread may close a stack, and the rest of a stack's life.
 *
 * Sequences (machine/<m>/stack_ops.h).  Each acts on the slot that is current when it commits.  It
 * may be aborted and restarted at any instruction before the commit, and has no effect until then.
 *   - Each checks the slot number against slots_nr inside its critical section.  The number may be -1
 *     or -2.  A thread without rseq has mm_cid 0, so a negative cpu_id also makes a sequence refuse.
 *   - Each reads its bound (low or high) before top, also in the order that other CPUs observe.  No
 *     fence covers a sequence that begins while the stack is closed.  If it read top first, it could
 *     then find the bound reopened, and commit the value that top had before the closer emptied the
 *     stack.  For the same reason the closer stores top before it opens the stack with a release.
 *   - All may be called after stack_setup(); with slots_nr == 0 they refuse.
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
 *	current slot, as a hint.  Without sequences, or if the slot number is not below slots_nr, the
 *	number of the current CPU, hashed to one below all_slots_nr if it is larger.  This thread's
 *	sequences refuse then; it uses such a slot only under its lock.
 *
 * stack_push_n() reads no guard: its callers hold the lock of some door of the same set, so that a
 * thread that closes all doors waits for them.
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

/* The calls must not hide a class that is a constant. */
#define STACK_INLINE static inline __attribute__((always_inline))

struct stack_header {
	uint32_t top;
	uint32_t keeps; /* entries that the class keeps when open; sequences do not read it */
	uint32_t low;	/* low and high are one aligned 8-byte word, so one store closes */
	uint32_t high;
};

struct cpu_stacks {
	char *base;	       /* slot 0's region */
	uint32_t slots_nr;     /* slots with stacks; 0: no sequences; pops and pushes are refused */
	uint32_t all_slots_nr; /* slots with a lock, also without sequences: see stack_slot() */
	intptr_t rseq_offset;  /* of struct rseq from the thread pointer */
	intptr_t slot_offset;  /* of the slot number (cpu_id or mm_cid) from the thread pointer */
	bool by_cpu;	       /* slots are CPU numbers, so a fence can be limited to one CPU */
};

#include "stack_ops.h" /* the machine's sequences */

static inline struct stack_header *stack_header(const struct cpu_stacks *s, unsigned slot,
						unsigned class)
{
	return (struct stack_header *)(void *)(s->base + slot * STACKS_STRIDE) + class;
}

static inline uint32_t *stack_entries(const struct cpu_stacks *s, unsigned slot)
{
	return (uint32_t *)(void *)(s->base + slot * STACKS_STRIDE);
}

/*
 * Decides how this process numbers its slots, and sets all fields of @s except base.
 * @cpus_max: the most slots; 0 means one for each possible CPU.  With fewer slots than possible CPUs
 *            there are sequences only if mm_cid numbers the slots (mm_cid never exceeds the number of
 *            CPUs that the process may run on).  A sequence never uses a number modulo slots_nr
 * @want_by_cpu: slots must be CPU numbers, because there are isolated CPUs or several nodes; if they
 *            cannot be, there are no sequences
 * @rseq: false means no sequences (slots_nr = 0)
 */
void stack_setup(struct cpu_stacks *s, unsigned cpus_max, bool want_by_cpu, bool rseq);

/*
 * When it returns, every sequence that began before the call has committed or will restart.  If
 * slots are CPUs, this covers the sequences on CPU @slot, and no other CPU is interrupted;
 * otherwise it covers all sequences of the process.
 */
void stack_fence_slot(const struct cpu_stacks *s, unsigned slot);
/* The same for all slots except those whose bit is set in @skip, which may be NULL.  Only sets by
 * CPU may skip slots. */
void stack_fence_all(const struct cpu_stacks *s, const uint64_t *skip);

#endif
