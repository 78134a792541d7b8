/* SPDX-License-Identifier: MIT */
/*
 * areas.h - shared by the processes that measure large blocks
 *
 * Words
 *   block     64 KiB .. 64 MiB; AREAS_LIVE of them are live
 *   written   said of a block: one byte of every page is written; otherwise only its first byte
 *   pair      a block is allocated and freed
 *   replace   one of the live blocks, chosen at random, is freed and another allocated
 *   random    sizes log-uniform in [bytes / 16, bytes], whole pages
 *   sibling   a thread that keeps the other CPU busy in the same address space
 */
#ifndef BENCH_AREAS_H
#define BENCH_AREAS_H

#include <stdint.h>
#include "harness/subject.h"

#define AREA_PAGE  ((size_t)4096)
#define AREA_SIZES 1024u /* random sizes, made before the run */

/* In bytes, for the run's largest block. */
extern size_t area_sizes[AREA_SIZES];

/* ---- pairs_child.c ---- */

/* Sizes for blocks of at most @bytes. */
void area_sizes_make(size_t bytes);

static inline void area_touch(char *block, size_t bytes, unsigned written)
{
	*(volatile char *)block = 1;
	if (written)
		for (size_t at = AREA_PAGE; at < bytes; at += AREA_PAGE)
			((volatile char *)block)[at] = 1;
}

#endif
