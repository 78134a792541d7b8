/* SPDX-License-Identifier: MIT */
/* percpu/bits.c - counts of bits, in a few steps each */
#include "percpu/bits.h"

/* By adding neighbours: the builtin may be a call of a library that not every machine has. */
uint32_t bits_count(uint64_t bits)
{
	bits -= bits >> 1 & 0x5555555555555555u;
	bits = (bits & 0x3333333333333333u) + (bits >> 2 & 0x3333333333333333u);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (uint32_t)(bits * 0x0101010101010101u >> 56);
}

/* Longest run of set bits.  0b0110 -> 2; 0 -> 0; all -> 64. */
uint32_t bits_run(uint64_t bits)
{
	uint32_t n = 0;

	if (bits == ~(uint64_t)0)
		return 64;
	for (; bits != 0; bits &= bits << 1)
		n++;
	return n;
}
