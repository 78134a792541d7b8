/* SPDX-License-Identifier: MIT */
/* page/charge.h - what the modules to the right need of pages: one limit for all of an instance's memory */
#ifndef PAGE_CHARGE_H
#define PAGE_CHARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quire;

/* Counts pages that are about to have memory outside the page allocator: 0 or -errno (charge.c). */
int page_charge(struct quire *q, uint64_t pages, unsigned flags);
/* Anywhere but a signal handler: it waits for a zone lock, never longer. */
void page_uncharge(struct quire *q, uint64_t pages);
/* Moves all cached memory to where any caller can use it: drains pages, and makes other modules give up
 * what they cache. */
void page_make_room(struct quire *q);
/*
 * Calls @attempt, and repeats it while it returns -ENOMEM: once after making room, then after each of the program's
 * shrinkers that gave up something, which are asked for @bytes at first.  Returns its last result.  Only one attempt is
 * made with flags that forbid waiting, and with QUIRE_NORETRY.  The caller holds no lock: what is made under one is made
 * by @attempt, which takes and releases it, and charges with QUIRE_NORETRY.
 */
int page_attempt(struct quire *q, size_t bytes, unsigned flags, int (*attempt)(void *arg),
		 void *arg);

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
