/* SPDX-License-Identifier: MIT */
/*
 * malloc/profile.h - a profile of the heap by sampling: profile.c
 *
 * Words
 *   sampled    said of a block that was hit when it was allocated: it stands for as many as it has weight
 *   on         said of the profile while blocks are hit.  What was sampled before is known when it is freed, whether or not
 *   apart      said of a small block that was sampled: it is a run of pages, so that its free() is cold
 */
#ifndef MALLOC_PROFILE_H
#define MALLOC_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace;
struct traces;

#define PROFILE_SHIFT_DEFAULT 19u /* 512 KiB */
/* 200,000 stacks.  A program has some thousands. */
#define PROFILE_BYTES	      ((size_t)64 << 20)

/* The power of two that is nearest from above, within what odds.h has; 0 -> the default. */
unsigned profile_shift(uint64_t bytes);

/* While the heap is made, first of all. */
void profile_begin(void);
/* On, with one hit in 2^@shift bytes.  0, -ENOMEM, -EBUSY: another call is at it, or -ENOTSUP: blocks are looked at by another
 * layer, or what is shared is the parent's.  The heap is ready. */
int profile_start(unsigned shift);
/* 0, or -EBUSY. */
int profile_stop(void);
bool profile_is_on(void);
/* From here on in memory of @bytes that another process reads: after profile_begin(), before profile_start(). */
void profile_share(void *memory, size_t bytes);
/* In a child of fork: what is shared is the parent's, and the child has no profile. */
void profile_fork_child(void);
/* What was sampled; NULL: nothing ever was asked for. */
const struct traces *profile_traces(void);
/* How long ago it was first on; only if there are traces. */
uint64_t profile_age_ns(void);
/* log2 of the mean; as it was at the last start. */
unsigned profile_mean_shift(void);

/* ---- profile_figures.c ---- */

/* A trace's sums of blocks are in 256ths: of a block that is always hit an error of 1/512, of all others less. */
#define PROFILE_ONE_BLOCK 256u

/* Figures of a trace, weighted.  What is used is as of now, or of a moment before. */
struct profile_figures {
	uint64_t alloc_blocks, alloc_bytes, used_blocks, used_bytes;
};
struct profile_figures profile_figures(const struct trace *trace);

#endif
