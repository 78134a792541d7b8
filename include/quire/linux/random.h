/* SPDX-License-Identifier: MIT */
/* linux/random.h - numbers that need not be secret: a sequence for each thread */
#ifndef QUIRE_LINUX_RANDOM_H
#define QUIRE_LINUX_RANDOM_H

#include <linux/types.h>
#include_next <linux/random.h> /* the system's */

extern __thread u64 quire_linux_random;
QUIRE_LINUX_SHARED_ __thread u64 quire_linux_random; /* 0: not begun */

/* xorshift64*, begun at an address that differs from thread to thread and from run to run. */
static inline u64 get_random_u64(void)
{
	u64 x = quire_linux_random != 0 ? quire_linux_random : (uintptr_t)&quire_linux_random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	quire_linux_random = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

#define get_random_u32()  ((u32)(get_random_u64() >> 32))
#define get_random_u16()  ((u16)(get_random_u64() >> 48))
#define get_random_u8()	  ((u8)(get_random_u64() >> 56))
#define prandom_u32()	  get_random_u32()
#define get_random_long() ((unsigned long)get_random_u64())

/* Below @bound, which is not 0. */
static inline u32 get_random_u32_below(u32 bound)
{
	return (u32)((u64)get_random_u32() * bound >> 32);
}

#define prandom_u32_max(bound)		    get_random_u32_below(bound)
#define get_random_u32_inclusive(low, high) ((low) + get_random_u32_below((high) - (low) + 1))

static inline void get_random_bytes(void *buffer, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((u8 *)buffer)[i] = get_random_u8();
}

#endif
