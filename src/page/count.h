/* SPDX-License-Identifier: MIT */
/* page/count.h - pages counted by what their heads say: count.c */
#ifndef PAGE_COUNT_H
#define PAGE_COUNT_H

#include <stdint.h>

struct pages;

/* In pages, but for the blocks. */
struct page_count {
	uint64_t allocated, cached, deferred;
	uint64_t sparse_blocks; /* of which something is allocated, but less than a 20th */
	uint64_t sparse_used;	/* allocated in them */
	uint64_t sparse_rest;	/* and what is not */
	uint64_t pinned; /* free and without memory, in blocks of which something is allocated */
};

/* Exact while no other thread uses the instance. */
void page_count_states(struct pages *p, struct page_count *count);

#endif
