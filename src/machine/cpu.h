/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - operations on the current CPU's copy of a variable, and how sequences are ended
 *
 * @ptr is CPU 0's copy; the copy of each further CPU is QUIRE_PERCPU_STRIDE bytes higher.  An
 * operation is one of QUIRE_THIS_CPU_* | bytes; cpu_apply() defines its effect.
 *
 * A sequence (machine/<m>/cpu_ops.h) is restarted when the thread is preempted, migrated or
 * interrupted before the commit, and has no effect until then.  It reads the CPU number and
 * compares it with the bound inside the section.  It refuses if the process has no sequences
 * (cpu_has_sequences()), if the thread has no CPU number, and on a CPU at or above the bound: the
 * number of possible CPUs, or the smallest number of units of any instance.  add_if also refuses if
 * the guard does not read @expected inside the section.
 *
 *   bool cpu_sequence(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected,
 *		       uint64_t *result);
 *   bool cpu_add_return(volatile uint64_t *ptr, uint64_t value, uint64_t *sum, size_t *slot);
 *	@slot: distance from CPU 0's copy to the copy that was changed
 *   bool cpu_add_if(volatile uint64_t *ptr, uint64_t value, const volatile uint32_t *guard,
 *		     uint32_t expected);
 *
 * Sequences and atomic operations never work on a copy at the same time: in a process with
 * sequences, the first operation that cannot run as a sequence ends all sequences of the process
 * for good.
 */
#ifndef MACHINE_CPU_H
#define MACHINE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/arch/this_cpu.h>

#include "cpu_ops.h" /* the machine's sequences */

/* Whether this process has sequences.  The answer changes at most once, from yes to no, and only
 * when no sequence is in progress any more. */
bool cpu_has_sequences(void);
/* Performs the operation once by other means, in any thread, even if it migrates meanwhile.  On a
 * CPU for which the object has no copy, it works on another CPU's copy. */
uint64_t cpu_fallback(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected);
/* The current CPU, or another one below @units if it is not below: for atomic operations. */
unsigned cpu_unit(unsigned units);
/* After it returns, every sequence of this process that began before the call has committed or
 * will restart.  Does nothing if there are no sequences. */
void cpu_fence(void);
/* Fills the words that sequences in other libraries read; leaves them unchanged if there are
 * none. */
void cpu_fill_words(struct quire_this_cpu_words *words);

/*
 * Objects in [@base, @base + @bytes) have copies for @units CPUs.  Called before there are any such
 * objects, if @units is below the number of possible CPUs.  0, or -ENOMEM if there are too many
 * such ranges.
 */
int cpu_units_add(const void *base, size_t bytes, unsigned units);
void cpu_units_remove(const void *base);
/* The number of copies of the object at @ptr. */
unsigned cpu_units_of(const volatile void *ptr);

/* The new bits of a copy after an operation, and the operation's result. */
struct cpu_effect {
	uint64_t bits;
	uint64_t result;
};

static inline uint64_t cpu_operation_mask(unsigned operation)
{
	return UINT64_MAX >> (64 - 8 * (operation & 15u));
}

static inline struct cpu_effect cpu_apply(unsigned operation, uint64_t old, uint64_t value,
					  uint64_t expected)
{
	uint64_t mask = cpu_operation_mask(operation);

	switch (operation & ~15u) {
	case QUIRE_THIS_CPU_READ:
		return (struct cpu_effect){ old, old };
	case QUIRE_THIS_CPU_WRITE:
		return (struct cpu_effect){ value & mask, 0 };
	case QUIRE_THIS_CPU_ADD:
		return (struct cpu_effect){ (old + value) & mask, 0 };
	case QUIRE_THIS_CPU_AND:
		return (struct cpu_effect){ old & value & mask, 0 };
	case QUIRE_THIS_CPU_OR:
		return (struct cpu_effect){ (old | value) & mask, 0 };
	case QUIRE_THIS_CPU_ADD_RETURN:
		return (struct cpu_effect){ (old + value) & mask, (old + value) & mask };
	case QUIRE_THIS_CPU_XCHG:
		return (struct cpu_effect){ value & mask, old };
	default:
		return (struct cpu_effect){ old == (expected & mask) ? value & mask : old, old };
	}
}

#endif
