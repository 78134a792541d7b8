/* SPDX-License-Identifier: MIT */
/* Splitting and merging: what merges, and at which borders it stops. */
#include "unit/page/page_case.h"

#define RUNS_MAX 256

/* With lists and stacks off, every call goes to the buddy. */
static struct quire *direct(void **state)
{
	quire_pcp_disable(*state);
	return *state;
}

static bool is_free_run(const struct quire *q, const void *addr, unsigned order)
{
	return (state_at(q, addr) & ~STATE_ZERO) == (STATE_BUDDY | order);
}

static void a_split_gives_out_the_lowest_part(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *first = quire_alloc_pages(q, 0, 0);
	char *second = quire_alloc_pages(q, 0, 0);

	assert_u64_eq(page_frame(p, first) & (block_pages(p) - 1), 0);
	assert_ptr_equal(second, page_after(q, first, 1));
}

static void a_split_lists_the_upper_halves(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *addr = quire_alloc_pages(q, 0, 0);

	for (unsigned order = 0; order < p->pageblock_order; order++)
		assert_true(is_free_run(q, page_after(q, addr, 1u << order), order));
	assert_u64_eq(p->block[block_at(q, addr)].free_pages, block_pages(p) - 1);
}

static void buddies_merge_at_once(void **state)
{
	struct quire *q = direct(state);
	char *addr = quire_alloc_pages(q, 2, 0);

	quire_split_pages(q, addr, 2);
	quire_free_pages(q, page_after(q, addr, 0), 0);
	quire_free_pages(q, page_after(q, addr, 1), 0);
	assert_true(is_free_run(q, addr, 1));
	assert_u64_eq(state_at(q, page_after(q, addr, 1)), STATE_TAIL);
	quire_free_pages(q, page_after(q, addr, 3), 0);
	assert_true(is_free_run(q, page_after(q, addr, 3), 0));
	quire_free_pages(q, page_after(q, addr, 2), 0);
	assert_true(pages_of(q)->block[block_at(q, addr)].whole);
}

static void neighbours_that_are_no_buddies_do_not_merge(void **state)
{
	struct quire *q = direct(state);
	char *addr = quire_alloc_pages(q, 2, 0);

	quire_split_pages(q, addr, 2);
	quire_free_pages(q, page_after(q, addr, 1), 0);
	quire_free_pages(q, page_after(q, addr, 2), 0);
	assert_true(is_free_run(q, page_after(q, addr, 1), 0));
	assert_true(is_free_run(q, page_after(q, addr, 2), 0));
}

static void any_order_of_frees_makes_the_block_whole(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *addr = take_block_as_pages(q, 0);
	uint32_t pages = block_pages(p);

	/* 5 has no factor in common with a power of two. */
	for (uint32_t i = 0; i < pages; i++) {
		assert_false(p->block[block_at(q, addr)].whole);
		quire_free_pages(q, page_after(q, addr, i * 5 % pages), 0);
	}
	assert_true(p->block[block_at(q, addr)].whole);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

/* Two neighbours of the largest order, each half a pair that may not be. */
static void merging_stops_at_the_largest_order(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	void *runs[2] = { NULL };

	assert_u64_eq(take_all(q, QUIRE_ORDER_MAX, 0, runs, 2), 2);
	assert_u64_eq(page_frame(p, runs[0]) ^ page_frame(p, runs[1]), 1u << QUIRE_ORDER_MAX);
	give_all(q, QUIRE_ORDER_MAX, runs, 2);
	assert_true(is_free_run(q, runs[0], QUIRE_ORDER_MAX));
	assert_true(is_free_run(q, runs[1], QUIRE_ORDER_MAX));
}

/* Zones of two blocks each: with pages of 16 and 64 KiB four would make a larger run. */
static void merging_stops_at_the_border_of_a_zone(void **state)
{
	struct quire *q = page_make((struct quire_options){ .zones = 2, .limit_bytes = MIB(8) });
	struct pages *p = pages_of(q);
	void *runs[2][RUNS_MAX];
	size_t n[2];

	(void)state;
	quire_pcp_disable(q);
	for (unsigned i = 0; i < 2; i++)
		n[i] = take_all(q, 2, QUIRE_NODE(i), runs[i], RUNS_MAX);
	for (unsigned i = 0; i < 2; i++)
		give_all(q, 2, runs[i], n[i]);
	for (unsigned i = 0; i < 2; i++) {
		struct zone *zone = &p->zone[i];

		assert_true(n[i] != 0);
		assert_u64_eq(zone->free_pages, zone->managed_pages);
		assert_true(
			is_free_run(q, block_addr(q, zone->block_first), p->pageblock_order + 1u));
	}
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void whole_blocks_merge_and_take_one_type(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *a = quire_alloc_pages(q, p->pageblock_order, QUIRE_MOVABLE);
	char *b = quire_alloc_pages(q, p->pageblock_order, QUIRE_RECLAIMABLE);

	assert_u64_eq(block_at(q, a) ^ block_at(q, b), 1);
	assert_int_not_equal(tag_at(q, a) & TAG_TYPE, tag_at(q, b) & TAG_TYPE);
	quire_free_pages(q, a, p->pageblock_order);
	quire_free_pages(q, b, p->pageblock_order);
	assert_false(is_free_run(q, a, p->pageblock_order));
	assert_int_equal(tag_at(q, a) & TAG_TYPE, tag_at(q, b) & TAG_TYPE);
}

static void merging_stops_at_an_isolated_block(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *a = quire_alloc_pages(q, p->pageblock_order + 1u, 0);
	char *b = page_after(q, a, block_pages(p));

	quire_free_pages(q, a, p->pageblock_order + 1u);
	assert_int_equal(quire_isolate_pageblock(q, a), 0);
	assert_true(is_free_run(q, a, p->pageblock_order));
	assert_true(is_free_run(q, b, p->pageblock_order));
	assert_u64_eq(p->zone[0].nr_free[p->pageblock_order][ROW_ISOLATE], 1);
	assert_int_equal(quire_unisolate_pageblock(q, a), 0);
	assert_false(is_free_run(q, a, p->pageblock_order));
}

/* The run was handed out before one of its blocks was isolated. */
static void a_large_run_comes_back_in_parts_if_one_is_isolated(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *a = quire_alloc_pages(q, QUIRE_ORDER_MAX, 0);
	char *last = page_after(q, a, (1u << QUIRE_ORDER_MAX) - 1);

	assert_int_equal(quire_isolate_pageblock(q, last), 0);
	quire_free_pages(q, a, QUIRE_ORDER_MAX);
	assert_u64_eq(p->zone[0].isolated_pages, block_pages(p));
	assert_u64_eq(p->zone[0].nr_free[p->pageblock_order][ROW_ISOLATE], 1);
	assert_int_equal(quire_unisolate_pageblock(q, last), 0);
	assert_true(is_free_run(q, a, QUIRE_ORDER_MAX));
}

static void merging_stops_at_a_highatomic_block(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *a = quire_alloc_pages(q, 1, QUIRE_ATOMIC);

	assert_true(tag_at(q, a) & TAG_HIGHATOMIC);
	quire_free_pages(q, a, 1);
	assert_true(p->block[block_at(q, a)].whole);
	assert_true(p->block[block_at(q, a) ^ 1].whole);
	assert_u64_eq(p->zone[0].nr_free[p->pageblock_order][ROW_HIGHATOMIC], 1);
}

static void blocks_that_never_had_memory_are_used_last(void **state)
{
	struct quire *q = direct(state);
	char *used = quire_alloc_pages(q, QUIRE_ORDER_MAX, 0);
	char *again;

	assert_non_null(quire_alloc_pages(q, QUIRE_ORDER_MAX, 0));
	memset(used, 1, 1);
	quire_free_pages(q, used, QUIRE_ORDER_MAX);
	again = quire_alloc_pages(q, QUIRE_ORDER_MAX, 0);
	assert_ptr_equal(again, used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(a_split_gives_out_the_lowest_part),
		PAGE_TEST(a_split_lists_the_upper_halves),
		PAGE_TEST(buddies_merge_at_once),
		PAGE_TEST(neighbours_that_are_no_buddies_do_not_merge),
		PAGE_TEST(any_order_of_frees_makes_the_block_whole),
		PAGE_TEST(merging_stops_at_the_largest_order),
		PAGE_TEST(merging_stops_at_the_border_of_a_zone),
		PAGE_TEST(whole_blocks_merge_and_take_one_type),
		PAGE_TEST(merging_stops_at_an_isolated_block),
		PAGE_TEST(a_large_run_comes_back_in_parts_if_one_is_isolated),
		PAGE_TEST(merging_stops_at_a_highatomic_block),
		PAGE_TEST(blocks_that_never_had_memory_are_used_last),
	};

	return PAGE_TESTS_RUN("page_buddy", tests);
}
