/* SPDX-License-Identifier: MIT */
/* linux/kernel.h - arithmetic and what else every file of the kernel uses */
#ifndef QUIRE_LINUX_KERNEL_H
#define QUIRE_LINUX_KERNEL_H

#include <linux/types.h>
#include_next <linux/kernel.h> /* the system's, which sys/sysinfo.h includes */
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/printk.h>

#include <limits.h>

#ifndef BITS_PER_LONG
#define BITS_PER_LONG __BITS_PER_LONG
#endif
#define BITS_PER_BYTE 8

#define U8_MAX	UINT8_MAX
#define U16_MAX UINT16_MAX
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX
#define S32_MAX INT32_MAX
#define S32_MIN INT32_MIN
#define S64_MAX INT64_MAX
#define S64_MIN INT64_MIN

#define SZ_1K 0x400
#define SZ_4K 0x1000
#define SZ_1M 0x100000
#define SZ_1G 0x40000000

#define ARRAY_SIZE(array)	   (sizeof(array) / sizeof((array)[0]))
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define container_of(ptr, type, member)                                                            \
	((type *)(void *)((char *)(uintptr_t)(ptr)-offsetof(type, member)))

/* Each argument is evaluated once. */
#define min_t(type, a, b)                                                                          \
	({                                                                                         \
		type quire_a_ = (a);                                                               \
		type quire_b_ = (b);                                                               \
		quire_a_ < quire_b_ ? quire_a_ : quire_b_;                                         \
	})
#define max_t(type, a, b)                                                                          \
	({                                                                                         \
		type quire_c_ = (a);                                                               \
		type quire_d_ = (b);                                                               \
		quire_c_ > quire_d_ ? quire_c_ : quire_d_;                                         \
	})
#define min(a, b)			min_t(__typeof__((a) + (b)), a, b)
#define max(a, b)			max_t(__typeof__((a) + (b)), a, b)
#define clamp_t(type, value, low, high) min_t(type, max_t(type, value, low), high)
#define clamp(value, low, high)		clamp_t(__typeof__(value), value, low, high)
#define swap(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) quire_swapped_ = (a);                                                \
		(a) = (b);                                                                         \
		(b) = quire_swapped_;                                                              \
	} while (0)

#define DIV_ROUND_UP(n, d)	(((n) + (d)-1) / (d))
#define roundup(n, to)		(DIV_ROUND_UP(n, to) * (to))
#define rounddown(n, to)	((n) - (n) % (to))
/* To a power of two. */
#define round_up(n, to)		((((n)-1) | ((__typeof__(n))(to)-1)) + 1)
#define round_down(n, to)	((n) & ~((__typeof__(n))(to)-1))
#define ALIGN(n, to)		round_up(n, to)
#define ALIGN_DOWN(n, to)	round_down(n, to)
#define PTR_ALIGN(ptr, to)	((__typeof__(ptr))ALIGN((uintptr_t)(ptr), (uintptr_t)(to)))
#define PTR_ALIGN_DOWN(ptr, to) ((__typeof__(ptr))ALIGN_DOWN((uintptr_t)(ptr), (uintptr_t)(to)))
#define IS_ALIGNED(n, to)	(((n) & ((__typeof__(n))(to)-1)) == 0)

/* Divides @n in place; the remainder. */
#define do_div(n, base)                                                                            \
	({                                                                                         \
		uint32_t quire_base_ = (uint32_t)(base);                                           \
		uint32_t quire_rest_ = (uint32_t)((uint64_t)(n) % quire_base_);                    \
		(n) = (uint64_t)(n) / quire_base_;                                                 \
		quire_rest_;                                                                       \
	})

#define BIT(n)	   (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))

/* The highest bit that is set, from 1: 0 for 0, 1 for 1, 4 for 8. */
static inline int quire_linux_fls(unsigned x)
{
	return x == 0 ? 0 : 32 - __builtin_clz(x);
}
#define fls(x) quire_linux_fls(x)

static inline int fls64(uint64_t x)
{
	return x == 0 ? 0 : 64 - __builtin_clzll(x);
}

/* Of a number that is not 0: 0 for 1, 3 for 8 and for 9. */
static inline int ilog2(uint64_t x)
{
	return fls64(x) - 1;
}

static inline bool is_power_of_2(unsigned long n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static inline unsigned long roundup_pow_of_two(unsigned long n)
{
	return n <= 1 ? 1 : 1UL << fls64(n - 1);
}

#define might_sleep()  ((void)0)
#define cond_resched() ((void)0)
#define cpu_relax()    barrier()

#endif
