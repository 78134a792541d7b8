/* SPDX-License-Identifier: MIT */
/*
 * arch/this_cpu.h - the sequences behind quire/percpu_ops.h; not for programs to include
 *
 * A sequence works on the current CPU's copy of a variable.  Its primitives are written once for
 * an architecture, from one table of steps (the simulated machine models the same table):
 *
 *	read		number, bound, slot, load
 *	write		number, bound, slot, commit value
 *	add, and, or	number, bound, slot, commit old + value (or and, or)
 *	add_return	number, bound, slot, load, add, commit
 *	xchg		number, bound, slot, load, commit value
 *	cmpxchg		number, bound, slot, load, same?, commit value
 *	add_if		number, bound, slot, guard?, commit old + value
 *
 * The section begins with the load of the CPU number and ends with the commit; the kernel sends a
 * thread that was preempted, migrated or interrupted by a signal inside it to the abort label,
 * which begins again.  The number is compared with the bound inside the section: it may be -1 or
 * -2, which are above any bound.  The bound is read inside the section too: the library stores 0 there
 * and lets a fence pass, and then no sequence of the process commits any more (src/machine/linux/cpu.c).
 *
 * rseq_cs is cleared after the commit, since the kernel reads the descriptor that it names at any
 * later moment, and a library that is closed takes its descriptors along.
 *
 * The steps are ABI, and so is what they read: the stride, and the words.
 */
#ifndef QUIRE_ARCH_THIS_CPU_H
#define QUIRE_ARCH_THIS_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes from one CPU's copy to the next CPU's, in every instance. */
#define QUIRE_PERCPU_STRIDE ((size_t)1 << 20)

/*
 * What the sequences of a program or a library read.  Before they are filled, sequences arm the
 * stand-in, whose number is above any bound.  Once filled they never change, so that a compiler
 * may read them once for a loop; only what @bound points to does.
 */
struct quire_this_cpu_words {
	intptr_t rseq_offset;  /* of struct rseq from the thread pointer; 0: not known */
	const uint32_t *bound; /* sequences run on CPUs below it; 0: on none */
	uint32_t no_cpus;      /* the bound until it is filled */
	uint32_t no_cpu_id;    /* as in struct rseq, in front of rseq_cs */
	uint64_t no_rseq_cs;   /* nobody reads it */
};

#define QUIRE_THIS_CPU_WORDS_INIT(words)                                                           \
	{                                                                                          \
		0, &(words).no_cpus, 0, UINT32_MAX, 0                                              \
	}

/* What quire_this_cpu_do() does, with the bytes of the copy beside it. */
#define QUIRE_THIS_CPU_READ	  0x10u
#define QUIRE_THIS_CPU_WRITE	  0x20u
#define QUIRE_THIS_CPU_ADD	  0x30u
#define QUIRE_THIS_CPU_AND	  0x40u
#define QUIRE_THIS_CPU_OR	  0x50u
#define QUIRE_THIS_CPU_ADD_RETURN 0x60u
#define QUIRE_THIS_CPU_XCHG	  0x70u
#define QUIRE_THIS_CPU_CMPXCHG	  0x80u

#ifndef __has_feature
#define QUIRE_THIS_CPU_TSAN_ 0
#elif __has_feature(thread_sanitizer)
#define QUIRE_THIS_CPU_TSAN_ 1
#else
#define QUIRE_THIS_CPU_TSAN_ 0
#endif

/* ThreadSanitizer sees neither sequences nor what they order, and who steps through one instruction
 * by instruction never reaches its end: such builds call the library. */
#if defined(QUIRE_NO_SEQUENCES) || defined(__SANITIZE_THREAD__) || QUIRE_THIS_CPU_TSAN_
#define QUIRE_THIS_CPU_SEQUENCES 0
#elif defined(__x86_64__) && defined(__LP64__)
#define QUIRE_THIS_CPU_SEQUENCES 1
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
#define QUIRE_THIS_CPU_SEQUENCES 1
#else
#define QUIRE_THIS_CPU_SEQUENCES 0
#endif

#define QUIRE_THIS_CPU_INLINE_ static inline __attribute__((always_inline))

#if !QUIRE_THIS_CPU_SEQUENCES
#include <quire/arch/this_cpu_none.h>
#elif defined(__x86_64__)
#include <quire/arch/this_cpu_x86_64.h>
#else
#include <quire/arch/this_cpu_aarch64.h>
#endif

#endif
