/* SPDX-License-Identifier: MIT */
/*
 * floor_pair.h - what the machine allows: single pages from per-CPU stacks over one locked array
 *
 * No order but 0, no coalescing, no check of any kind, memory that never grows or goes back.  A
 * page allocator with a per-CPU front cannot be faster than this on the same machine.
 */
#ifndef BENCH_FLOOR_PAIR_H
#define BENCH_FLOOR_PAIR_H

/* NULL, or why there is no floor here. */
const char *floor_setup(void);
void *floor_alloc(void);
void floor_free(void *page);

#endif
