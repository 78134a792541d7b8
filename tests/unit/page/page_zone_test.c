/* SPDX-License-Identifier: MIT */
/* Watermarks, sizes of per-CPU lists, and growing, of zones. */
#include "unit/page/page_case.h"

#define HELD_MAX 4096

static void *held[HELD_MAX];

/* sqrt(16 x 1 GiB in KiB) = 4 MiB; the gap is a quarter of it or a thousandth of the zone. */
static void marks_of_a_gibibyte_are_those_of_linux(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(1024) * page_case->zones });
	const struct zone *zone = &pages_of(q)->zone[page_case->zones - 1];
	uint64_t min = MIB(4) >> page_case->page_shift;
	uint64_t thousandth = (MIB(1024) >> page_case->page_shift) / 1000;
	uint64_t gap = min / 4 > thousandth ? min / 4 : thousandth;

	(void)state;
	assert_u64_eq(zone->mark_min, min);
	assert_u64_eq(zone->mark_low, min + gap);
	assert_u64_eq(zone->mark_high, min + 2 * gap);
	quire_destroy(q);
}

static void a_tiny_zone_keeps_back_a_thirty_second(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(4) * page_case->zones });
	const struct zone *zone = &pages_of(q)->zone[0];

	(void)state;
	assert_true(zone->mark_min >= 1);
	assert_true(zone->mark_min <= zone->managed_pages / 32 + 1);
	quire_destroy(q);
}

/* Linux: min(managed / 1024, 1 MiB) / 4, then 2^n - 1 below one and a half times that. */
static void batch_of_a_gibibyte_is_that_of_linux(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(1024) * page_case->zones });
	uint32_t expected = page_case->page_shift == 12 ? 63 : page_case->page_shift == 14 ? 15 : 3;

	(void)state;
	assert_u64_eq(pages_of(q)->zone[0].pcp_batch, expected);
	quire_destroy(q);
}

static void high_lies_between_four_batches_and_an_eighth_of_the_zone(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	const struct zone *zone = &p->zone[0];

	assert_true(zone->pcp_batch >= 1);
	assert_true(zone->pcp_high_min >= 4 * zone->pcp_batch);
	assert_true(zone->pcp_high_min <= zone->pcp_high_max);
	assert_true((uint64_t)zone->pcp_high_max * p->stacks.cpu.all_slots_nr <=
		    zone->managed_pages / 8);
}

static void zones_share_the_limit_equally(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	assert_u64_eq(p->zones_nr, page_case->zones);
	for (unsigned i = 0; i < p->zones_nr; i++) {
		assert_u64_eq(p->zone[i].block_first, i * CASE_BLOCKS);
		assert_u64_eq(p->zone[i].blocks_nr, CASE_BLOCKS);
		assert_u64_eq(p->zone[i].managed_pages, CASE_BLOCKS << p->pageblock_order);
	}
}

static void ordinary_callers_leave_the_reserve(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(8) * page_case->zones });
	const struct zone *zone = &pages_of(q)->zone[0];
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, HELD_MAX);

	(void)state;
	assert_u64_eq(n, zone->managed_pages - zone->mark_min);
	assert_int_equal(errno, ENOMEM);
	assert_null(quire_alloc_pages(q, 0, QUIRE_NODE(0) | QUIRE_NOWAIT));
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* Half of the reserve, and a quarter of the rest. */
static void atomic_callers_use_five_eighths_of_the_reserve(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(8) * page_case->zones });
	uint64_t min = pages_of(q)->zone[0].mark_min;
	uint64_t half = min - min / 2;
	size_t n, more;

	(void)state;
	n = take_all(q, 0, QUIRE_NODE(0), held, HELD_MAX);
	more = take_all(q, 0, QUIRE_NODE(0) | QUIRE_ATOMIC, held + n, HELD_MAX - n);
	assert_u64_eq(more, min - (half - half / 4));
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void a_fresh_instance_has_nothing_online(void **state)
{
	struct quire *q = *state;
	struct quire_page_stat stat = stat_of(q);

	assert_u64_eq(stat.online_pages, 0);
	assert_u64_eq(stat.metadata_bytes, 0);
	assert_u64_eq(stat.limit_pages,
		      page_case->zones * CASE_BLOCKS << pages_of(q)->pageblock_order);
}

static void a_zone_grows_by_an_eighth_within_bounds(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	const struct zone *zone = &p->zone[0];
	uint32_t before = 0;

	while (zone->blocks_touched < CASE_BLOCKS) {
		uint32_t want = before / 8 < 4 ? 4 : before / 8;
		void *addr = quire_alloc_pages(q, p->pageblock_order, QUIRE_NODE(0));

		if (addr == NULL)
			break;
		if (zone->blocks_touched != before)
			assert_true(zone->blocks_touched - before <= want);
		before = zone->blocks_touched;
	}
	assert_true(zone->blocks_touched > CASE_BLOCKS / 2);
}

static void a_zone_never_exceeds_its_blocks(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	void *blocks[CASE_BLOCKS + 1];
	size_t n = take_all(q, p->pageblock_order, QUIRE_NODE(0), blocks, CASE_BLOCKS + 1);

	assert_true(n < CASE_BLOCKS);
	assert_true(p->zone[0].blocks_touched <= CASE_BLOCKS);
	assert_u64_eq(p->zone[0].online_pages,
		      (uint64_t)p->zone[0].blocks_touched << p->pageblock_order);
	/* Less than a block is missing: the reserve. */
	assert_true((CASE_BLOCKS - n) << p->pageblock_order <=
		    p->zone[0].mark_min + block_pages(p));
}

static void the_largest_order_is_had_from_a_fresh_instance(void **state)
{
	struct quire *q = *state;
	void *addr = quire_alloc_pages(q, QUIRE_ORDER_MAX, 0);

	assert_non_null(addr);
	assert_u64_eq(stat_of(q).allocated_pages, 1u << QUIRE_ORDER_MAX);
	quire_free_pages(q, addr, QUIRE_ORDER_MAX);
}

/* 16 GiB of state bytes and struct pages would be needed for all of it. */
static void a_terabyte_limit_costs_nothing_until_used(void **state)
{
	uint64_t before = resident_bytes();
	struct quire *q = page_make(
		(struct quire_options){ .limit_bytes = MIB(1024) * 1024, .thp = QUIRE_OFF });
	void *addr = quire_alloc_pages(q, 0, 0);

	(void)state;
	assert_non_null(addr);
	memset(addr, 1, quire_page_bytes(q));
	assert_true(resident_bytes() < before + MIB(1));
	assert_true(stat_of(q).online_pages <= 16u << pages_of(q)->pageblock_order);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(marks_of_a_gibibyte_are_those_of_linux),
		PAGE_TEST(a_tiny_zone_keeps_back_a_thirty_second),
		PAGE_TEST(batch_of_a_gibibyte_is_that_of_linux),
		PAGE_TEST(high_lies_between_four_batches_and_an_eighth_of_the_zone),
		PAGE_TEST(zones_share_the_limit_equally),
		PAGE_TEST(ordinary_callers_leave_the_reserve),
		PAGE_TEST(atomic_callers_use_five_eighths_of_the_reserve),
		PAGE_TEST(a_fresh_instance_has_nothing_online),
		PAGE_TEST(a_zone_grows_by_an_eighth_within_bounds),
		PAGE_TEST(a_zone_never_exceeds_its_blocks),
		PAGE_TEST(the_largest_order_is_had_from_a_fresh_instance),
		PAGE_TEST(a_terabyte_limit_costs_nothing_until_used),
	};

	return PAGE_TESTS_RUN("page_zone", tests);
}
