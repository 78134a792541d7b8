/* SPDX-License-Identifier: MIT */
/*
 * lean.h - lean per-CPU stacks: of pointers, on slots that are CPUs, closed all at once
 *
 * The stacks of machine/stack.h can be closed one by one, and pay for that with a bound in each pop.  A
 * set of these (struct lean_stacks) is closed as a whole, by the comparison of the CPU's number that
 * each sequence makes anyway.  A pair takes ten instructions less.
 *
 * A set has one region of LEAN_STRIDE bytes for each CPU.  A region begins with LEAN_CLASSES_NR headers of
 * 8 bytes; the places of the classes follow.  A place is a word that is 0, the sentinel, and the entries above it,
 * words too.  The fields of a header are indexes of words in the region:
 *
 *     top   the newest entry; the sentinel if the stack is empty
 *     high  the last word that may become top.  Push is refused when top >= high
 *
 * An entry is a pointer that is not NULL, so pop refuses when the word at top is 0.  A region of zeroes refuses
 * everything: its headers' tops are 0, and so is word 0.  Therefore class 0 is never used; its header stays
 * 0, and so do the headers of classes that shall refuse for ever.
 *
 * Closing.  To close all stacks of a set, store slots_nr = 0.  After lean_fence() no sequence that began
 * before can commit, and the closing thread owns all headers and entries.  It opens them by a store of slots_open
 * with a release.  A sequence reads slots_nr, and everything else only after it, also in the order that other CPUs
 * observe: so a sequence that finds the set open sees what the closer has left.  Whoever closes excludes other
 * closers by a lock of its own.
 *
 * While a set is open, another thread may store high alone, relaxed, to let a class keep more or less:
 * no sequence writes it, but for lean_replace().  A sequence that is under way may still use the old value.  A header's
 * first value, as any other change of both fields, comes by lean_replace(), since a push may have read one field.
 *
 * Sequences (machine/<m>/lean_ops.h).  Each acts on the CPU on which it commits, may be aborted and restarted at any
 * instruction before the commit, and has no effect until then.
 *
 *   void *lean_pop(const struct lean_stacks *s, unsigned class);
 *	the newest entry, or NULL (empty, closed, no sequences on this thread)
 *   bool lean_push(const struct lean_stacks *s, unsigned class, void *entry);
 *	false if full or closed, or if @entry is the newest entry already.  Where the class was computed from the
 *	entry, the next pop would wait for that computation; so pop notes its class in the region (LEAN_HINT_CLASS),
 *	and push takes the class from there if it is the same, a comparison that the processor predicts.  Nobody else
 *	writes the note during a sequence
 *   unsigned lean_pop_n(const struct lean_stacks *s, unsigned class, void **entries, unsigned n);
 *	takes the newest min(n, held), newest first; returns how many
 *   unsigned lean_push_n(const struct lean_stacks *s, unsigned class, void *const *entries, unsigned n);
 *	pushes entries[0] first, the first min(n, room); returns how many
 *   bool lean_replace(const struct lean_stacks *s, unsigned slot, unsigned class,
 *		       struct lean_header expected, struct lean_header wanted);
 *	replaces this CPU's header if it is @expected and the CPU is @slot: how a stack begins, and how an
 *	empty one moves to another place
 *   unsigned lean_slot(const struct lean_stacks *s);
 *	the current CPU, as a hint, or another number below all_slots_nr.  For locks of slots
 */
#ifndef MACHINE_LEAN_H
#define MACHINE_LEAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAN_STRIDE_SHIFT 20
#define LEAN_STRIDE	  ((size_t)1 << LEAN_STRIDE_SHIFT)
#define LEAN_CLASSES_NR	  256u /* headers, so that any byte names one */
#define LEAN_HINT_CLASS	  128u /* never used as a class: sequences keep a hint in its header's top */

struct lean_header {
	uint32_t top;
	uint32_t high;
};

struct lean_stacks {
	char *base;	      /* CPU 0's region, aligned to 8 */
	intptr_t rseq_offset; /* of struct rseq from the thread pointer */
	uint32_t slots_nr;    /* atomic: slots_open, or 0 while the set is closed */
	uint32_t
		slots_open; /* CPUs with stacks: all possible ones, or 0 if there are no sequences */
	uint32_t all_slots_nr; /* slots with a lock, also without sequences: lean_slot() */
};

/* The calls must not hide a class that is a constant. */
#define LEAN_INLINE static inline __attribute__((always_inline))

#include "lean_ops.h" /* the machine's sequences */

static inline struct lean_header *lean_header(const struct lean_stacks *s, unsigned slot,
					      unsigned class)
{
	return (struct lean_header *)(void *)(s->base + ((size_t)slot << LEAN_STRIDE_SHIFT)) +
	       class;
}

/* The region's words. */
static inline void **lean_words(const struct lean_stacks *s, unsigned slot)
{
	return (void **)(void *)(s->base + ((size_t)slot << LEAN_STRIDE_SHIFT));
}

/*
 * Sets all fields of @s but base.  @slots: the most CPUs that shall have a lock, 0 for all possible ones; with fewer
 * there are no sequences.  @spare: some CPUs are to be spared by lean_fence(); if the system cannot do that, there are
 * no sequences.  @rseq: false means no sequences.
 */
void lean_setup(struct lean_stacks *s, unsigned slots, bool spare, bool rseq);
/* When it returns, every sequence that began before the call has committed or will restart, but on CPUs whose bit
 * is set in @skip, which may be NULL. */
void lean_fence(const struct lean_stacks *s, const uint64_t *skip);

#endif
