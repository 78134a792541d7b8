/* SPDX-License-Identifier: MIT */
/*
 * percpu_ops.h - operations on the current CPU's copy of a per-CPU variable
 *
 * @ptr points to CPU 0's copy of an integer, an enumeration, a bool, or a pointer to data or to a
 * function, of 1, 2, 4 or 8 bytes, naturally aligned.  It may be an object of
 * quire_alloc_percpu(), the name of a variable, or the address of a field or an element in
 * either:  &stats->hits, &(*levels)[2].  Anything else does not compile.  An operand is converted
 * to the type of *ptr first, as in Linux: quire_this_cpu_sub(ptr, val) and sub_return subtract
 * val, also if val is unsigned and *ptr is wider.  Adding -val is different, as in plain C:
 * negating an unsigned int gives a large 32-bit number.
 *
 *	T    quire_this_cpu_read(ptr)			T is the type of *ptr
 *	void quire_this_cpu_write(ptr, val)
 *	void quire_this_cpu_add(ptr, val)		and sub, and, or
 *	void quire_this_cpu_inc(ptr)			and dec
 *	T    quire_this_cpu_add_return(ptr, val)	the new value; and sub_return
 *	T    quire_this_cpu_inc_return(ptr)		and dec_return
 *	T    quire_this_cpu_xchg(ptr, val)		the old value
 *	T    quire_this_cpu_cmpxchg(ptr, old, new)	the old value; equal to @old on success
 *	T    quire_per_cpu_sum(ptr)			of all CPUs' copies, modulo the width
 *
 * An operation is indivisible for the threads of the same CPU and for their signal handlers: the
 * thread may be preempted, interrupted or migrated, and the operation takes effect exactly once,
 * on the CPU on which it completes.  It is not indivisible for other CPUs: they may read a copy
 * at any time (quire_per_cpu_sum() does), but a store by another CPU may be lost or may undo an
 * operation.  An operation orders no other memory access.
 *
 * Where the system has no restartable sequences (or GLIBC_TUNABLES=glibc.pthread.rseq=0 disables
 * them), every operation of the process is an atomic operation on a copy.  A thread that libc did
 * not register registers itself for the duration of each operation: two system calls, 0.3 us.  If
 * that is refused, or on a CPU for which some instance has no unit (units: below the number of
 * CPUs), the first such operation ends the sequences of the process for good, and all operations
 * are atomic from then on; a CPU without a unit uses another CPU's copy.  See docs/percpu.md,
 * "Where sequences cannot run".
 *
 * With -DQUIRE_NO_SEQUENCES every operation is a call, so debuggers can step over it.
 *
 * The thread pointer of the calling thread must refer to a libc thread descriptor of its own.
 * Legal anywhere, including signal handlers, except between vfork and exec.
 */
#ifndef QUIRE_PERCPU_OPS_H
#define QUIRE_PERCPU_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <type_traits>
#endif

#include <quire/arch/this_cpu.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/**
 * quire_this_cpu_do - one operation by number: what the macros call when no sequence can run
 * @operation:	QUIRE_THIS_CPU_* | bytes of a copy (1, 2, 4, 8)
 * @ptr:	CPU 0's copy, naturally aligned
 * @value:	operand; cmpxchg's new value
 * @expected:	cmpxchg's old value
 *
 * Returns   the value read, the new value of add_return, the old one of xchg and cmpxchg, else 0;
 *           zero-extended.
 * Context   anywhere, signal handlers included; takes no lock.
 * Cost      a call and a sequence; or, as the top of this file says, two system calls or an atomic
 *           operation, and a fence once in the life of the process.
 */
uint64_t quire_this_cpu_do(unsigned operation, volatile void *ptr, uint64_t value,
			   uint64_t expected);

/**
 * quire_per_cpu_sum_bytes - the sum of all CPUs' copies
 * @ptr:	CPU 0's copy
 * @bytes:	of a copy (1, 2, 4, 8)
 *
 * Copies that change meanwhile are each read once, at some moment.
 *
 * Returns   the sum of the zero-extended copies, modulo 2^64: right modulo the width, whatever
 *           wrapped around and whichever copies are negative.
 * Context   anywhere, signal handlers included; takes no lock and interrupts no CPU.
 * Cost      one cache miss per CPU.
 */
uint64_t quire_per_cpu_sum_bytes(const volatile void *ptr, unsigned bytes);

/**
 * quire_this_cpu_fill - find out what sequences of this process read
 * @words:	filled, once and for all; left alone where there are no sequences.  Their layout is
 *		fixed: the sequences in programs read it
 *
 * Context   anywhere, signal handlers included.  Constructors of whatever includes this header
 *           call it.
 * Cost      the first call of the process asks the system a few questions.
 */
void quire_this_cpu_fill(struct quire_this_cpu_words *words);

#pragma GCC visibility pop

#ifndef QUIRE_PERCPU_OPS_NO_INLINE /* for libquire itself, which has words of its own */

#if QUIRE_THIS_CPU_SEQUENCES

/* One for each program and library that includes this; its own business. */
extern struct quire_this_cpu_words quire_this_cpu_words;
__attribute__((weak, visibility("hidden"))) struct quire_this_cpu_words quire_this_cpu_words =
	QUIRE_THIS_CPU_WORDS_INIT(quire_this_cpu_words);

/** quire_this_cpu_begin_ - before main(), or when a library is loaded: what sequences read */
__attribute__((constructor)) static void quire_this_cpu_begin_(void)
{
	quire_this_cpu_fill(&quire_this_cpu_words);
}

#define QUIRE_THIS_CPU_WORDS_ (&quire_this_cpu_words)

#else

#define QUIRE_THIS_CPU_WORDS_ ((const struct quire_this_cpu_words *)0)

#endif

#define QUIRE_THIS_CPU_UNLIKELY_(refused) __builtin_expect(refused, 0)

#define QUIRE_THIS_CPU_MESSAGE_                                                                    \
	"quire_this_cpu_*: *ptr must be an integer, an enumeration, a bool or a pointer of 1, 2, " \
	"4 or 8 bytes"

#define QUIRE_THIS_CPU_DEFINE_QUIET_(op, OP, bytes, type)                                          \
	QUIRE_THIS_CPU_INLINE_ void quire_this_cpu_##op##_##bytes(volatile void *ptr, type value)  \
	{                                                                                          \
		if (QUIRE_THIS_CPU_UNLIKELY_(                                                      \
			    !quire_seq_##op##_##bytes(QUIRE_THIS_CPU_WORDS_, ptr, value)))         \
			(void)quire_this_cpu_do(QUIRE_THIS_CPU_##OP | bytes, ptr, value, 0);       \
	}

#define QUIRE_THIS_CPU_DEFINE_(bytes, type)                                                        \
	QUIRE_THIS_CPU_DEFINE_QUIET_(write, WRITE, bytes, type)                                    \
	QUIRE_THIS_CPU_DEFINE_QUIET_(add, ADD, bytes, type)                                        \
	QUIRE_THIS_CPU_DEFINE_QUIET_(and, AND, bytes, type)                                        \
	QUIRE_THIS_CPU_DEFINE_QUIET_(or, OR, bytes, type)                                          \
	QUIRE_THIS_CPU_INLINE_ type quire_this_cpu_read_##bytes(const volatile void *ptr)          \
	{                                                                                          \
		type old;                                                                          \
                                                                                                   \
		if (QUIRE_THIS_CPU_UNLIKELY_(                                                      \
			    !quire_seq_read_##bytes(QUIRE_THIS_CPU_WORDS_, ptr, &old)))            \
			old = (type)quire_this_cpu_do(QUIRE_THIS_CPU_READ | bytes,                 \
						      (volatile void *)(uintptr_t)ptr, 0, 0);      \
		return old;                                                                        \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ type quire_this_cpu_add_return_##bytes(volatile void *ptr,          \
								      type value)                  \
	{                                                                                          \
		size_t slot;                                                                       \
		type sum;                                                                          \
                                                                                                   \
		if (QUIRE_THIS_CPU_UNLIKELY_(!quire_seq_add_return_##bytes(                        \
			    QUIRE_THIS_CPU_WORDS_, ptr, value, &sum, &slot)))                      \
			sum = (type)quire_this_cpu_do(QUIRE_THIS_CPU_ADD_RETURN | bytes, ptr,      \
						      value, 0);                                   \
		return sum;                                                                        \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ type quire_this_cpu_xchg_##bytes(volatile void *ptr, type value)    \
	{                                                                                          \
		type old;                                                                          \
                                                                                                   \
		if (QUIRE_THIS_CPU_UNLIKELY_(                                                      \
			    !quire_seq_xchg_##bytes(QUIRE_THIS_CPU_WORDS_, ptr, value, &old)))     \
			old = (type)quire_this_cpu_do(QUIRE_THIS_CPU_XCHG | bytes, ptr, value, 0); \
		return old;                                                                        \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ type quire_this_cpu_cmpxchg_##bytes(volatile void *ptr,             \
								   type expected, type value)      \
	{                                                                                          \
		type old;                                                                          \
                                                                                                   \
		if (QUIRE_THIS_CPU_UNLIKELY_(!quire_seq_cmpxchg_##bytes(                           \
			    QUIRE_THIS_CPU_WORDS_, ptr, expected, value, &old)))                   \
			old = (type)quire_this_cpu_do(QUIRE_THIS_CPU_CMPXCHG | bytes, ptr, value,  \
						      expected);                                   \
		return old;                                                                        \
	}

QUIRE_THIS_CPU_DEFINE_(1, uint8_t)
QUIRE_THIS_CPU_DEFINE_(2, uint16_t)
QUIRE_THIS_CPU_DEFINE_(4, uint32_t)
QUIRE_THIS_CPU_DEFINE_(8, uint64_t)

#endif

#ifdef __cplusplus
}

/* What *ptr may be; the message is what a user reads. */
template <class T> struct quire_this_cpu_check {
	/* A function has no size to ask for: three is as wrong. */
	typedef typename std::conditional<std::is_function<T>::value, char[3], T>::type sized;
	static_assert((std::is_integral<T>::value || std::is_enum<T>::value ||
		       std::is_pointer<T>::value) &&
			      (sizeof(sized) == 1 || sizeof(sized) == 2 || sizeof(sized) == 4 ||
			       sizeof(sized) == 8),
		      QUIRE_THIS_CPU_MESSAGE_);
	typedef char type;
};

/* A type without const and volatile, which a cast must not name. */
template <class T> struct quire_this_cpu_plain {
	typedef T type;
};
template <class T> struct quire_this_cpu_plain<const T> {
	typedef T type;
};
template <class T> struct quire_this_cpu_plain<volatile T> {
	typedef T type;
};
template <class T> struct quire_this_cpu_plain<const volatile T> {
	typedef T type;
};
#define QUIRE_THIS_CPU_TYPE_(ptr) typename quire_this_cpu_plain<__typeof__(*(ptr))>::type
#define QUIRE_THIS_CPU_WIDTH_(ptr)                                                                 \
	((void)sizeof(typename quire_this_cpu_check<QUIRE_THIS_CPU_TYPE_(ptr)>::type))
#else
#define QUIRE_THIS_CPU_TYPE_(ptr) __typeof__(*(ptr))
/*
 * The compiler's classes 1 to 5 are integers, enumerations, bools and pointers.  It takes arrays
 * and functions for pointers too; unlike everything else, these change their type behind a comma.
 */
#define QUIRE_THIS_CPU_WIDTH_(ptr)                                                                 \
	((void)sizeof(struct {                                                                     \
		_Static_assert(                                                                    \
			__builtin_classify_type(*(ptr)) >= 1 &&                                    \
				__builtin_classify_type(*(ptr)) <= 5 &&                            \
				__builtin_types_compatible_p(__typeof__(*(ptr)),                   \
							     __typeof__(((void)0, *(ptr)))) &&     \
				(sizeof(*(ptr)) == 1 || sizeof(*(ptr)) == 2 ||                     \
				 sizeof(*(ptr)) == 4 || sizeof(*(ptr)) == 8),                      \
			QUIRE_THIS_CPU_MESSAGE_);                                                  \
		char unused;                                                                       \
	}))
#endif

/*
 * By the width of *ptr: one of the four is compiled, and each argument is evaluated once.  An
 * operand becomes what assignment to *ptr would make of it, and then its bits; bits become what
 * *ptr is.
 */
#define QUIRE_THIS_CPU_BITS_(ptr, val) ((uint64_t)(QUIRE_THIS_CPU_TYPE_(ptr))(val))

#define QUIRE_THIS_CPU_QUIET_(op, ptr, bits)                                                       \
	(QUIRE_THIS_CPU_WIDTH_(ptr),                                                               \
	 sizeof(*(ptr)) == 8   ? quire_this_cpu_##op##_8((ptr), (bits))                            \
	 : sizeof(*(ptr)) == 4 ? quire_this_cpu_##op##_4((ptr), (uint32_t)(bits))                  \
	 : sizeof(*(ptr)) == 2 ? quire_this_cpu_##op##_2((ptr), (uint16_t)(bits))                  \
			       : quire_this_cpu_##op##_1((ptr), (uint8_t)(bits)))

#define QUIRE_THIS_CPU_VALUE_(op, ptr, bits)                                                       \
	((QUIRE_THIS_CPU_TYPE_(ptr))(                                                              \
		QUIRE_THIS_CPU_WIDTH_(ptr),                                                        \
		sizeof(*(ptr)) == 8   ? quire_this_cpu_##op##_8((ptr), (bits))                     \
		: sizeof(*(ptr)) == 4 ? quire_this_cpu_##op##_4((ptr), (uint32_t)(bits))           \
		: sizeof(*(ptr)) == 2 ? quire_this_cpu_##op##_2((ptr), (uint16_t)(bits))           \
				      : quire_this_cpu_##op##_1((ptr), (uint8_t)(bits))))

/**
 * quire_this_cpu_read - read this CPU's copy
 * @ptr:	CPU 0's copy; may point to const
 *
 * Returns   the value, of the type of *ptr; the thread may be on another CPU by then.
 * Context   anywhere, signal handlers included; never waits.  So all operations.
 * Cost      one sequence: about ten instructions, none of them locked.  Where none can run, see the
 *           top of this file.  So all operations but the sum.
 * Linux     this_cpu_read().  raw_cpu_read() and __this_cpu_read() are no cheaper here, so there is
 *           one of each operation.
 */
#define quire_this_cpu_read(ptr)                                                                   \
	((QUIRE_THIS_CPU_TYPE_(ptr))(QUIRE_THIS_CPU_WIDTH_(ptr),                                   \
				     sizeof(*(ptr)) == 8   ? quire_this_cpu_read_8(ptr)            \
				     : sizeof(*(ptr)) == 4 ? quire_this_cpu_read_4(ptr)            \
				     : sizeof(*(ptr)) == 2 ? quire_this_cpu_read_2(ptr)            \
							   : quire_this_cpu_read_1(ptr)))

/**
 * quire_this_cpu_write - store into this CPU's copy
 * @ptr:	CPU 0's copy
 * @val:	converted to the type of *ptr
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence.
 * Linux     this_cpu_write().
 */
#define quire_this_cpu_write(ptr, val)                                                             \
	QUIRE_THIS_CPU_QUIET_(write, ptr, QUIRE_THIS_CPU_BITS_(ptr, val))

/**
 * quire_this_cpu_add, quire_this_cpu_sub - add to this CPU's copy, or subtract from it
 * @ptr:	CPU 0's copy
 * @val:	converted to the type of *ptr; bytes if that is a pointer
 *
 * The result wraps around.
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence.
 * Linux     this_cpu_add(), this_cpu_sub().
 */
#define quire_this_cpu_add(ptr, val) QUIRE_THIS_CPU_QUIET_(add, ptr, QUIRE_THIS_CPU_BITS_(ptr, val))
#define quire_this_cpu_sub(ptr, val)                                                               \
	QUIRE_THIS_CPU_QUIET_(add, ptr, UINT64_C(0) - QUIRE_THIS_CPU_BITS_(ptr, val))

/**
 * quire_this_cpu_inc, quire_this_cpu_dec - add one to this CPU's copy, or subtract one
 * @ptr:	CPU 0's copy
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence.
 * Linux     this_cpu_inc(), this_cpu_dec().
 */
#define quire_this_cpu_inc(ptr) QUIRE_THIS_CPU_QUIET_(add, ptr, UINT64_C(1))
#define quire_this_cpu_dec(ptr) QUIRE_THIS_CPU_QUIET_(add, ptr, UINT64_MAX)

/**
 * quire_this_cpu_and, quire_this_cpu_or - clear or set bits in this CPU's copy
 * @ptr:	CPU 0's copy
 * @val:	converted to the type of *ptr
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence.
 * Linux     this_cpu_and(), this_cpu_or().
 */
#define quire_this_cpu_and(ptr, val) QUIRE_THIS_CPU_QUIET_(and, ptr, QUIRE_THIS_CPU_BITS_(ptr, val))
#define quire_this_cpu_or(ptr, val)  QUIRE_THIS_CPU_QUIET_(or, ptr, QUIRE_THIS_CPU_BITS_(ptr, val))

/**
 * quire_this_cpu_add_return, quire_this_cpu_sub_return - as add and sub, and tell the result
 * @ptr:	CPU 0's copy
 * @val:	converted to the type of *ptr; bytes if that is a pointer
 *
 * Returns   the new value, of the type of *ptr.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence.
 * Linux     this_cpu_add_return(), this_cpu_sub_return().
 */
#define quire_this_cpu_add_return(ptr, val)                                                        \
	QUIRE_THIS_CPU_VALUE_(add_return, ptr, QUIRE_THIS_CPU_BITS_(ptr, val))
#define quire_this_cpu_sub_return(ptr, val)                                                        \
	QUIRE_THIS_CPU_VALUE_(add_return, ptr, UINT64_C(0) - QUIRE_THIS_CPU_BITS_(ptr, val))

/**
 * quire_this_cpu_inc_return, quire_this_cpu_dec_return - as inc and dec, and tell the result
 * @ptr:	CPU 0's copy
 *
 * Returns   the new value, of the type of *ptr.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence.
 * Linux     this_cpu_inc_return(), this_cpu_dec_return().
 */
#define quire_this_cpu_inc_return(ptr) QUIRE_THIS_CPU_VALUE_(add_return, ptr, UINT64_C(1))
#define quire_this_cpu_dec_return(ptr) QUIRE_THIS_CPU_VALUE_(add_return, ptr, UINT64_MAX)

/**
 * quire_this_cpu_xchg - store into this CPU's copy, and tell what was there
 * @ptr:	CPU 0's copy
 * @val:	converted to the type of *ptr
 *
 * Returns   the old value, of the type of *ptr.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence.
 * Linux     this_cpu_xchg().
 */
#define quire_this_cpu_xchg(ptr, val)                                                              \
	QUIRE_THIS_CPU_VALUE_(xchg, ptr, QUIRE_THIS_CPU_BITS_(ptr, val))

/**
 * quire_this_cpu_cmpxchg - store into this CPU's copy if it has the expected value
 * @ptr:	CPU 0's copy
 * @expected:	converted to the type of *ptr
 * @val:	stored if so; converted to the type of *ptr
 *
 * Returns   the old value, of the type of *ptr: equal to @expected if @val was stored.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one sequence.
 * Linux     this_cpu_cmpxchg(); for this_cpu_try_cmpxchg() compare the result.
 */
#define quire_this_cpu_cmpxchg(ptr, expected, val)                                                 \
	((QUIRE_THIS_CPU_TYPE_(ptr))(                                                              \
		QUIRE_THIS_CPU_WIDTH_(ptr),                                                        \
		sizeof(*(ptr)) == 8                                                                \
			? quire_this_cpu_cmpxchg_8((ptr), QUIRE_THIS_CPU_BITS_(ptr, expected),     \
						   QUIRE_THIS_CPU_BITS_(ptr, val))                 \
		: sizeof(*(ptr)) == 4                                                              \
			? quire_this_cpu_cmpxchg_4((ptr),                                          \
						   (uint32_t)QUIRE_THIS_CPU_BITS_(ptr, expected),  \
						   (uint32_t)QUIRE_THIS_CPU_BITS_(ptr, val))       \
		: sizeof(*(ptr)) == 2                                                              \
			? quire_this_cpu_cmpxchg_2((ptr),                                          \
						   (uint16_t)QUIRE_THIS_CPU_BITS_(ptr, expected),  \
						   (uint16_t)QUIRE_THIS_CPU_BITS_(ptr, val))       \
			: quire_this_cpu_cmpxchg_1((ptr),                                          \
						   (uint8_t)QUIRE_THIS_CPU_BITS_(ptr, expected),   \
						   (uint8_t)QUIRE_THIS_CPU_BITS_(ptr, val))))

/**
 * quire_per_cpu_sum - the sum of all CPUs' copies
 * @ptr:	CPU 0's copy; may point to const
 *
 * Copies that change meanwhile are each read once, at some moment.
 *
 * Returns   the sum modulo the width, of the type of *ptr.
 * Context   anywhere, signal handlers included; takes no lock and interrupts no CPU.
 * Cost      a call, and one cache miss per CPU.
 * Linux     a loop over for_each_possible_cpu().
 */
#define quire_per_cpu_sum(ptr)                                                                     \
	((QUIRE_THIS_CPU_TYPE_(ptr))(QUIRE_THIS_CPU_WIDTH_(ptr),                                   \
				     quire_per_cpu_sum_bytes((ptr), sizeof(*(ptr)))))

#endif
