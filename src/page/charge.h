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
/* All that is cached anywhere goes back where everybody can have it. */
void page_make_room(struct quire *q);

/* ---- free.c ---- */
/* A page begins at @addr that somebody has allocated, alone or as part of a block. */
bool page_is_allocated(const struct quire *q, const void *addr);

#endif
