/* SPDX-License-Identifier: MIT */
/* page/charge.h - what the modules to the right need of pages: one limit for all of an instance's memory */
#ifndef PAGE_CHARGE_H
#define PAGE_CHARGE_H

#include <stdbool.h>
#include <stdint.h>

struct quire;

/* Counts pages that are about to have memory outside the page allocator: 0 or -errno (charge.c). */
int page_charge(struct quire *q, uint64_t pages, unsigned flags);
/* Anywhere but a signal handler: it waits for a zone lock, never longer. */
void page_uncharge(struct quire *q, uint64_t pages);
/* Moves all cached memory to where any caller can use it: drains pages, and makes other modules give up
 * what they cache. */
void page_make_room(struct quire *q);

/* ---- giveback.c ---- */
/* Is the worker worth a thread?  Yes once the instance has 2 MiB of the system's memory, in pages or as
 * charges of other modules, or once the caller has @pages that are not charged and come to as much. */
bool page_is_worth_a_worker(struct quire *q, uint64_t pages);
/* Of the pages that the caller holds, so many more have never been written; modulo 2^64, so it may be fewer. */
void page_note_fresh(struct quire *q, uint64_t pages);

/* ---- free.c ---- */
/* True if @addr is the start of an allocated page, alone or inside a larger run. */
bool page_is_allocated(const struct quire *q, const void *addr);

#endif
