/* SPDX-License-Identifier: MIT */
/* page/alloc.h - the allocation behind the fast path, in parts that other calls share */
#ifndef PAGE_ALLOC_H
#define PAGE_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

struct pages;
struct quire;

/* The migratetype that the flags ask for: enum migratetype, or TYPES_NR, which is not valid. */
unsigned page_flags_type(unsigned flags);
bool page_flags_valid(const struct pages *p, unsigned order, unsigned flags);
/* The class of stacks that serves a request, in the zone that it names or in the CPU's own. */
unsigned page_stack_class(struct pages *p, unsigned order, unsigned flags);

/* A run in state CACHED, or FRAME_NONE when no attempt that the flags allow found one. */
uint32_t page_alloc_frame(struct pages *p, unsigned order, unsigned flags);
/* Hands a cached run to its user: state, and zeroes if asked for and not known. */
void *page_finish_alloc(struct pages *p, uint32_t frame, unsigned order, unsigned flags);
/* quire_alloc_pages() for a caller that may do without: NULL with *@error, and errno as it was. */
void *page_alloc_run(struct quire *q, unsigned order, unsigned flags, int *error);
/* Acts for a CPU given by number, on its lists: replay, tests, benches. */
void *page_alloc_on(struct pages *p, unsigned slot, unsigned order, unsigned flags);
/* Makes runs of @new_order of an allocated one of @order. */
void page_split_to(struct pages *p, void *addr, unsigned order, unsigned new_order);

#endif
