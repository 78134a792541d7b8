/* SPDX-License-Identifier: MIT */
/* page/advice.h - which blocks of pages are advised to have huge pages */
#ifndef PAGE_ADVICE_H
#define PAGE_ADVICE_H

#include <stdbool.h>
#include <stdint.h>

struct pages;

/* Blocks without huge pages that say how much of such blocks is written: advice.c. */
struct page_witness {
	uint32_t first, end; /* none if they are equal */
	uint32_t interval;   /* steps between two witnesses */
	uint32_t until;	     /* steps before the next */
	bool was_dense;	     /* atomic, relaxed: the last one that was looked at */
};

/* Blocks [first, end) are committed now, for the first time or after they were offline.  A caller that may not wait
 * may leave them without advice. */
void page_advise_fresh(struct pages *p, uint32_t first, uint32_t end, bool was_offline,
		       bool may_wait);
/* Nothing of blocks [first, end) is in use, and no memory is behind them. */
void page_advise_empty(struct pages *p, uint32_t first, uint32_t end);
/* A block is offline.  Unless its memory @is_gone, what had gone of it before must not be filled again. */
void page_advise_offline(struct pages *p, uint32_t block, bool is_gone);
/* A part of blocks [first, end) is about to be given back.  True if one may have a huge page, which is
 * to be split first. */
bool page_advise_pieces(struct pages *p, uint32_t first, uint32_t end);
/* The worker's visit: looks at some blocks that are in use without huge pages, and makes those huge that
 * were found written twice.  Requires giveback_mutex. */
void page_advise_full(struct pages *p);

#endif
