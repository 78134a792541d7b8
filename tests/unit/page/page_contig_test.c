/* SPDX-License-Identifier: MIT */
/* Ranges of pages that the caller names. */
#include "unit/page/page_case.h"

#include "page/charge.h"

static size_t pages_bytes(const struct quire *q, size_t pages)
{
	return pages << q->page_shift;
}

/* One or two neighbouring blocks that have been in use and are free. */
static char *free_blocks(struct quire *q, unsigned blocks)
{
	unsigned order = pages_of(q)->pageblock_order + (blocks > 1 ? 1u : 0u);
	char *first = quire_alloc_pages(q, order, 0);

	assert_non_null(first);
	memset(first, 'x', (size_t)blocks << BLOCK_SHIFT);
	quire_free_pages(q, first, order);
	return first;
}

static void a_free_range_is_taken_as_single_pages(void **state)
{
	struct quire *q = *state;
	char *addr = free_blocks(q, 1);
	uint64_t allocated = stat_of(q).allocated_pages;

	assert_int_equal(quire_alloc_contig_range(q, page_after(q, addr, 3), pages_bytes(q, 9), 0),
			 0);
	assert_u64_eq(stat_of(q).allocated_pages, allocated + 9);
	for (size_t i = 3; i < 12; i++)
		assert_int_equal(quire_block_order(q, page_after(q, addr, i)), 0);
	assert_int_equal(quire_block_order(q, page_after(q, addr, 2)), -EINVAL);
	assert_int_equal(quire_block_order(q, page_after(q, addr, 12)), -EINVAL);
	assert_int_equal(quire_verify(q), 0);
	for (size_t i = 3; i < 12; i++)
		quire_free_pages(q, page_after(q, addr, i), 0);
}

static void a_range_may_cover_parts_of_several_blocks(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = free_blocks(q, 2);
	size_t half = block_pages(p) / 2;

	assert_int_equal(quire_alloc_contig_range(q, page_after(q, addr, half),
						  pages_bytes(q, block_pages(p)), 0),
			 0);
	assert_int_equal(quire_verify(q), 0);
	assert_int_equal(tag_at(q, addr) & TAG_ISOLATE, 0);
	assert_int_equal(tag_at(q, page_after(q, addr, block_pages(p))) & TAG_ISOLATE, 0);
	assert_int_equal(quire_block_order(q, page_after(q, addr, half - 1)), -EINVAL);
	quire_free_contig_range(q, page_after(q, addr, half), pages_bytes(q, block_pages(p)));
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void a_size_is_rounded_up_to_whole_pages(void **state)
{
	struct quire *q = *state;
	char *addr = free_blocks(q, 1);

	assert_int_equal(quire_alloc_contig_range(q, addr, pages_bytes(q, 1) + 1, 0), 0);
	assert_u64_eq(stat_of(q).allocated_pages, 2);
	quire_free_contig_range(q, addr, pages_bytes(q, 1) + 1);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void a_range_is_zeroed_if_that_is_asked(void **state)
{
	struct quire *q = *state;
	char *addr = free_blocks(q, 1);

	assert_int_equal(
		quire_alloc_contig_range(q, page_after(q, addr, 1), pages_bytes(q, 5), QUIRE_ZERO),
		0);
	assert_true(reads_as(page_after(q, addr, 1), pages_bytes(q, 5), 0));
	quire_free_contig_range(q, page_after(q, addr, 1), pages_bytes(q, 5));
}

static void pages_on_other_cpus_stacks_and_lists_are_found(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = take_block_as_pages(q, 0);
	unsigned slots = p->stacks.cpu.all_slots_nr;

	for (uint32_t i = 0; i < block_pages(p); i++)
		page_free_on(p, i % slots, page_after(q, addr, i), 0);
	assert_int_equal(quire_alloc_contig_range(q, addr, pages_bytes(q, block_pages(p)), 0), 0);
	quire_free_contig_range(q, addr, pages_bytes(q, block_pages(p)));
}

static void a_page_in_use_refuses_the_whole_range(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = take_block_as_pages(q, QUIRE_RECLAIMABLE);
	uint8_t tag = tag_at(q, addr);
	uint64_t free_pages;

	for (uint32_t i = 0; i < block_pages(p) - 1; i++)
		quire_free_pages(q, page_after(q, addr, i), 0);
	quire_drain_all(q);
	free_pages = stat_of(q).free_pages;
	assert_int_equal(quire_alloc_contig_range(q, addr, pages_bytes(q, block_pages(p)), 0),
			 -EBUSY);
	assert_u64_eq(stat_of(q).free_pages, free_pages);
	assert_int_equal(tag_at(q, addr) & ~TAG_EMPTYING, tag & ~TAG_EMPTYING);
	/* All but the page that is in use. */
	assert_int_equal(quire_alloc_contig_range(q, addr, pages_bytes(q, block_pages(p) - 1), 0),
			 0);
	quire_free_contig_range(q, addr, pages_bytes(q, block_pages(p)));
}

static void a_range_with_an_isolated_block_is_busy_and_the_others_stay_ordinary(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = free_blocks(q, 2), *second = page_after(q, addr, block_pages(p));

	assert_int_equal(quire_isolate_pageblock(q, second), 0);
	assert_int_equal(quire_alloc_contig_range(q, addr, (size_t)2 << BLOCK_SHIFT, 0), -EBUSY);
	assert_int_equal(tag_at(q, addr) & TAG_ISOLATE, 0);
	assert_true(tag_at(q, second) & TAG_ISOLATE);
	assert_int_equal(quire_unisolate_pageblock(q, second), 0);
	assert_int_equal(quire_alloc_contig_range(q, addr, (size_t)2 << BLOCK_SHIFT, 0), 0);
	quire_free_contig_range(q, addr, (size_t)2 << BLOCK_SHIFT);
}

static void what_is_no_range_of_the_instance_is_invalid(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = free_blocks(q, 1), *end = p->base + p->span_bytes;
	size_t page = quire_page_bytes(q);
	int local;

	assert_int_equal(quire_alloc_contig_range(q, &local, page, 0), -EINVAL);
	assert_int_equal(quire_alloc_contig_range(q, NULL, page, 0), -EINVAL);
	assert_int_equal(quire_alloc_contig_range(q, end, page, 0), -EINVAL);
	assert_int_equal(quire_alloc_contig_range(q, end - page, 2 * page, 0), -EINVAL);
	assert_int_equal(quire_alloc_contig_range(q, addr, SIZE_MAX, 0), -EINVAL);
	assert_int_equal(quire_alloc_contig_range(q, addr, 0, 0), -EINVAL);
	assert_int_equal(quire_alloc_contig_range(q, addr + 1, page, 0), -EINVAL);
	assert_int_equal(quire_alloc_contig_range(q, addr, page, QUIRE_NOWAIT), -EINVAL);
	/* Not online yet. */
	assert_int_equal(quire_alloc_contig_range(q, end - page, page, 0), -EBUSY);
}

static void a_range_of_two_zones_is_invalid(void **state)
{
	struct quire *q = page_make((struct quire_options){ .zones = 2 });
	struct pages *p = pages_of(q);
	char *second = page_addr(p, block_frame(p, p->zone_blocks));

	(void)state;
	assert_int_equal(quire_alloc_contig_range(q, second - quire_page_bytes(q),
						  2 * quire_page_bytes(q), 0),
			 -EINVAL);
	quire_destroy(q);
}

/* Pages that are free, but of which other memory of the instance has taken the limit, are not handed out. */
static void the_limit_holds_for_ranges(void **state)
{
	struct quire *q = page_make((struct quire_options){ .zones = 1, .limit_bytes = MIB(16) });
	struct pages *p = pages_of(q);
	char *addr = free_blocks(q, 2);
	struct zone *zone = zone_at(q, addr);
	uint64_t charged = zone->managed_pages - zone->mark_min - 2 * block_pages(p);

	(void)state;
	assert_int_equal(page_charge(q, charged + 1, 0), 0);
	assert_int_equal(quire_alloc_contig_range(q, addr, (size_t)2 << BLOCK_SHIFT, 0), -ENOMEM);
	assert_int_equal(tag_at(q, addr) & TAG_ISOLATE, 0);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
	page_uncharge(q, 1);
	assert_int_equal(quire_alloc_contig_range(q, addr, (size_t)2 << BLOCK_SHIFT, 0), 0);
	quire_free_contig_range(q, addr, (size_t)2 << BLOCK_SHIFT);
	page_uncharge(q, charged);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void a_freed_range_is_whole_again_without_a_drain(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = free_blocks(q, 1);

	assert_int_equal(quire_alloc_contig_range(q, addr, (size_t)1 << BLOCK_SHIFT, 0), 0);
	quire_free_contig_range(q, addr, (size_t)1 << BLOCK_SHIFT);
	assert_true(p->block[block_at(q, addr)].whole);
	quire_free_contig_range(q, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(a_free_range_is_taken_as_single_pages),
		PAGE_TEST(a_range_may_cover_parts_of_several_blocks),
		PAGE_TEST(a_size_is_rounded_up_to_whole_pages),
		PAGE_TEST(a_range_is_zeroed_if_that_is_asked),
		PAGE_TEST(pages_on_other_cpus_stacks_and_lists_are_found),
		PAGE_TEST(a_page_in_use_refuses_the_whole_range),
		PAGE_TEST(a_range_with_an_isolated_block_is_busy_and_the_others_stay_ordinary),
		PAGE_TEST(what_is_no_range_of_the_instance_is_invalid),
		PAGE_TEST(a_range_of_two_zones_is_invalid),
		PAGE_TEST(the_limit_holds_for_ranges),
		PAGE_TEST(a_freed_range_is_whole_again_without_a_drain),
	};

	return PAGE_TESTS_RUN("page_contig", tests);
}
