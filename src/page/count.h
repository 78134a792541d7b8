/* SPDX-License-Identifier: MIT */
/* page/count.h - pages counted by what their heads say: count.c */
#ifndef PAGE_COUNT_H
#define PAGE_COUNT_H

#include <stdbool.h>
#include <stdint.h>

struct pages;
struct zone;

/* Pages of one block; runs that are larger than a block count in their first. */
struct block_count {
	uint64_t allocated, cached, deferred, unbacked;
	bool online;
};

/* A block that is used less than this holds more memory than it is worth: one part in so many. */
#define SPARSE_PARTS 20u

/* In pages, but for the blocks. */
struct page_count {
	uint64_t allocated, cached, deferred;
	uint64_t sparse_blocks; /* of which something is allocated, but less than a 20th */
	uint64_t sparse_used;	/* allocated in them */
	uint64_t sparse_rest;	/* and what is not */
	uint64_t pinned; /* free and without memory, in blocks of which something is allocated */
};

/* Calls @take for each block of a zone that ever was online, in order; no lock is held then. */
void page_count_blocks(const struct pages *p, struct zone *zone,
		       void (*take)(uint32_t block, const struct block_count *count, void *arg),
		       void *arg);
/* Exact while no other thread uses the instance. */
void page_count_states(struct pages *p, struct page_count *count);

#endif
