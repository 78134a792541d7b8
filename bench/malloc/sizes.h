/* SPDX-License-Identifier: MIT */
/* sizes.h - random sizes of objects: each doubling is as likely as another */
#ifndef BENCH_MALLOC_SIZES_H
#define BENCH_MALLOC_SIZES_H

#include <stddef.h>
#include "harness/random.h"

/* 16 bytes and @doublings doublings of it: the mean of 9 of them is 1,363 bytes. */
static inline size_t size_random(uint64_t *state, unsigned doublings)
{
	uint32_t least = 16u << random_below(state, doublings);

	return least + random_below(state, least);
}

/* Writes to each page of an object of at most that many bytes. */
static inline void object_touch(void *object, size_t bytes)
{
	volatile char *at = object;

	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = 1;
	at[bytes - 1] = 1;
}

#endif
