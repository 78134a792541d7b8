/* SPDX-License-Identifier: MIT */
/* page/free.h - the slow path of a free: checks, where a run goes, and the deferred list */
#ifndef PAGE_FREE_H
#define PAGE_FREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pages;

/* Checks that @addr heads an allocated run of @order, and returns its frame; stops the process if not. */
uint32_t page_check_free(struct pages *p, const void *addr, unsigned order, const char *function);
/* Frees a run (state CACHED) that the fast path could not push. */
void page_free_frame(struct pages *p, uint32_t frame, unsigned order);
/* Puts such a run away, and does nothing else that a free may do.  With QUIRE_NOLOCK in @flags only tries
 * locks, and starts no thread. */
void page_put_frame(struct pages *p, uint32_t frame, unsigned order, unsigned flags);
/* Frees a run (state CACHED) to the buddy.  A nested call that cannot lock the zone defers it. */
void page_free_direct(struct pages *p, uint32_t frame);
/* Free to the lists of the slot that is given.  For the replay, tests and benches. */
void page_free_on(struct pages *p, unsigned slot, void *addr, unsigned order);
void page_free_bulk_on(struct pages *p, unsigned slot, size_t count, void **pages);

/* Frees what handlers had to defer.  Not in a handler; the caller may hold mutexes. */
void page_take_deferred(struct pages *p);
/* Takes in what was deferred when a fork begins; until it is done nothing more is taken in.  With no zone locked. */
void page_fork_prepare_deferred(struct pages *p);
/* What was deferred in between is lost in the child. */
void page_fork_done_deferred(struct pages *p, bool child);
/* Takes one deferred run of at least @order (state CACHED), or returns FRAME_NONE.  For nested calls, so
 * that a handler that frees as much as it allocates can go on for ever. */
uint32_t page_take_deferred_one(struct pages *p, unsigned order);

#endif
