/* SPDX-License-Identifier: MIT */
/* Taking a pageblock out of circulation, and away. */
#include "unit/page/page_case.h"

#include <sys/mman.h>
#include <unistd.h>

#define HELD_MAX 2048

static void *held[HELD_MAX];

static size_t block_bytes(void)
{
	return (size_t)1 << BLOCK_SHIFT;
}

/* System pages of a range that have memory behind them. */
static size_t resident_pages(void *addr, size_t bytes)
{
	size_t system = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	static unsigned char present[(1u << BLOCK_SHIFT) / 4096];

	assert_true(bytes / system <= sizeof(present));
	assert_int_equal(mincore(addr, bytes, present), 0);
	for (size_t i = 0; i < bytes / system; i++)
		n += present[i] & 1;
	return n;
}

static void isolation_leaves_no_page_in_any_cache(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = quire_alloc_pages(q, 0, 0);
	size_t n = take_all(q, 0, 0, held, 200);

	give_all(q, 0, held, n);
	assert_true(stat_of(q).cached_pages != 0);
	assert_int_equal(quire_isolate_pageblock(q, addr), 0);
	/* Rule 9 of verify looks for them. */
	assert_int_equal(quire_verify(q), 0);
	assert_u64_eq(row_pages(q, ROW_ISOLATE), p->zone[0].isolated_pages);
	assert_true(p->zone[0].isolated_pages != 0);
}

static void frees_into_an_isolated_block_stay_there(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = take_block_as_pages(q, 0);

	assert_int_equal(quire_isolate_pageblock(q, addr), 0);
	for (uint32_t i = 0; i < block_pages(p); i++) {
		quire_free_pages(q, page_after(q, addr, i), 0);
		assert_u64_eq(p->zone[0].isolated_pages, i + 1);
	}
	assert_u64_eq(stat_of(q).cached_pages, 0);
	assert_u64_eq(p->zone[0].nr_free[p->pageblock_order][ROW_ISOLATE], 1);
}

static void nothing_is_allocated_from_an_isolated_block(void **state)
{
	struct quire *q = page_make((struct quire_options){ .zones = 1, .limit_bytes = MIB(8) });
	char *addr = quire_alloc_pages(q, 0, QUIRE_MOVABLE);
	uint32_t isolated = block_at(q, addr);
	size_t n;

	(void)state;
	assert_int_equal(quire_isolate_pageblock(q, addr), 0);
	n = take_all(q, 0, QUIRE_ATOMIC, held, HELD_MAX);
	assert_true(n >= 2 * block_pages(pages_of(q)));
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(block_at(q, held[i]), isolated);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void the_type_survives_isolation(void **state)
{
	struct quire *q = *state;

	for (unsigned type = 0; type < TYPES_NR; type++) {
		char *addr = quire_alloc_pages(q, 0, type);

		assert_int_equal(quire_isolate_pageblock(q, addr), 0);
		assert_int_equal(tag_at(q, addr) & TAG_TYPE, type);
		assert_int_equal(quire_unisolate_pageblock(q, addr), 0);
		assert_int_equal(block_row(tag_at(q, addr)), ROW_TYPE + type);
	}
}

static void an_isolated_block_is_given_out_again_after_unisolation(void **state)
{
	struct quire *q = *state;
	char *addr = take_block_as_pages(q, 0);

	assert_int_equal(quire_isolate_pageblock(q, addr), 0);
	quire_free_pages(q, addr, 0);
	assert_int_equal(quire_unisolate_pageblock(q, addr), 0);
	assert_u64_eq(pages_of(q)->zone[0].isolated_pages, 0);
	assert_ptr_equal(quire_alloc_pages(q, 0, 0), addr);
}

static void isolation_happens_once(void **state)
{
	struct quire *q = *state;
	char *addr = quire_alloc_pages(q, 0, 0);

	assert_int_equal(quire_unisolate_pageblock(q, addr), -EINVAL);
	assert_int_equal(quire_isolate_pageblock(q, addr), 0);
	assert_int_equal(quire_isolate_pageblock(q, addr + 1), -EBUSY);
	assert_int_equal(quire_offline_pageblock(q, addr), -EBUSY);
	assert_int_equal(quire_unisolate_pageblock(q, addr), 0);
	assert_int_equal(quire_unisolate_pageblock(q, addr), -EINVAL);
}

static void foreign_addresses_are_invalid(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	int local;
	void *const foreign[] = { &local, NULL, p->base + p->span_bytes };

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(quire_isolate_pageblock(q, foreign[i]), -EINVAL);
		assert_int_equal(quire_unisolate_pageblock(q, foreign[i]), -EINVAL);
		assert_int_equal(quire_offline_pageblock(q, foreign[i]), -EINVAL);
	}
}

static void a_block_that_is_not_online_is_busy(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	assert_int_equal(quire_isolate_pageblock(q, p->base), -EBUSY);
	assert_int_equal(quire_offline_pageblock(q, p->base + p->span_bytes - 1), -EBUSY);
}

static void a_reserved_block_is_not_reserved_after_isolation(void **state)
{
	struct quire *q = *state;
	char *addr = quire_alloc_pages(q, 1, QUIRE_ATOMIC);

	assert_true(tag_at(q, addr) & TAG_HIGHATOMIC);
	assert_int_equal(quire_isolate_pageblock(q, addr), 0);
	assert_u64_eq(pages_of(q)->zone[0].highatomic_blocks, 0);
	assert_int_equal(quire_unisolate_pageblock(q, addr), 0);
	assert_false(tag_at(q, addr) & TAG_HIGHATOMIC);
}

struct working {
	struct quire *q;
	char *inside;
	uint32_t stop;
};

static void free_inside_and_work(unsigned index, void *arg)
{
	struct working *w = arg;
	void *page;

	for (uint32_t i = index; i < block_pages(pages_of(w->q)); i += 2)
		quire_free_pages(w->q, page_after(w->q, w->inside, i), 0);
	while (load_acquire(&w->stop) == 0 && index == 0) {
		page = quire_alloc_pages(w->q, 0, 0);
		if (page != NULL)
			quire_free_pages(w->q, page, 0);
	}
	if (index == 0)
		return;
	for (unsigned i = 0; i < 200; i++)
		if (quire_isolate_pageblock(w->q, w->inside) == 0)
			quire_unisolate_pageblock(w->q, w->inside);
	quire_isolate_pageblock(w->q, w->inside);
	store_release(&w->stop, 1u);
}

/* Whoever read the old tag before the isolation cannot push after it. */
static void isolation_holds_against_threads_that_free(void **state)
{
	struct working w = { .q = *state };

	w.inside = take_block_as_pages(w.q, 0);
	team_run(2, free_inside_and_work, &w);
	assert_int_equal(quire_verify(w.q), 0);
	assert_true(tag_at(w.q, w.inside) & TAG_ISOLATE);
}

/* ---- offline -------------------------------------------------------------------------------- */

static void offlining_gives_back_the_memory(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = quire_alloc_pages(q, p->pageblock_order, 0);
	uint64_t online;

	memset(addr, 1, block_bytes());
	assert_true(resident_pages(addr, block_bytes()) != 0);
	quire_free_pages(q, addr, p->pageblock_order);
	online = stat_of(q).online_pages;
	assert_int_equal(quire_offline_pageblock(q, addr), 0);
	assert_u64_eq(resident_pages(addr, block_bytes()), 0);
	assert_u64_eq(stat_of(q).online_pages, online - block_pages(p));
	assert_u64_eq(stat_of(q).free_pages, stat_of(q).online_pages);
}

static void offlining_gives_back_the_struct_pages(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	size_t bytes = block_pages(p) * sizeof(struct page);
	size_t system = (size_t)sysconf(_SC_PAGESIZE);
	char *addr = take_block_as_pages(q, 0);
	struct page *pages = page_of(p, page_frame(p, addr) + block_pages(p) - 1);
	uint64_t metadata;

	for (uint32_t i = 0; i < block_pages(p); i++)
		quire_free_pages(q, page_after(q, addr, i), 0);
	metadata = stat_of(q).metadata_bytes;
	assert_int_equal(quire_offline_pageblock(q, addr), 0);
	/* With larger pages several blocks share a system page of them. */
	if (bytes % system == 0)
		assert_u64_eq(resident_pages(pages, bytes), 0);
	assert_u64_eq(stat_of(q).metadata_bytes, metadata - (bytes % system == 0 ? bytes : 0));
}

static void a_block_in_use_stays(void **state)
{
	struct quire *q = *state;
	char *addr = take_block_as_pages(q, QUIRE_RECLAIMABLE);
	uint8_t tag = tag_at(q, addr);

	memset(addr, 'x', quire_page_bytes(q));
	for (uint32_t i = 1; i < block_pages(pages_of(q)); i++)
		quire_free_pages(q, page_after(q, addr, i), 0);
	assert_int_equal(quire_offline_pageblock(q, addr), -EBUSY);
	assert_true(reads_as(addr, quire_page_bytes(q), 'x'));
	assert_int_equal(tag_at(q, addr) & ~TAG_EMPTYING, tag & ~TAG_EMPTYING);
	quire_free_pages(q, addr, 0);
	assert_int_equal(quire_offline_pageblock(q, addr), 0);
}

static void an_offline_block_can_be_grown_into_again(void **state)
{
	struct quire *q = page_make((struct quire_options){ .zones = 1, .limit_bytes = MIB(8) });
	struct pages *p = pages_of(q);
	void *blocks[4] = { NULL };
	size_t n = take_all(q, p->pageblock_order, QUIRE_ATOMIC, blocks, 4);

	(void)state;
	assert_true(n >= 3);
	assert_non_null(quire_alloc_pages(q, 0, QUIRE_ATOMIC)); /* the rest is less than a block */
	memset(blocks[1], 1, block_bytes());
	quire_free_pages(q, blocks[1], p->pageblock_order);
	assert_int_equal(quire_offline_pageblock(q, blocks[1]), 0);
	assert_int_equal(quire_offline_pageblock(q, blocks[1]), -EBUSY);
	assert_ptr_equal(quire_alloc_pages(q, p->pageblock_order, QUIRE_ATOMIC | QUIRE_ZERO),
			 blocks[1]);
	assert_true(reads_as(blocks[1], block_bytes(), 0));
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void what_is_offline_counts_as_available(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = quire_alloc_pages(q, p->pageblock_order, 0);
	struct zone *zone = &p->zone[0];
	uint64_t before, after;
	lock_token token;

	quire_free_pages(q, addr, p->pageblock_order);
	quire_drain_all(q);
	zone_lock_for(zone, 0, &token);
	before = zone_available_locked(p, zone);
	zone_unlock(zone, token);
	assert_int_equal(quire_offline_pageblock(q, addr), 0);
	zone_lock_for(zone, 0, &token);
	after = zone_available_locked(p, zone);
	zone_unlock(zone, token);
	assert_u64_eq(before, zone->managed_pages);
	assert_u64_eq(after, before);
}

static void every_block_can_go_and_come_back(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	void *blocks[20] = { NULL };
	size_t n = take_all(q, p->pageblock_order, 0, blocks, 20);

	give_all(q, p->pageblock_order, blocks, n);
	for (uint32_t block = 0; block < p->zone[0].blocks_touched; block++)
		assert_int_equal(quire_offline_pageblock(q, block_addr(q, block)), 0);
	assert_u64_eq(stat_of(q).online_pages, 0);
	assert_int_equal(quire_verify(q), 0);
	assert_u64_eq(take_all(q, p->pageblock_order, 0, blocks, 20), n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(isolation_leaves_no_page_in_any_cache),
		PAGE_TEST(frees_into_an_isolated_block_stay_there),
		PAGE_TEST(nothing_is_allocated_from_an_isolated_block),
		PAGE_TEST(the_type_survives_isolation),
		PAGE_TEST(an_isolated_block_is_given_out_again_after_unisolation),
		PAGE_TEST(isolation_happens_once),
		PAGE_TEST(foreign_addresses_are_invalid),
		PAGE_TEST(a_block_that_is_not_online_is_busy),
		PAGE_TEST(a_reserved_block_is_not_reserved_after_isolation),
		PAGE_TEST(isolation_holds_against_threads_that_free),
		PAGE_TEST(offlining_gives_back_the_memory),
		PAGE_TEST(offlining_gives_back_the_struct_pages),
		PAGE_TEST(a_block_in_use_stays),
		PAGE_TEST(an_offline_block_can_be_grown_into_again),
		PAGE_TEST(what_is_offline_counts_as_available),
		PAGE_TEST(every_block_can_go_and_come_back),
	};

	return PAGE_TESTS_RUN("page_isolate", tests);
}
