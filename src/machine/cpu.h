/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - operations on the current CPU's copy of a variable, and who may stop them
 *
 * @ptr is CPU 0's copy; a CPU's copy is QUIRE_PERCPU_STRIDE bytes above the one of the CPU before
 * it.  An operation is one of QUIRE_THIS_CPU_* | bytes; what it does is cpu_apply().
 *
 * Sequences (machine/<m>/cpu_ops.h) are restarted when the thread is preempted, moved or
 * interrupted before their commit, and have no effect until then.  Each takes the CPU number
 * and compares it with the CPUs inside the section.  They refuse where the process has no sequences
 * (cpu_has_sequences(), decided once), and on a thread that has no CPU number.  add_if refuses also
 * if the guard does not read @expected inside the section.
 *
 *   bool cpu_sequence(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected,
 *		       uint64_t *result);
 *   bool cpu_add_return(volatile uint64_t *ptr, uint64_t value, uint64_t *sum, size_t *slot);
 *	@slot: from CPU 0's copy to the one that was added to
 *   bool cpu_add_if(volatile uint64_t *ptr, uint64_t value, const volatile uint32_t *guard,
 *		     uint32_t expected);
 *
 * No copy is ever worked on by sequences and by atomic operations at a time, but for a thread that
 * cpu_fallback() keeps on the copy's CPU.
 */
#ifndef MACHINE_CPU_H
#define MACHINE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/arch/this_cpu.h>

#include "cpu_ops.h" /* the machine's sequences */

/* Whether this process has sequences: the same answer for its whole life. */
bool cpu_has_sequences(void);
/* The operation by other means: atomic where there are no sequences; else, on a thread without a
 * CPU number, from a CPU that it is kept on. */
uint64_t cpu_fallback(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected);
/* After it returns, every sequence of this process that began before the call has committed or
 * will restart.  Needs no sequences to exist. */
void cpu_fence(void);
/* What sequences in other libraries have to know; left alone where there are none. */
void cpu_fill_words(struct quire_this_cpu_words *words);

/* What an operation makes of the bits of a copy, and what it returns. */
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
