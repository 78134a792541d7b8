/* SPDX-License-Identifier: MIT */
/* Where the buddy takes from: own blocks, claims, growth, steals, and the reserve for ATOMIC. */
#include "unit/page/page_case.h"

#define HELD_MAX (CASE_BLOCKS << PAGEBLOCK_ORDER_MAX)

static void *held[HELD_MAX];

static struct quire *direct(void **state)
{
	quire_pcp_disable(*state);
	return *state;
}

/* Eight blocks a zone: small enough to be filled page by page. */
static struct quire *make_small(void)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(16) * page_case->zones });

	quire_pcp_disable(q);
	return q;
}

static void destroy(struct quire *q)
{
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static unsigned type_at(const struct quire *q, const void *addr)
{
	return tag_at(q, addr) & TAG_TYPE;
}

static void a_request_is_served_from_its_own_type(void **state)
{
	struct quire *q = direct(state);
	char *movable = quire_alloc_pages(q, 0, QUIRE_MOVABLE);
	char *unmovable = quire_alloc_pages(q, 0, 0);

	assert_int_not_equal(block_at(q, movable), block_at(q, unmovable));
	assert_ptr_equal(quire_alloc_pages(q, 0, QUIRE_MOVABLE), page_after(q, movable, 1));
	assert_ptr_equal(quire_alloc_pages(q, 0, 0), page_after(q, unmovable, 1));
}

static void types_do_not_mix_below_the_limit(void **state)
{
	struct quire *q = *state;
	unsigned types[] = { 0, QUIRE_MOVABLE, QUIRE_RECLAIMABLE };

	for (unsigned i = 0; i < 6 * block_pages(pages_of(q)); i++) {
		void *addr = quire_alloc_pages(q, i % 4, types[i % 3]);

		assert_non_null(addr);
		assert_int_equal(type_at(q, addr), types[i % 3]);
	}
	assert_u64_eq(stat_of(q).fallback_steals, 0);
}

/* A block is handed out whole and comes back: then any type may have it. */
static void a_whole_block_is_claimed_before_the_zone_grows(void **state)
{
	struct quire *q = direct(state);
	char *addr = take_block_as_pages(q, QUIRE_MOVABLE);
	uint64_t online = stat_of(q).online_pages, claims;

	for (uint32_t i = 0; i < block_pages(pages_of(q)); i++)
		quire_free_pages(q, page_after(q, addr, i), 0);
	claims = stat_of(q).fallback_claims;
	addr = quire_alloc_pages(q, 0, QUIRE_RECLAIMABLE);
	assert_int_equal(type_at(q, addr), TYPE_RECLAIMABLE);
	assert_u64_eq(stat_of(q).fallback_claims, claims + 1);
	assert_u64_eq(stat_of(q).online_pages, online);
	assert_u64_eq(stat_of(q).fallback_steals, 0);
}

static void a_claimed_run_changes_the_type_of_all_its_blocks(void **state)
{
	struct quire *q = direct(state);
	char *addr = quire_alloc_pages(q, QUIRE_ORDER_MAX, QUIRE_RECLAIMABLE);

	for (uint32_t i = 0; i < 1u << QUIRE_ORDER_MAX; i += block_pages(pages_of(q)))
		assert_int_equal(type_at(q, page_after(q, addr, i)), TYPE_RECLAIMABLE);
}

/* Every sixteenth page is free, so no block is half empty: nothing to claim. */
static void at_the_limit_a_page_is_stolen_and_the_block_keeps_its_type(void **state)
{
	struct quire *q = make_small();
	size_t n = take_all(q, 0, QUIRE_MOVABLE, held, HELD_MAX);
	char *addr;

	(void)state;
	for (size_t i = 0; i < n; i += 16)
		quire_free_pages(q, held[i], 0);
	assert_u64_eq(stat_of(q).fallback_steals, 0);
	addr = quire_alloc_pages(q, 0, 0);
	assert_non_null(addr);
	assert_int_equal(type_at(q, addr), TYPE_MOVABLE);
	assert_u64_eq(stat_of(q).fallback_steals, 1);
	destroy(q);
}

static void at_the_limit_a_half_empty_block_changes_type(void **state)
{
	struct quire *q = make_small();
	char *block = take_block_as_pages(q, QUIRE_MOVABLE), *addr;
	size_t n = take_all(q, 0, QUIRE_MOVABLE, held, HELD_MAX);

	(void)state;
	assert_true(n != 0);
	for (uint32_t i = 0; i < block_pages(pages_of(q)); i += 2)
		quire_free_pages(q, page_after(q, block, i), 0);
	addr = quire_alloc_pages(q, 0, 0);
	assert_int_equal(block_at(q, addr), block_at(q, block));
	assert_int_equal(type_at(q, addr), TYPE_UNMOVABLE);
	assert_u64_eq(stat_of(q).fallback_steals, 0);
	destroy(q);
}

static void one_page_less_than_half_is_not_enough_to_change_type(void **state)
{
	struct quire *q = make_small();
	char *block = take_block_as_pages(q, QUIRE_MOVABLE), *addr;
	size_t n = take_all(q, 0, QUIRE_MOVABLE, held, HELD_MAX);

	(void)state;
	assert_true(n != 0);
	for (uint32_t i = 2; i < block_pages(pages_of(q)); i += 2)
		quire_free_pages(q, page_after(q, block, i), 0);
	addr = quire_alloc_pages(q, 0, 0);
	assert_int_equal(type_at(q, block), TYPE_MOVABLE);
	assert_int_equal(type_at(q, addr), TYPE_MOVABLE);
	assert_u64_eq(stat_of(q).fallback_steals, 1);
	destroy(q);
}

/* One reclaimable block in a zone of movable ones, each with one free page in sixteen. */
static void unmovable_falls_back_to_reclaimable_before_movable(void **state)
{
	struct quire *q = make_small();
	char *block = take_block_as_pages(q, QUIRE_RECLAIMABLE);
	size_t n = take_all(q, 0, QUIRE_MOVABLE, held, HELD_MAX);

	(void)state;
	for (size_t i = 0; i < n; i += 16)
		quire_free_pages(q, held[i], 0);
	quire_free_pages(q, block, 0);
	assert_ptr_equal(quire_alloc_pages(q, 0, 0), block);
	assert_int_equal(type_at(q, quire_alloc_pages(q, 0, 0)), TYPE_MOVABLE);
	destroy(q);
}

static void a_block_that_changed_type_takes_back_its_old_pages(void **state)
{
	struct quire *q = make_small();
	struct pages *p = pages_of(q);
	char *block = take_block_as_pages(q, QUIRE_MOVABLE);

	(void)state;
	take_all(q, 0, QUIRE_MOVABLE, held, HELD_MAX);
	for (uint32_t i = 0; i < block_pages(p); i += 2)
		quire_free_pages(q, page_after(q, block, i), 0);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	quire_free_pages(q, page_after(q, block, 1), 0);
	assert_u64_eq(row_pages(q, ROW_TYPE + TYPE_UNMOVABLE), block_pages(p) / 2);
	destroy(q);
}

static void a_node_flag_names_the_zone(void **state)
{
	struct quire *q = *state;

	for (unsigned node = 0; node < page_case->zones; node++) {
		for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++) {
			void *addr = quire_alloc_pages(q, order, QUIRE_NODE(node));

			assert_non_null(addr);
			assert_int_equal(zone_at(q, addr)->index, node);
		}
	}
}

static void without_a_node_flag_the_next_zone_serves(void **state)
{
	struct quire *q = make_small();
	struct pages *p = pages_of(q);
	size_t n = take_all(q, 2, QUIRE_MOVABLE, held, HELD_MAX);
	uint64_t pages = 0;

	(void)state;
	for (unsigned i = 0; i < page_case->zones; i++)
		pages += p->zone[i].managed_pages - p->zone[i].mark_min;
	/* Each zone may keep up to three pages that no run of four fits into. */
	assert_true(n * 4 + page_case->zones * 3 >= pages);
	destroy(q);
}

/* ---- highatomic ----------------------------------------------------------------------------- */

static void a_large_atomic_request_reserves_its_block(void **state)
{
	struct quire *q = direct(state);
	char *addr = quire_alloc_pages(q, 1, QUIRE_ATOMIC);

	assert_true(tag_at(q, addr) & TAG_HIGHATOMIC);
	assert_u64_eq(pages_of(q)->zone[0].highatomic_blocks, 1);
	/* Ordinary requests pass it by; the next one like it does not. */
	assert_int_not_equal(block_at(q, quire_alloc_pages(q, 1, 0)), block_at(q, addr));
	assert_int_equal(block_at(q, quire_alloc_pages(q, 1, QUIRE_ATOMIC)), block_at(q, addr));
}

static void a_single_atomic_page_reserves_nothing(void **state)
{
	struct quire *q = direct(state);

	assert_non_null(quire_alloc_pages(q, 0, QUIRE_ATOMIC));
	assert_u64_eq(pages_of(q)->zone[0].highatomic_blocks, 0);
}

static void at_most_a_hundredth_of_the_zone_is_reserved(void **state)
{
	struct quire *q = direct(state);
	struct pages *p = pages_of(q);

	for (unsigned i = 0; i < 3 * block_pages(p) / 8; i++)
		assert_non_null(quire_alloc_pages(q, 3, QUIRE_ATOMIC));
	assert_u64_eq(p->zone[0].highatomic_blocks, CASE_BLOCKS / 100);
}

static void a_zone_below_a_hundred_blocks_reserves_nothing(void **state)
{
	struct quire *q = make_small();

	(void)state;
	assert_non_null(quire_alloc_pages(q, 1, QUIRE_ATOMIC));
	assert_u64_eq(pages_of(q)->zone[0].highatomic_blocks, 0);
	destroy(q);
}

/* 512 blocks: five may be reserved, and the min watermark is only two. */
#define LARGE_RESERVED 5u
#define LARGE_KEPT     2u

/* Reserves all that may be; @runs: how many runs of eight pages it took. */
static struct quire *make_large_reserved(size_t *runs)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(1024) * page_case->zones });

	quire_pcp_disable(q);
	for (*runs = 0; pages_of(q)->zone[0].highatomic_blocks < LARGE_RESERVED; ++*runs) {
		held[*runs] = quire_alloc_pages(q, 3, QUIRE_ATOMIC | QUIRE_NODE(0));
		assert_non_null(held[*runs]);
	}
	return q;
}

static void reserved_blocks_are_given_up_before_a_refusal(void **state)
{
	size_t runs, n;
	struct quire *q = make_large_reserved(&runs);
	struct pages *p = pages_of(q);
	uint64_t pages = p->zone[0].managed_pages;

	(void)state;
	for (size_t i = 0; i < runs; i++)
		if ((page_frame(p, held[i]) & (block_pages(p) - 1)) != 0)
			quire_free_pages(q, held[i], 3);
	n = take_all(q, 3, QUIRE_NODE(0), held, HELD_MAX);
	assert_u64_eq((LARGE_RESERVED + n) * 8, pages - p->zone[0].mark_min);
	assert_u64_eq(p->zone[0].highatomic_blocks, LARGE_KEPT);
	destroy(q);
}

static void whole_reserved_blocks_are_given_up_too(void **state)
{
	size_t runs, n;
	struct quire *q = make_large_reserved(&runs);
	struct pages *p = pages_of(q);

	(void)state;
	give_all(q, 3, held, runs);
	n = take_all(q, p->pageblock_order, QUIRE_NODE(0), held, HELD_MAX);
	assert_u64_eq(n, 512 - LARGE_KEPT);
	assert_u64_eq(p->zone[0].highatomic_blocks, LARGE_KEPT);
	destroy(q);
}

/* Reserved blocks are the last that are free: a single page that may use the reserve gets one. */
static void the_last_reserved_block_serves_a_single_atomic_page(void **state)
{
	size_t runs, n;
	struct quire *q = make_large_reserved(&runs);

	(void)state;
	n = take_all(q, 3, QUIRE_NODE(0), held + runs, HELD_MAX - runs);
	assert_true(n != 0);
	assert_null(quire_alloc_pages(q, 0, QUIRE_NODE(0)));
	assert_non_null(quire_alloc_pages(q, 0, QUIRE_NODE(0) | QUIRE_ATOMIC));
	destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(a_request_is_served_from_its_own_type),
		PAGE_TEST(types_do_not_mix_below_the_limit),
		PAGE_TEST(a_whole_block_is_claimed_before_the_zone_grows),
		PAGE_TEST(a_claimed_run_changes_the_type_of_all_its_blocks),
		PAGE_TEST(at_the_limit_a_page_is_stolen_and_the_block_keeps_its_type),
		PAGE_TEST(at_the_limit_a_half_empty_block_changes_type),
		PAGE_TEST(one_page_less_than_half_is_not_enough_to_change_type),
		PAGE_TEST(unmovable_falls_back_to_reclaimable_before_movable),
		PAGE_TEST(a_block_that_changed_type_takes_back_its_old_pages),
		PAGE_TEST(a_node_flag_names_the_zone),
		PAGE_TEST(without_a_node_flag_the_next_zone_serves),
		PAGE_TEST(a_large_atomic_request_reserves_its_block),
		PAGE_TEST(a_single_atomic_page_reserves_nothing),
		PAGE_TEST(at_most_a_hundredth_of_the_zone_is_reserved),
		PAGE_TEST(a_zone_below_a_hundred_blocks_reserves_nothing),
		PAGE_TEST(reserved_blocks_are_given_up_before_a_refusal),
		PAGE_TEST(whole_reserved_blocks_are_given_up_too),
		PAGE_TEST(the_last_reserved_block_serves_a_single_atomic_page),
	};

	return PAGE_TESTS_RUN("page_rmqueue", tests);
}
