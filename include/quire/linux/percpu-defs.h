/* SPDX-License-Identifier: MIT */
/*
 * linux/percpu-defs.h - per-CPU variables that are named as themselves, and operations on them
 *
 * A variable of DEFINE_PER_CPU() is an object in the section quire_percpu of its program or library, where what
 * every copy begins as lies.  Before main(), a constructor allocates room for the whole section, up to
 * QUIRE_PERCPU_BYTES_MAX, and copies it to every CPU.  An address in the section stands for the same place in
 * CPU 0's copy: each accessor moves it there, with a compare and an addition.  So the address of a variable is
 * of use to the accessors of its own program or library, and to no others; a pointer of per_cpu_ptr() or
 * alloc_percpu() is of use to all.  As in the kernel, a variable is not used but by accessors: what was
 * stored to it directly no copy would have.
 *
 * Operations are those of quire/percpu_ops.h, which need no section of linux/preempt.h around them: this_cpu_,
 * raw_cpu_ and __this_cpu_ are the same.  An operand is converted to the variable's type first, and only then
 * negated by sub and sub_return.
 *
 * Those of 16 bytes, cmpxchg_double and cmpxchg128, need more than the one store that ends a sequence.  Each is an atomic
 * operation in a section of its own, so the thread is on the CPU whose copy it is: a sequence of another thread there
 * was interrupted, and begins again.  It costs what a section costs.
 */
#ifndef QUIRE_LINUX_PERCPU_DEFS_H
#define QUIRE_LINUX_PERCPU_DEFS_H

#include <linux/kernel.h>
#include <linux/smp.h>

#include <quire/percpu.h>
#include <quire/percpu_ops.h>

/* ---- variables ---- */

#define QUIRE_LINUX_SECTION_ __attribute__((section("quire_percpu"), used))

/* Keeps the section in being, and its beginning on a cache line. */
extern char quire_linux_percpu_none[SMP_CACHE_BYTES];
QUIRE_LINUX_SHARED_ QUIRE_LINUX_SECTION_
	__attribute__((aligned(SMP_CACHE_BYTES))) char quire_linux_percpu_none[SMP_CACHE_BYTES];

/* By the linker, of this program or library. */
extern char __start_quire_percpu[] __attribute__((visibility("hidden")));
extern char __stop_quire_percpu[] __attribute__((visibility("hidden")));

extern void *quire_linux_percpu; /* CPU 0's copy of the section; NULL before the constructor */
QUIRE_LINUX_SHARED_ void *quire_linux_percpu;

/* The section begins where its largest alignment allows. */
__attribute__((constructor(QUIRE_PER_CPU_PRIORITY))) static void quire_linux_percpu_begin(void)
{
	uintptr_t start = (uintptr_t)__start_quire_percpu;
	uintptr_t align = start & (~start + 1);
	const struct quire_percpu_variable section = {
		.struct_bytes = sizeof(section),
		.pointer = &quire_linux_percpu,
		.content = __start_quire_percpu,
		.bytes = (uintptr_t)__stop_quire_percpu - start,
		.align = align < 4096 ? align : 4096,
	};

	if (quire_linux_percpu == NULL)
		quire_percpu_define(&section);
}

/* CPU 0's copy: of an object that was allocated @ptr itself. */
static inline void *quire_linux_copy_(const volatile void *ptr)
{
	uintptr_t start = (uintptr_t)__start_quire_percpu, distance = (uintptr_t)ptr - start;

	if (distance < (uintptr_t)__stop_quire_percpu - start)
		return (char *)quire_linux_percpu + distance;
	return (void *)(uintptr_t)ptr;
}

#define QUIRE_LINUX_COPY_(ptr) ((__typeof__(1 ? (ptr) : (ptr)))quire_linux_copy_(ptr))

#define DEFINE_PER_CPU_SECTION(type, name, section)  QUIRE_LINUX_SECTION_ __typeof__(type) name
#define DECLARE_PER_CPU_SECTION(type, name, section) extern __typeof__(type) name

#define DEFINE_PER_CPU(type, name)		   DEFINE_PER_CPU_SECTION(type, name, "")
#define DECLARE_PER_CPU(type, name)		   DECLARE_PER_CPU_SECTION(type, name, "")
#define DEFINE_PER_CPU_ALIGNED(type, name)	   DEFINE_PER_CPU(type, name) ____cacheline_aligned
#define DECLARE_PER_CPU_ALIGNED(type, name)	   DECLARE_PER_CPU(type, name) ____cacheline_aligned
#define DEFINE_PER_CPU_SHARED_ALIGNED(type, name)  DEFINE_PER_CPU_ALIGNED(type, name)
#define DECLARE_PER_CPU_SHARED_ALIGNED(type, name) DECLARE_PER_CPU_ALIGNED(type, name)
#define DEFINE_PER_CPU_PAGE_ALIGNED(type, name)	   DEFINE_PER_CPU(type, name) __aligned(4096)
#define DECLARE_PER_CPU_PAGE_ALIGNED(type, name)   DECLARE_PER_CPU(type, name) __aligned(4096)
#define DEFINE_PER_CPU_READ_MOSTLY(type, name)	   DEFINE_PER_CPU(type, name)
#define DECLARE_PER_CPU_READ_MOSTLY(type, name)	   DECLARE_PER_CPU(type, name)
#define DEFINE_PER_CPU_CACHE_HOT(type, name)	   DEFINE_PER_CPU(type, name)
#define DECLARE_PER_CPU_CACHE_HOT(type, name)	   DECLARE_PER_CPU(type, name)
#define DEFINE_PER_CPU_FIRST(type, name)	   DEFINE_PER_CPU(type, name)
#define DECLARE_PER_CPU_FIRST(type, name)	   DECLARE_PER_CPU(type, name)
#define DEFINE_PER_CPU_DECRYPTED(type, name)	   DEFINE_PER_CPU(type, name)
#define DECLARE_PER_CPU_DECRYPTED(type, name)	   DECLARE_PER_CPU(type, name)
#define EXPORT_PER_CPU_SYMBOL(name)		   _Static_assert(1, "")
#define EXPORT_PER_CPU_SYMBOL_GPL(name)		   _Static_assert(1, "")

/* ---- copies ---- */

#define per_cpu_ptr(ptr, cpu)  quire_per_cpu_ptr(QUIRE_LINUX_COPY_(ptr), (unsigned)(cpu))
#define raw_cpu_ptr(ptr)       per_cpu_ptr(ptr, raw_smp_processor_id())
#define this_cpu_ptr(ptr)      raw_cpu_ptr(ptr)
#define per_cpu(name, cpu)     (*per_cpu_ptr(&(name), cpu))
#define __verify_pcpu_ptr(ptr) ((void)sizeof(ptr))

/* A section of linux/preempt.h: what it promises is there. */
#define get_cpu_ptr(ptr)                                                                           \
	({                                                                                         \
		preempt_disable();                                                                 \
		this_cpu_ptr(ptr);                                                                 \
	})
#define put_cpu_ptr(ptr)                                                                           \
	do {                                                                                       \
		(void)(ptr);                                                                       \
		preempt_enable();                                                                  \
	} while (0)
#define get_cpu_var(name)   (*get_cpu_ptr(&(name)))
#define put_cpu_var(name)   put_cpu_ptr(&(name))
#define __get_cpu_var(name) (*this_cpu_ptr(&(name)))

/* ---- operations ---- */

#define QUIRE_LINUX_OP_(op, pcp, ...) quire_this_cpu_##op(QUIRE_LINUX_COPY_(&(pcp)), ##__VA_ARGS__)
/* A value of the variable's own type; the operation's may be without its qualifiers. */
#define QUIRE_LINUX_TRY_(pcp, old, value)                                                          \
	({                                                                                         \
		__typeof__(old) quire_old_ = (old);                                                \
		__typeof__(*quire_old_) quire_expected_ = *quire_old_;                             \
		*quire_old_ = QUIRE_LINUX_OP_(cmpxchg, pcp, quire_expected_, value);               \
		*quire_old_ == quire_expected_;                                                    \
	})

#define this_cpu_read(pcp)		      QUIRE_LINUX_OP_(read, pcp)
#define this_cpu_inc(pcp)		      QUIRE_LINUX_OP_(inc, pcp)
#define this_cpu_dec(pcp)		      QUIRE_LINUX_OP_(dec, pcp)
#define this_cpu_inc_return(pcp)	      QUIRE_LINUX_OP_(inc_return, pcp)
#define this_cpu_dec_return(pcp)	      QUIRE_LINUX_OP_(dec_return, pcp)
#define this_cpu_write(pcp, value)	      QUIRE_LINUX_OP_(write, pcp, value)
#define this_cpu_add(pcp, value)	      QUIRE_LINUX_OP_(add, pcp, value)
#define this_cpu_sub(pcp, value)	      QUIRE_LINUX_OP_(sub, pcp, value)
#define this_cpu_and(pcp, value)	      QUIRE_LINUX_OP_(and, pcp, value)
#define this_cpu_or(pcp, value)		      QUIRE_LINUX_OP_(or, pcp, value)
#define this_cpu_add_return(pcp, value)	      QUIRE_LINUX_OP_(add_return, pcp, value)
#define this_cpu_sub_return(pcp, value)	      QUIRE_LINUX_OP_(sub_return, pcp, value)
#define this_cpu_xchg(pcp, value)	      QUIRE_LINUX_OP_(xchg, pcp, value)
#define this_cpu_cmpxchg(pcp, old, value)     QUIRE_LINUX_OP_(cmpxchg, pcp, old, value)
#define this_cpu_try_cmpxchg(pcp, old, value) QUIRE_LINUX_TRY_(pcp, old, value)

#define raw_cpu_read(pcp)		     QUIRE_LINUX_OP_(read, pcp)
#define raw_cpu_inc(pcp)		     QUIRE_LINUX_OP_(inc, pcp)
#define raw_cpu_dec(pcp)		     QUIRE_LINUX_OP_(dec, pcp)
#define raw_cpu_inc_return(pcp)		     QUIRE_LINUX_OP_(inc_return, pcp)
#define raw_cpu_dec_return(pcp)		     QUIRE_LINUX_OP_(dec_return, pcp)
#define raw_cpu_write(pcp, value)	     QUIRE_LINUX_OP_(write, pcp, value)
#define raw_cpu_add(pcp, value)		     QUIRE_LINUX_OP_(add, pcp, value)
#define raw_cpu_sub(pcp, value)		     QUIRE_LINUX_OP_(sub, pcp, value)
#define raw_cpu_and(pcp, value)		     QUIRE_LINUX_OP_(and, pcp, value)
#define raw_cpu_or(pcp, value)		     QUIRE_LINUX_OP_(or, pcp, value)
#define raw_cpu_add_return(pcp, value)	     QUIRE_LINUX_OP_(add_return, pcp, value)
#define raw_cpu_sub_return(pcp, value)	     QUIRE_LINUX_OP_(sub_return, pcp, value)
#define raw_cpu_xchg(pcp, value)	     QUIRE_LINUX_OP_(xchg, pcp, value)
#define raw_cpu_cmpxchg(pcp, old, value)     QUIRE_LINUX_OP_(cmpxchg, pcp, old, value)
#define raw_cpu_try_cmpxchg(pcp, old, value) QUIRE_LINUX_TRY_(pcp, old, value)

#define __this_cpu_read(pcp)			QUIRE_LINUX_OP_(read, pcp)
#define __this_cpu_inc(pcp)			QUIRE_LINUX_OP_(inc, pcp)
#define __this_cpu_dec(pcp)			QUIRE_LINUX_OP_(dec, pcp)
#define __this_cpu_inc_return(pcp)		QUIRE_LINUX_OP_(inc_return, pcp)
#define __this_cpu_dec_return(pcp)		QUIRE_LINUX_OP_(dec_return, pcp)
#define __this_cpu_write(pcp, value)		QUIRE_LINUX_OP_(write, pcp, value)
#define __this_cpu_add(pcp, value)		QUIRE_LINUX_OP_(add, pcp, value)
#define __this_cpu_sub(pcp, value)		QUIRE_LINUX_OP_(sub, pcp, value)
#define __this_cpu_and(pcp, value)		QUIRE_LINUX_OP_(and, pcp, value)
#define __this_cpu_or(pcp, value)		QUIRE_LINUX_OP_(or, pcp, value)
#define __this_cpu_add_return(pcp, value)	QUIRE_LINUX_OP_(add_return, pcp, value)
#define __this_cpu_sub_return(pcp, value)	QUIRE_LINUX_OP_(sub_return, pcp, value)
#define __this_cpu_xchg(pcp, value)		QUIRE_LINUX_OP_(xchg, pcp, value)
#define __this_cpu_cmpxchg(pcp, old, value)	QUIRE_LINUX_OP_(cmpxchg, pcp, old, value)
#define __this_cpu_try_cmpxchg(pcp, old, value) QUIRE_LINUX_TRY_(pcp, old, value)

/* ---- operations on 16 bytes ---- */

#if defined(__x86_64__)
/* Of 16 aligned bytes: stores @value if they are @old.  Returns what they were. */
static inline u128 quire_linux_cmpxchg128_(volatile u128 *ptr, u128 old, u128 value)
{
	u64 low = (u64)old, high = (u64)(old >> 64);

	__asm__ volatile("lock cmpxchg16b %0"
			 : "+m"(*ptr), "+a"(low), "+d"(high)
			 : "b"((u64)value), "c"((u64)(value >> 64))
			 : "memory", "cc");
	return (u128)high << 64 | low;
}
#elif defined(__aarch64__)
/* The same. */
static inline u128 quire_linux_cmpxchg128_(volatile u128 *ptr, u128 old, u128 value)
{
	u64 low, high, put_low, put_high;
	u32 is_lost;

	/* What differs is stored again, without which the two words might be of two moments. */
	__asm__ volatile("1:	ldaxp %[low], %[high], %[at]\n"
			 "	cmp %[low], %[old_low]\n"
			 "	ccmp %[high], %[old_high], #0, eq\n"
			 "	csel %[put_low], %[new_low], %[low], eq\n"
			 "	csel %[put_high], %[new_high], %[high], eq\n"
			 "	stlxp %w[is_lost], %[put_low], %[put_high], %[at]\n"
			 "	cbnz %w[is_lost], 1b"
			 : [low] "=&r"(low), [high] "=&r"(high), [put_low] "=&r"(put_low),
			   [put_high] "=&r"(put_high), [is_lost] "=&r"(is_lost), [at] "+Q"(*ptr)
			 : [old_low] "r"((u64)old), [old_high] "r"((u64)(old >> 64)),
			   [new_low] "r"((u64)value), [new_high] "r"((u64)(value >> 64))
			 : "memory", "cc");
	return (u128)high << 64 | low;
}
#endif

/* The same on the current CPU's copy of @ptr. */
static inline u128 quire_linux_this_cpu_cmpxchg128_(volatile void *ptr, u128 old, u128 value)
{
	u128 found;

	BUG_ON((uintptr_t)ptr % sizeof(u128) != 0);
	preempt_disable();
	found = quire_linux_cmpxchg128_((volatile u128 *)this_cpu_ptr(ptr), old, value);
	preempt_enable();
	return found;
}

#define this_cpu_cmpxchg128(pcp, old, value)                                                       \
	((__typeof__(pcp))quire_linux_this_cpu_cmpxchg128_(&(pcp), (u128)(old), (u128)(value)))
#define this_cpu_try_cmpxchg128(pcp, old, value)                                                   \
	({                                                                                         \
		__typeof__(old) quire_old_ = (old);                                                \
		__typeof__(*quire_old_) quire_expected_ = *quire_old_;                             \
		*quire_old_ = this_cpu_cmpxchg128(pcp, quire_expected_, value);                    \
		*quire_old_ == quire_expected_;                                                    \
	})

/* Two words that are neighbours, the first at a multiple of 16: true if both were as expected, and are replaced. */
#define QUIRE_LINUX_PAIR_(first, second, low, high)                                                \
	((u128)(u64)(__typeof__(second))(high) << 64 | (u64)(__typeof__(first))(low))
#define this_cpu_cmpxchg_double(first, second, old_first, old_second, new_first, new_second)       \
	({                                                                                         \
		u128 quire_pair_ = QUIRE_LINUX_PAIR_(first, second, old_first, old_second);        \
		BUILD_BUG_ON(sizeof(first) != 8 || sizeof(second) != 8);                           \
		BUG_ON((uintptr_t) & (second) != (uintptr_t) & (first) + 8);                       \
		quire_linux_this_cpu_cmpxchg128_(                                                  \
			&(first), quire_pair_,                                                     \
			QUIRE_LINUX_PAIR_(first, second, new_first, new_second)) == quire_pair_;   \
	})

#define raw_cpu_cmpxchg128(pcp, old, value)	   this_cpu_cmpxchg128(pcp, old, value)
#define raw_cpu_try_cmpxchg128(pcp, old, value)	   this_cpu_try_cmpxchg128(pcp, old, value)
#define __this_cpu_try_cmpxchg128(pcp, old, value) this_cpu_try_cmpxchg128(pcp, old, value)
#define raw_cpu_cmpxchg_double(...)		   this_cpu_cmpxchg_double(__VA_ARGS__)
#define __this_cpu_cmpxchg_double(...)		   this_cpu_cmpxchg_double(__VA_ARGS__)

#define this_cpu_cmpxchg64(pcp, old, value) this_cpu_cmpxchg(pcp, old, value)
#define this_cpu_read_stable(pcp)	    this_cpu_read(pcp)

#endif
