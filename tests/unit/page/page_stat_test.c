/* SPDX-License-Identifier: MIT */
/* What quire_page_stat_read() says, and that its gauges add up. */
#include "unit/page/page_case.h"

#define SLOTS 400

static void *take(struct quire *q, unsigned order, unsigned flags)
{
	void *addr = quire_alloc_pages(q, order, flags);

	assert_non_null(addr);
	return addr;
}

static void check_conserved(struct quire *q, uint64_t allocated)
{
	struct quire_page_stat stat = stat_of(q);

	assert_u64_eq(stat.online_pages,
		      stat.free_pages + stat.cached_pages + stat.allocated_pages);
	assert_u64_eq(stat.allocated_pages, allocated);
	assert_true(stat.reported_pages <= stat.free_pages);
	assert_true(stat.online_pages <= stat.limit_pages);
}

static void gauges_add_up_whatever_is_done(void **state)
{
	struct quire *q = *state;
	void *slots[SLOTS] = { NULL };
	uint64_t allocated = 0;
	uint32_t random = 7;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned at = (random = random * 1664525 + 1013904223) >> 8;
		unsigned order = at % SLOTS % 4;

		at %= SLOTS;
		if (slots[at] == NULL) {
			slots[at] = take(q, order, at % 3);
			allocated += 1u << order;
		} else {
			quire_free_pages(q, slots[at], order);
			slots[at] = NULL;
			allocated -= 1u << order;
		}
		if (i % 1000 == 0)
			quire_drain_all(q);
		if (i % 100 == 0)
			check_conserved(q, allocated);
	}
	check_conserved(q, allocated);
}

static void a_fresh_instance_has_done_nothing(void **state)
{
	struct quire_page_stat stat = stat_of(*state);
	struct quire_page_stat expected = { .struct_bytes = sizeof(expected),
					    .page_shift = page_case->page_shift,
					    .pageblock_order = BLOCK_SHIFT - page_case->page_shift,
					    .zones_nr = page_case->zones };

	expected.limit_pages = page_case->zones * CASE_BLOCKS << expected.pageblock_order;
	expected.mappings_max = stat.mappings_max; /* the process's */
	assert_true(stat.mappings_max > 0);
	assert_memory_equal(&stat, &expected, sizeof(stat));
}

static void every_kind_of_service_is_counted(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct quire_page_stat before = QUIRE_PAGE_STAT_INIT, after = before;
	void *addr = take(q, 0, 0);

	quire_drain_all(q);
	before = stat_of(q);
	quire_free_pages(q, take(q, 6, 0), 6); /* no cache keeps it */
	after = stat_of(q);
	assert_u64_eq(after.buddy_allocs, before.buddy_allocs + 1);
	assert_u64_eq(after.buddy_frees, before.buddy_frees + 1);
	assert_true(after.zone_lock_acquisitions >= before.zone_lock_acquisitions + 2);
	page_free_on(p, 0, addr, 0);
	assert_u64_eq(stat_of(q).list_frees, after.list_frees + 1);
	page_alloc_on(p, 0, 0, 0);
	assert_u64_eq(stat_of(q).list_allocs, after.list_allocs + 1);
}

static void drains_count_cpus(void **state)
{
	struct quire *q = *state;
	uint64_t before;

	page_free_on(pages_of(q), 0, take(q, 0, QUIRE_NODE(0)), 0);
	quire_drain_all(q);
	before = stat_of(q).drains;
	quire_drain_slot(q, 0);
	assert_true(stat_of(q).drains > before);
}

static void metadata_is_counted_for_what_is_online(void **state)
{
	struct quire *q = *state;
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	take(q, 0, 0);
	stat = stat_of(q);
	assert_true(stat.metadata_bytes >= stat.online_pages * (sizeof(struct page) + 1));
	/* "at most 17 bytes a page", with pages of 4 KiB */
	if (page_case->page_shift == 12)
		assert_true(stat.metadata_bytes <= stat.online_pages * 17);
}

static void what_is_reported_and_reused_is_counted(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	void *addr = take(q, p->pageblock_order, 0);
	uint64_t reported;

	memset(addr, 1, (size_t)1 << BLOCK_SHIFT);
	quire_free_pages(q, addr, p->pageblock_order);
	quire_pcp_disable(q);
	giveback_free_runs(p);
	reported = stat_of(q).reported_total_pages;
	assert_true(stat_of(q).reports != 0);
	assert_true(reported >= block_pages(p));
	assert_u64_eq(stat_of(q).reported_pages, stat_of(q).free_pages);
	while (stat_of(q).reported_pages != 0)
		take(q, p->pageblock_order, 0);
	assert_true(stat_of(q).reused_pages != 0);
	assert_true(stat_of(q).reused_pages <= reported);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(gauges_add_up_whatever_is_done),
		PAGE_TEST(a_fresh_instance_has_done_nothing),
		PAGE_TEST(every_kind_of_service_is_counted),
		PAGE_TEST(drains_count_cpus),
		PAGE_TEST(metadata_is_counted_for_what_is_online),
		PAGE_TEST(what_is_reported_and_reused_is_counted),
	};

	return PAGE_TESTS_RUN("page_stat", tests);
}
