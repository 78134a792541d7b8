/* SPDX-License-Identifier: MIT */
/* page/nested.h - serving a caller that may only try locks, and the spares that are kept for it */
#ifndef PAGE_NESTED_H
#define PAGE_NESTED_H

#include <stddef.h>
#include <stdint.h>

struct page_request;
struct pages;

/* Runs of orders 0..3 kept for handlers that can take no lock: a few of each, 120 pages in all. */
#define SPARE_ORDERS_NR 4u
#define SPARES_NR	8u

/* Returns a run (state CACHED) for a caller that may only try locks, or FRAME_NONE. */
uint32_t nested_alloc(struct pages *p, const struct page_request *request);
/* An instance begins without spares, and has none until a nested call asks for one. */
void nested_init(struct pages *p);
/* Replaces the spares that nested calls have used, from zone 0.  Not in a handler, with no lock held. */
void nested_fill(struct pages *p);
/* Moves the spares to the buddy.  Returns pages. */
size_t nested_drain(struct pages *p);
/* Lays the spares aside until the fork is done.  Both with the doors locked, and p->forking set. */
void nested_fork_prepare(struct pages *p);
void nested_fork_done(struct pages *p);
/* Pages in the spares: a hint while others run. */
uint64_t nested_pages(struct pages *p);

#endif
