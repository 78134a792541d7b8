/* SPDX-License-Identifier: MIT */
/* page/alloc.h - the slow path of an allocation, and the parts of it that other files call */
#ifndef PAGE_ALLOC_H
#define PAGE_ALLOC_H

#include <stdint.h>

struct page_request;
struct pages;
struct quire;

/* Returns a run (state CACHED), or FRAME_NONE if no attempt that the flags allow finds one. */
uint32_t page_alloc_frame(struct pages *p, const struct page_request *asked);
/* Marks a cached run ALLOCATED, and zeroes it if the request says so and it is not known to be zero.
 * Returns its address. */
void *page_finish_alloc(struct pages *p, uint32_t frame, const struct page_request *request);
/* As quire_alloc_pages(), but a refusal leaves errno alone and sets *@error. */
void *page_alloc_run(struct quire *q, unsigned order, unsigned flags, int *error);
/* Allocates from the lists of the slot that is given.  For the replay, tests and benches. */
void *page_alloc_on(struct pages *p, unsigned slot, unsigned order, unsigned flags);
/* Splits an allocated run of @order into runs of @new_order. */
void page_split_to(struct pages *p, void *addr, unsigned order, unsigned new_order);

#endif
