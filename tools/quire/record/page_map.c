/* SPDX-License-Identifier: MIT */
#include "record/page_map.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* No block is longer, so each lies in one leaf. */
#define LEAF_ORDER 10
#define LEAF_PAGES (1u << LEAF_ORDER)
#define LEAVES_NR  (OCCUPANCY_PAGES_MAX >> LEAF_ORDER)

struct page_leaf {
	uint32_t ids[LEAF_PAGES];
	uint8_t orders[LEAF_PAGES]; /* order + 1 of the page's block; 0: none */
};

bool page_map_find(const struct page_map *map, uint64_t pfn, struct page_block *block)
{
	const struct page_leaf *leaf;
	unsigned page = (unsigned)pfn & (LEAF_PAGES - 1);

	if (map->leaves == NULL || pfn >= OCCUPANCY_PAGES_MAX)
		return false;
	leaf = map->leaves[pfn >> LEAF_ORDER];
	if (leaf == NULL || leaf->orders[page] == 0)
		return false;
	block->order = leaf->orders[page] - 1u;
	block->id = leaf->ids[page];
	block->pfn = pfn >> block->order << block->order;
	return true;
}

int page_map_add(struct page_map *map, struct page_block block)
{
	unsigned page = (unsigned)block.pfn & (LEAF_PAGES - 1);
	struct page_leaf **leaf;

	if (map->leaves == NULL)
		map->leaves = calloc(LEAVES_NR, sizeof(map->leaves[0]));
	if (map->leaves == NULL)
		return -ENOMEM;
	leaf = &map->leaves[block.pfn >> LEAF_ORDER];
	if (*leaf == NULL)
		*leaf = calloc(1, sizeof(**leaf));
	if (*leaf == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < 1u << block.order; i++) {
		(*leaf)->ids[page + i] = block.id;
		(*leaf)->orders[page + i] = (uint8_t)(block.order + 1);
	}
	return 0;
}

void page_map_remove(struct page_map *map, struct page_block block)
{
	struct page_leaf *leaf = map->leaves[block.pfn >> LEAF_ORDER];
	unsigned page = (unsigned)block.pfn & (LEAF_PAGES - 1);

	for (unsigned i = 0; i < 1u << block.order; i++)
		leaf->orders[page + i] = 0;
}

void page_map_fini(struct page_map *map)
{
	for (size_t i = 0; map->leaves != NULL && i < LEAVES_NR; i++)
		free(map->leaves[i]);
	free(map->leaves);
	map->leaves = NULL;
}
