// SPDX-License-Identifier: MIT
/* aliases.c - pages mapped again, in an instance with backing:memfd */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#include "expect.h"

static int __init aliases_init(void)
{
	struct page *pages[3] = { alloc_page(GFP_KERNEL), alloc_page(GFP_KERNEL), NULL };
	char *alias;

	BUG_ON(pages[0] == NULL || pages[1] == NULL);
	pages[2] = pages[0];
	alias = (char *)vmap(pages, 3, VM_MAP, PAGE_KERNEL);
	BUG_ON(alias == NULL);
	alias[2 * PAGE_SIZE] = 5;
	EXPECT_EQ(*(char *)page_address(pages[0]), 5);
	vunmap(alias);
	alias = (char *)vm_map_ram(pages, 2, NUMA_NO_NODE);
	EXPECT_EQ(*alias, 5);
	vm_unmap_ram(alias, 2);
	vm_unmap_aliases();
	__free_page(pages[0]);
	__free_page(pages[1]);
	return 0;
}

module_init(aliases_init);
