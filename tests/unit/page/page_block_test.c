/* SPDX-License-Identifier: MIT */
/* Free runs inside blocks, and the bins that order blocks by how full they are. */
#include "unit/page/page_case.h"

static struct quire *direct(void **state)
{
	quire_pcp_disable(*state);
	return *state;
}

/* Blocks with @used pages each, in use from their first page on. */
static char *block_with_used(struct quire *q, unsigned flags, uint32_t used)
{
	char *addr = take_block_as_pages(q, flags);

	for (uint32_t i = used; i < block_pages(pages_of(q)); i++)
		quire_free_pages(q, page_after(q, addr, i), 0);
	return addr;
}

static void rows_follow_the_tag(void **state)
{
	(void)state;
	assert_int_equal(block_row(TYPE_RECLAIMABLE), ROW_TYPE + TYPE_RECLAIMABLE);
	assert_int_equal(block_row(TYPE_MOVABLE | TAG_EMPTYING), ROW_EMPTYING + TYPE_MOVABLE);
	assert_int_equal(block_row(TYPE_MOVABLE | TAG_HIGHATOMIC | TAG_EMPTYING), ROW_HIGHATOMIC);
	assert_int_equal(block_row(TYPE_MOVABLE | TAG_HIGHATOMIC | TAG_ISOLATE), ROW_ISOLATE);
	assert_int_equal(block_row(3 << TAG_ZONE_SHIFT | TYPE_UNMOVABLE), ROW_TYPE);
}

static void buckets_rise_with_free_pages(void **state)
{
	unsigned before = 0;

	(void)state;
	assert_int_equal(block_bucket(1), 0);
	assert_int_equal(block_bucket(2), 2);
	assert_int_equal(block_bucket(3), 3);
	assert_int_equal(block_bucket(7), 5);
	for (unsigned pages = 1; pages <= 1u << PAGEBLOCK_ORDER_MAX; pages++) {
		assert_true(block_bucket(pages) >= before);
		assert_true(block_bucket(pages) < BUCKETS_NR);
		before = block_bucket(pages);
	}
}

static void the_fullest_block_is_used_first(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *sparse = block_with_used(q, 0, block_pages(p) / 4);
	char *full = block_with_used(q, 0, block_pages(p) - 2);
	char *middle = block_with_used(q, 0, block_pages(p) / 2);
	uint32_t expected = block_at(q, full);

	(void)sparse;
	assert_int_equal(block_at(q, quire_alloc_pages(q, 0, 0)), expected);
	assert_int_equal(block_at(q, quire_alloc_pages(q, 0, 0)), expected);
	assert_int_equal(block_at(q, quire_alloc_pages(q, 0, 0)), block_at(q, middle));
}

static void the_fullest_block_with_a_large_enough_hole_is_used(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *small_holes = block_with_used(q, 0, block_pages(p) - 1);
	char *large_hole = block_with_used(q, 0, block_pages(p) / 2);

	assert_int_equal(block_at(q, quire_alloc_pages(q, 3, 0)), block_at(q, large_hole));
	assert_int_equal(block_at(q, quire_alloc_pages(q, 0, 0)), block_at(q, small_holes));
}

static void the_smallest_sufficient_hole_of_a_block_is_split(void **state)
{
	struct quire *q = direct(state);
	char *addr = take_block_as_pages(q, 0);

	for (uint32_t i = 0; i < 4; i++)
		quire_free_pages(q, page_after(q, addr, i), 0);
	quire_free_pages(q, page_after(q, addr, 8), 0);
	assert_ptr_equal(quire_alloc_pages(q, 0, 0), page_after(q, addr, 8));
	assert_ptr_equal(quire_alloc_pages(q, 2, 0), addr);
}

static void a_whole_block_is_broken_only_when_no_hole_fits(void **state)
{
	struct quire *q = direct(state);
	char *partial = block_with_used(q, 0, block_pages(pages_of(q)) - 3);
	uint32_t block = block_at(q, partial);

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(block_at(q, quire_alloc_pages(q, 0, 0)), block);
	assert_int_not_equal(block_at(q, quire_alloc_pages(q, 0, 0)), block);
}

static void a_full_block_is_in_no_bin(void **state)
{
	struct quire *q = direct(state);
	char *addr = take_block_as_pages(q, 0);
	const struct pageblock *b = &pages_of(q)->block[block_at(q, addr)];

	assert_int_equal(b->bin, BIN_NONE);
	assert_int_equal(b->free_pages, 0);
	quire_free_pages(q, addr, 0);
	assert_int_not_equal(b->bin, BIN_NONE);
	assert_int_equal(b->free_pages, 1);
}

static void a_whole_block_is_in_no_bin(void **state)
{
	struct quire *q = direct(state);
	char *addr = block_with_used(q, 0, 1);
	const struct pageblock *b = &pages_of(q)->block[block_at(q, addr)];

	assert_int_not_equal(b->bin, BIN_NONE);
	quire_free_pages(q, addr, 0);
	assert_true(b->whole);
	assert_int_equal(b->bin, BIN_NONE);
}

static void free_runs_count_under_the_row_of_their_block(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *addr = block_with_used(q, QUIRE_RECLAIMABLE, block_pages(p) / 2);

	assert_u64_eq(row_pages(q, ROW_TYPE + TYPE_RECLAIMABLE), block_pages(p) / 2);
	assert_int_equal(quire_isolate_pageblock(q, addr), 0);
	assert_u64_eq(row_pages(q, ROW_TYPE + TYPE_RECLAIMABLE), 0);
	assert_u64_eq(row_pages(q, ROW_ISOLATE), block_pages(p) / 2);
	assert_int_equal(quire_unisolate_pageblock(q, addr), 0);
	assert_u64_eq(row_pages(q, ROW_TYPE + TYPE_RECLAIMABLE), block_pages(p) / 2);
}

static void the_emptiest_block_of_a_row_is_found(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);
	char *sparse = block_with_used(q, 0, 1);
	char *full = block_with_used(q, 0, block_pages(p) - 1);
	unsigned row = block_row(tag_at(q, sparse));

	assert_int_equal(block_row(tag_at(q, full)), row);
	zone_lock_for(&p->zone[0], 0, &(lock_token){ 0 });
	assert_int_equal(block_emptiest_locked(&p->zone[0], row, 0), block_at(q, sparse));
	assert_int_equal(block_fullest_locked(&p->zone[0], row, 0), block_at(q, full));
	assert_int_equal(block_fullest_locked(&p->zone[0], row, 1), block_at(q, sparse));
	assert_u64_eq(block_fullest_locked(&p->zone[0], ROW_HIGHATOMIC, 0), BLOCK_NONE);
	zone_unlock(&p->zone[0], 0);
}

static void a_list_of_blocks_takes_at_both_ends(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct block_list list = { .head = BLOCK_NONE, .tail = BLOCK_NONE };

	assert_non_null(quire_alloc_pages(q, QUIRE_ORDER_MAX, 0)); /* so that records exist */
	assert_non_null(quire_alloc_pages(q, QUIRE_ORDER_MAX, 0));
	for (uint32_t block = 0; block < 3; block++)
		p->block[block].whole = false;
	block_list_push(p, &list, 1, false);
	block_list_push(p, &list, 0, false);
	block_list_push(p, &list, 2, true);
	assert_u64_eq(list.head, 0);
	assert_u64_eq(list.tail, 2);
	block_list_take(p, &list, 1);
	assert_u64_eq(p->block[0].next, 2);
	block_list_take(p, &list, 0);
	block_list_take(p, &list, 2);
	assert_u64_eq(list.head, BLOCK_NONE);
	assert_u64_eq(list.nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(rows_follow_the_tag),
		PAGE_TEST(buckets_rise_with_free_pages),
		PAGE_TEST(the_fullest_block_is_used_first),
		PAGE_TEST(the_fullest_block_with_a_large_enough_hole_is_used),
		PAGE_TEST(the_smallest_sufficient_hole_of_a_block_is_split),
		PAGE_TEST(a_whole_block_is_broken_only_when_no_hole_fits),
		PAGE_TEST(a_full_block_is_in_no_bin),
		PAGE_TEST(a_whole_block_is_in_no_bin),
		PAGE_TEST(free_runs_count_under_the_row_of_their_block),
		PAGE_TEST(the_emptiest_block_of_a_row_is_found),
		PAGE_TEST(a_list_of_blocks_takes_at_both_ends),
	};

	return PAGE_TESTS_RUN("page_block", tests);
}
