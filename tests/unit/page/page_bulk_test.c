/* SPDX-License-Identifier: MIT */
/* Many single pages at a time, and the ways in which a bulk free may find nothing left to do. */
#include "unit/page/page_case.h"

#define PAGES_MAX 4096

static void *pages[PAGES_MAX];

static size_t take_bulk(struct quire *q, size_t n)
{
	memset(pages, 0, sizeof(pages));
	return quire_alloc_pages_bulk(q, pages, n, 0);
}

static void check_all_null(size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_null(pages[i]);
}

static void a_bulk_allocation_fills_every_slot(void **state)
{
	struct quire *q = *state;

	assert_u64_eq(take_bulk(q, 1000), 1000);
	assert_u64_eq(stat_of(q).allocated_pages, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(quire_block_order(q, pages[i]), 0);
	quire_free_pages_bulk(q, pages, 1000);
	check_all_null(1000);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void only_empty_slots_are_filled(void **state)
{
	struct quire *q = *state;
	static char mine;

	memset(pages, 0, sizeof(pages));
	for (size_t i = 0; i < 300; i += 3)
		pages[i] = &mine;
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, 300, 0), 300);
	assert_u64_eq(stat_of(q).allocated_pages, 200);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(pages[i] == &mine, i % 3 == 0);
}

static void a_full_array_takes_nothing(void **state)
{
	struct quire *q = *state;
	static char mine;

	for (size_t i = 0; i < 10; i++)
		pages[i] = &mine;
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, 10, 0), 10);
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, 0, 0), 0);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

/* What was popped for slots that turned out to be filled goes back. */
static void pages_over_are_not_lost(void **state)
{
	struct quire *q = *state;
	static char mine;

	assert_u64_eq(take_bulk(q, 100), 100);
	quire_free_pages_bulk(q, pages, 100);
	for (size_t i = 1; i < 60; i++)
		pages[i] = &mine;
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, 60, 0), 60);
	assert_u64_eq(stat_of(q).allocated_pages, 1);
	quire_free_pages(q, pages[0], 0);
	assert_int_equal(quire_verify(q), 0);
}

static void wrong_flags_are_invalid(void **state)
{
	struct quire *q = *state;

	memset(pages, 0, sizeof(pages));
	errno = 0;
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, 4, QUIRE_MOVABLE | QUIRE_RECLAIMABLE), 0);
	assert_int_equal(errno, EINVAL);
	assert_null(pages[0]);
}

static void a_bulk_allocation_asks_for_zeroes_and_types(void **state)
{
	struct quire *q = *state;

	assert_u64_eq(take_bulk(q, 64), 64);
	for (size_t i = 0; i < 64; i++)
		memset(pages[i], 0xa5, quire_page_bytes(q));
	quire_free_pages_bulk(q, pages, 64);
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, 64, QUIRE_ZERO), 64);
	for (size_t i = 0; i < 64; i++)
		assert_true(reads_as(pages[i], quire_page_bytes(q), 0));
	memset(pages, 0, sizeof(pages));
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, 64, QUIRE_RECLAIMABLE), 64);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(tag_at(q, pages[i]) & TAG_TYPE, TYPE_RECLAIMABLE);
}

/* Also behind the one that was refused. */
static void slots_filled_before_count_on_shortage(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(4) * page_case->zones });
	static char mine;
	size_t n, filled = 0;

	(void)state;
	memset(pages, 0, sizeof(pages));
	pages[0] = pages[PAGES_MAX - 1] = &mine;
	errno = 0;
	n = quire_alloc_pages_bulk(q, pages, PAGES_MAX, 0);
	assert_int_equal(errno, ENOMEM);
	assert_u64_eq(stat_of(q).allocated_pages, n - 2);
	for (size_t i = 0; i < PAGES_MAX; i++)
		filled += pages[i] != NULL;
	assert_u64_eq(filled, n);
	assert_null(pages[PAGES_MAX - 2]);
	pages[0] = pages[PAGES_MAX - 1] = NULL;
	quire_free_pages_bulk(q, pages, PAGES_MAX);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
	quire_destroy(q);
}

static void a_partial_result_stays_and_is_counted(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .limit_bytes = MIB(4) * page_case->zones });
	size_t n;

	(void)state;
	errno = 0;
	n = take_bulk(q, PAGES_MAX);
	assert_true(n != 0 && n < PAGES_MAX);
	assert_int_equal(errno, ENOMEM);
	assert_u64_eq(stat_of(q).allocated_pages, n);
	assert_null(pages[n]);
	quire_free_pages_bulk(q, pages, PAGES_MAX);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void empty_slots_are_passed_over(void **state)
{
	struct quire *q = *state;

	assert_u64_eq(take_bulk(q, 200), 200);
	for (size_t i = 0; i < 200; i += 2) {
		quire_free_pages(q, pages[i], 0);
		pages[i] = NULL;
	}
	quire_free_pages_bulk(q, pages, 200);
	check_all_null(200);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
	quire_free_pages_bulk(q, pages, 200);
	quire_free_pages_bulk(q, pages, 0);
}

static void types_and_sizes_of_groups_may_mix(void **state)
{
	struct quire *q = *state;

	memset(pages, 0, sizeof(pages));
	for (unsigned i = 0; i < 1000; i++)
		pages[i] = quire_alloc_pages(q, 0, i % 7 % 3);
	quire_free_pages_bulk(q, pages, 1000);
	check_all_null(1000);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void zones_may_alternate(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	memset(pages, 0, sizeof(pages));
	for (size_t i = 0; i < 300; i++)
		pages[i] = quire_alloc_pages(q, 0, QUIRE_NODE(i % page_case->zones));
	quire_free_pages_bulk(q, pages, 300);
	check_all_null(300);
	quire_drain_all(q);
	for (unsigned i = 0; i < page_case->zones; i++)
		assert_u64_eq(p->zone[i].free_pages, p->zone[i].online_pages);
}

static void pages_go_to_the_lists_of_a_cpu_by_number(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	unsigned last = p->stacks.cpu.all_slots_nr - 1;

	assert_u64_eq(take_bulk(q, 3), 3);
	quire_drain_all(q);
	page_free_bulk_on(p, last, 3, pages);
	check_all_null(3);
	assert_true(quire_drain_slot(q, last) + stat_of(q).spills >= 3);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

/* ---- R11: isolated pages leave the array in the prepare pass -------------------------------- */

/* Three pages in a block that is isolated, three in one that is not; @isolated: bit i of it says
 * which kind the i-th of three slots gets. */
static void free_three(struct quire *q, unsigned isolated, bool by_number)
{
	char *inside = take_block_as_pages(q, 0), *outside = take_block_as_pages(q, 0);
	unsigned nr = 0;

	assert_int_equal(quire_isolate_pageblock(q, inside), 0);
	memset(pages, 0, sizeof(pages));
	for (unsigned i = 0; i < 3; i++) {
		nr += isolated >> i & 1;
		pages[i] = page_after(q, isolated >> i & 1 ? inside : outside, i);
	}
	if (by_number)
		page_free_bulk_on(pages_of(q), 0, 3, pages);
	else
		quire_free_pages_bulk(q, pages, 3);
	check_all_null(3);
	assert_u64_eq(zone_at(q, inside)->isolated_pages, nr);
	assert_int_equal(quire_verify(q), 0);
	assert_int_equal(quire_unisolate_pageblock(q, inside), 0);
}

static void every_mix_of_isolated_pages_is_freed(void **state)
{
	struct quire *q = *state;

	for (unsigned isolated = 0; isolated < 8; isolated++)
		free_three(q, isolated, false);
	assert_int_equal(quire_verify(q), 0);
}

static void every_mix_of_isolated_pages_is_freed_by_number(void **state)
{
	struct quire *q = *state;

	for (unsigned isolated = 0; isolated < 8; isolated++)
		free_three(q, isolated, true);
	assert_int_equal(quire_verify(q), 0);
}

static void a_single_isolated_page_is_freed(void **state)
{
	struct quire *q = *state;
	char *addr = take_block_as_pages(q, 0);

	assert_int_equal(quire_isolate_pageblock(q, addr), 0);
	pages[0] = addr;
	quire_free_pages_bulk(q, pages, 1);
	assert_null(pages[0]);
	assert_u64_eq(zone_at(q, addr)->isolated_pages, 1);
	assert_u64_eq(stat_of(q).cached_pages, 0);
}

static void the_second_zone_may_have_the_isolated_pages(void **state)
{
	struct quire *q = *state;
	unsigned other = page_case->zones - 1;
	char *inside = take_block_as_pages(q, QUIRE_NODE(other));
	char *outside = take_block_as_pages(q, QUIRE_NODE(0));

	assert_int_equal(quire_isolate_pageblock(q, inside), 0);
	for (unsigned i = 0; i < 16; i++)
		pages[i] = page_after(q, i % 2 == 0 ? outside : inside, i);
	quire_free_pages_bulk(q, pages, 16);
	check_all_null(16);
	assert_u64_eq(pages_of(q)->zone[other].isolated_pages, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(a_bulk_allocation_fills_every_slot),
		PAGE_TEST(only_empty_slots_are_filled),
		PAGE_TEST(a_full_array_takes_nothing),
		PAGE_TEST(pages_over_are_not_lost),
		PAGE_TEST(wrong_flags_are_invalid),
		PAGE_TEST(a_bulk_allocation_asks_for_zeroes_and_types),
		PAGE_TEST(a_partial_result_stays_and_is_counted),
		PAGE_TEST(slots_filled_before_count_on_shortage),
		PAGE_TEST(empty_slots_are_passed_over),
		PAGE_TEST(types_and_sizes_of_groups_may_mix),
		PAGE_TEST(zones_may_alternate),
		PAGE_TEST(pages_go_to_the_lists_of_a_cpu_by_number),
		PAGE_TEST(every_mix_of_isolated_pages_is_freed),
		PAGE_TEST(every_mix_of_isolated_pages_is_freed_by_number),
		PAGE_TEST(a_single_isolated_page_is_freed),
		PAGE_TEST(the_second_zone_may_have_the_isolated_pages),
	};

	return PAGE_TESTS_RUN("page_bulk", tests);
}
