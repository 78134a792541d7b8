// SPDX-License-Identifier: MIT
/* pages.c - blocks, their references, nodes, and flags that repeat a refused call */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "expect.h"

static uint64_t allocated_pages(void)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	BUG_ON(quire_page_stat_read(quire_default(), &stat) != 0);
	return stat.allocated_pages;
}

static void a_page_is_where_its_struct_is(void)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	char *addr = (char *)page_address(page);

	BUG_ON(page == NULL);
	EXPECT_EQ(addr[4 * PAGE_SIZE - 1], 0);
	EXPECT(virt_to_page(addr + PAGE_SIZE + 5) == page + 1);
	EXPECT(pfn_to_page(page_to_pfn(page) + 3) == nth_page(page, 3));
	EXPECT_EQ(compound_order(page), 2);
	EXPECT_EQ(page_size(page), 4 * PAGE_SIZE);
	EXPECT(virt_addr_valid(addr));
	__free_pages(page, 2);
	EXPECT_EQ(get_order(1), 0);
	EXPECT_EQ(get_order(PAGE_SIZE), 0);
	EXPECT_EQ(get_order(PAGE_SIZE + 1), 1);
	EXPECT_EQ(get_order(5 * PAGE_SIZE), 3);
}

/* A reference taken by another user keeps the block when its owner frees it, and the last put frees it. */
static void the_last_reference_frees_the_block(void)
{
	uint64_t before = allocated_pages();
	unsigned long addr = __get_free_pages(GFP_KERNEL, 3);
	struct page *page = virt_to_page((void *)addr);

	EXPECT_EQ(page_ref_count(page), 1);
	get_page(page);
	get_page(page);
	EXPECT_EQ(page_count(page), 3);
	free_pages(addr, 3);
	EXPECT_EQ(allocated_pages(), before + 8);
	put_page(page);
	EXPECT_EQ(allocated_pages(), before + 8);
	put_page(page);
	EXPECT_EQ(allocated_pages(), before);
}

static void split_pages_are_freed_one_by_one_or_at_once(void)
{
	uint64_t before = allocated_pages();
	struct page *page = alloc_pages(GFP_KERNEL, 2);

	split_page(page, 2);
	for (int i = 0; i < 4; i++)
		__free_page(page + i);
	EXPECT_EQ(allocated_pages(), before);
	page = alloc_pages(GFP_KERNEL, 2);
	split_page(page, 2);
	free_pages_exact(page_address(page), 4 * PAGE_SIZE);
	EXPECT_EQ(allocated_pages(), before);
}

static void runs_of_any_length(void)
{
	struct page *pages[5] = { NULL };
	uint64_t before = allocated_pages();
	void *exact = alloc_pages_exact(3 * PAGE_SIZE - 7, GFP_KERNEL);
	struct page *run = alloc_contig_pages(5, GFP_KERNEL, NUMA_NO_NODE, NULL);

	EXPECT_EQ(allocated_pages(), before + 3 + 5);
	free_pages_exact(exact, 3 * PAGE_SIZE - 7);
	free_contig_range(page_to_pfn(run), 5);
	EXPECT_EQ(alloc_pages_bulk(GFP_KERNEL, ARRAY_SIZE(pages), pages), 5);
	release_pages(pages, ARRAY_SIZE(pages));
	EXPECT_EQ(allocated_pages(), before);
}

static void a_range_is_taken_if_all_of_it_is_free(void)
{
	unsigned long first = page_to_pfn(alloc_pages(GFP_KERNEL, 5));
	uint64_t before = allocated_pages();

	EXPECT_EQ(alloc_contig_range(first, first + 32, MIGRATE_MOVABLE, GFP_KERNEL), -EBUSY);
	__free_pages(pfn_to_page(first), 5);
	*(char *)page_address(pfn_to_page(first + 3)) = 1;
	EXPECT_EQ(
		alloc_contig_range(first + 3, first + 32, MIGRATE_MOVABLE, GFP_KERNEL | __GFP_ZERO),
		0);
	EXPECT_EQ(*(char *)page_address(pfn_to_page(first + 3)), 0);
	EXPECT_EQ(allocated_pages(), before - 3);
	get_page(pfn_to_page(first + 5));
	free_contig_range(first + 3, 29);
	EXPECT_EQ(allocated_pages(), before - 31);
	put_page(pfn_to_page(first + 5));
	EXPECT_EQ(allocated_pages(), before - 32);
}

static void a_node_is_preferred_unless_it_is_strict(void)
{
	struct page *page = alloc_pages_node(7, GFP_KERNEL, 0); /* there is one zone */

	EXPECT(page != NULL);
	__free_page(page);
	EXPECT(alloc_pages_node(7, GFP_KERNEL | __GFP_THISNODE, 0) == NULL);
	page = alloc_pages_node(NUMA_NO_NODE, GFP_ATOMIC, 0);
	EXPECT(page != NULL);
	__free_page(page);
}

/* Takes blocks until none is left, linked through their first words. */
static void *fill(gfp_t gfp, unsigned order)
{
	void **block, *all = NULL;

	while ((block = (void **)page_address(alloc_pages(gfp, order))) != NULL) {
		*block = all;
		all = block;
	}
	return all;
}

static void give_back(void *all, unsigned order)
{
	while (all != NULL) {
		void *next = *(void **)all;

		__free_pages(virt_to_page(all), order);
		all = next;
	}
}

static void *free_later(void *all)
{
	struct timespec soon = { .tv_nsec = 20000000 };

	(void)nanosleep(&soon, NULL);
	give_back(all, 0);
	return NULL;
}

static void the_reserve_is_for_those_who_may_use_it(void)
{
	void *all = fill(GFP_KERNEL, 0);
	struct page *page;

	EXPECT(alloc_page(GFP_KERNEL) == NULL);
	page = alloc_page(GFP_KERNEL | __GFP_MEMALLOC);
	EXPECT(page != NULL);
	__free_page(page);
	give_back(all, 0);
}

static void nofail_waits_for_what_others_free(void)
{
	void *all = fill(GFP_ATOMIC, 0), *rest = fill(GFP_KERNEL, 0);
	struct page *page;
	pthread_t thread;

	EXPECT(rest == NULL);
	BUG_ON(pthread_create(&thread, NULL, free_later, all) != 0);
	page = alloc_page(GFP_KERNEL | __GFP_NOFAIL);
	EXPECT(page != NULL);
	__free_page(page);
	BUG_ON(pthread_join(thread, NULL) != 0);
}

static int __init pages_init(void)
{
	a_page_is_where_its_struct_is();
	the_last_reference_frees_the_block();
	split_pages_are_freed_one_by_one_or_at_once();
	runs_of_any_length();
	a_range_is_taken_if_all_of_it_is_free();
	a_node_is_preferred_unless_it_is_strict();
	the_reserve_is_for_those_who_may_use_it();
	nofail_waits_for_what_others_free();
	return 0;
}

module_init(pages_init);
