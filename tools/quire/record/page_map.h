/* SPDX-License-Identifier: MIT */
/* page_map.h - which block of pages lives at a page frame; blocks are aligned to their length */
#ifndef QUIRE_TOOL_PAGE_MAP_H
#define QUIRE_TOOL_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/occupancy.h"

struct page_block {
	uint64_t pfn; /* its first page */
	uint32_t id;
	unsigned order;
};

struct page_leaf;

/* All zero: empty. */
struct page_map {
	struct page_leaf **leaves; /* made as blocks in them come to life */
};

/* False: no live block has the page. */
bool page_map_find(const struct page_map *map, uint64_t pfn, struct page_block *block);
/* Over nothing that lives, and below OCCUPANCY_PAGES_MAX.  0 or -ENOMEM. */
int page_map_add(struct page_map *map, struct page_block block);
void page_map_remove(struct page_map *map, struct page_block block);
void page_map_fini(struct page_map *map);

#endif
