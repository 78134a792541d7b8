/* SPDX-License-Identifier: MIT */
/*
 * floor_pair.h - single pages from per-CPU stacks over one locked array
 *
 * It has order 0 only, no coalescing, no checks, and memory that neither grows nor is returned.  A
 * page allocator with per-CPU caches cannot be faster than this on the same machine.
 */
#ifndef BENCH_FLOOR_PAIR_H
#define BENCH_FLOOR_PAIR_H

/* Returns NULL, or the reason why there is no floor here. */
const char *floor_setup(void);
void *floor_alloc(void);
void floor_free(void *page);

#endif
