/* SPDX-License-Identifier: MIT */
/* percpu/bits.h - masks of a chunk's pages, and words of maps */
#ifndef PERCPU_BITS_H
#define PERCPU_BITS_H

#include <stdint.h>

/* In place of the number of a bit, chunk or page: none. */
#define NONE UINT32_MAX

uint32_t bits_count(uint64_t bits);
/* The longest run of set bits. */
uint32_t bits_run(uint64_t bits);

/* @bits must not be 0. */
static inline uint32_t bit_lowest(uint64_t bits)
{
	return (uint32_t)__builtin_ctzll(bits);
}

static inline uint32_t bit_highest(uint64_t bits)
{
	return 63u - (uint32_t)__builtin_clzll(bits);
}

#endif
