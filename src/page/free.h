/* SPDX-License-Identifier: MIT */
/* page/free.h - the free behind the fast path: checks, where a run goes, and the deferred list */
#ifndef PAGE_FREE_H
#define PAGE_FREE_H

#include <stddef.h>
#include <stdint.h>

struct pages;

/* Checks that @addr heads an allocated run of @order, or stops with the rule broken.  Its frame. */
uint32_t page_check_free(struct pages *p, const void *addr, unsigned order, const char *function);
/* Where a run (state CACHED) goes that the fast path could not push. */
void page_free_frame(struct pages *p, uint32_t frame, unsigned order);
/* Gives one run (state CACHED) to the buddy; deferred if a nested call gets no lock. */
void page_free_direct(struct pages *p, uint32_t frame);
/* Act for a CPU given by number, on its lists: replay, tests, benches. */
void page_free_on(struct pages *p, unsigned slot, void *addr, unsigned order);
void page_free_bulk_on(struct pages *p, unsigned slot, size_t count, void **pages);

/* Takes in what handlers had to leave; ordinary context, waiting locks may be held. */
void page_take_deferred(struct pages *p);
/* Takes back one deferred run of at least @order (state CACHED), or FRAME_NONE: for a nested call,
 * so that a handler that frees as much as it allocates lives on its own. */
uint32_t page_take_deferred_one(struct pages *p, unsigned order);

#endif
