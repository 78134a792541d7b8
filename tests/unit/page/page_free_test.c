/* SPDX-License-Identifier: MIT */
/* Where freed pages go: stack, list, buddy, and the deferred list of nested calls. */
#include "unit/page/page_case.h"

static void *take(struct quire *q, unsigned order, unsigned flags)
{
	void *addr = quire_alloc_pages(q, order, flags);

	assert_non_null(addr);
	return addr;
}

static void freeing_nothing_does_nothing(void **state)
{
	struct quire *q = *state;

	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++)
		quire_free_pages(q, NULL, order);
	assert_u64_eq(stat_of(q).online_pages, 0);
}

static void a_freed_page_is_cached_on_this_cpu(void **state)
{
	struct quire *q = *state;
	void *addr = take(q, 0, 0);

	quire_drain_all(q);
	quire_free_pages(q, addr, 0);
	assert_u64_eq(stat_of(q).cached_pages, 1);
	assert_u64_eq(stat_of(q).buddy_frees, 0);
	assert_u64_eq(quire_drain_slot(q, own_pcp(q)->door.slot), 1);
}

static void orders_that_nothing_keeps_go_to_the_buddy(void **state)
{
	struct quire *q = *state;

	for (unsigned order = 5; order <= QUIRE_ORDER_MAX; order++) {
		void *addr = take(q, order, 0);
		uint64_t frees = stat_of(q).buddy_frees;

		if (order == pages_of(q)->pageblock_order)
			continue;
		quire_drain_all(q);
		quire_free_pages(q, addr, order);
		assert_u64_eq(stat_of(q).cached_pages, 0);
		assert_u64_eq(stat_of(q).buddy_frees, frees + 1);
	}
}

static void pages_of_reserved_blocks_go_to_the_buddy(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	void *addr = take(q, 1, QUIRE_ATOMIC | QUIRE_NODE(0));

	quire_drain_all(q);
	quire_free_pages(q, take(q, 1, QUIRE_ATOMIC | QUIRE_NODE(0)), 1);
	quire_free_pages(q, addr, 1);
	if (p->zone[0].highatomic_blocks != 0)
		assert_u64_eq(row_pages(q, ROW_HIGHATOMIC), block_pages(p));
	else
		assert_true(stat_of(q).cached_pages != 0);
}

static void free_it(unsigned index, void *arg)
{
	void **both = arg;

	(void)index;
	quire_free_pages(both[0], both[1], 0);
}

static void any_thread_may_free(void **state)
{
	struct quire *q = *state;
	void *both[] = { q, take(q, 0, 0) };

	team_run(1, free_it, both);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
	assert_ptr_equal(quire_page_address(q, both[1]), both[1]);
}

/* ---- nested calls: a handler interrupted a holder on the same thread -------------------------- */

static void a_nested_free_that_gets_no_lock_is_deferred(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	void *addr = take(q, 6, 0);
	lock_token token = lock_acquire(&zone_at(q, addr)->lock);

	quire_free_pages(q, addr, 6);
	lock_release(&zone_at(q, addr)->lock, token);
	assert_u64_eq(p->deferred, page_frame(p, addr));
	assert_u64_eq(state_at(q, addr), STATE_DEFERRED | 6);
	assert_u64_eq(stat_of(q).deferred_frees, 1);
	assert_int_equal(quire_verify(q), 0);
}

static void deferred_pages_are_taken_in_by_the_next_ordinary_call(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = take(q, 6, 0);
	struct zone *zone = zone_at(q, addr);
	lock_token token;

	page_split_to(p, addr, 6, 5);
	token = lock_acquire(&zone->lock);
	quire_free_pages(q, addr, 5);
	quire_free_pages(q, page_after(q, addr, 32), 5);
	lock_release(&zone->lock, token);
	/* With pages of 64 KiB a run of 32 is a block, which a stack or list may have kept. */
	quire_drain_all(q);
	assert_u64_eq(p->deferred, FRAME_NONE);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void a_nested_free_uses_a_list_if_it_gets_its_lock(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	void *addr = take(q, 0, 0);
	struct zone *zone = zone_at(q, addr);
	lock_token token;

	quire_drain_all(q);
	drain_idle(p);
	drain_idle(p); /* cold stacks: they would take it without a lock */
	token = lock_acquire(&zone->lock);
	quire_free_pages(q, addr, 0);
	lock_release(&zone->lock, token);
	assert_u64_eq(stat_of(q).deferred_frees, 0);
	assert_u64_eq(own_pcp(q)->count, 1);
}

static void a_nested_free_does_not_fill_lists_that_are_off(void **state)
{
	struct quire *q = *state;
	void *addr = take(q, 0, 0);
	struct zone *zone = zone_at(q, addr);
	lock_token token;

	quire_pcp_disable(q);
	token = lock_acquire(&zone->lock);
	quire_free_pages(q, addr, 0);
	lock_release(&zone->lock, token);
	assert_u64_eq(stat_of(q).deferred_frees, 1);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	quire_pcp_enable(q);
}

static void a_nested_allocation_never_waits(void **state)
{
	struct quire *q = *state;
	void *addr = take(q, 6, 0), *none, *some;
	struct zone *zone = zone_at(q, addr);
	lock_token token;

	quire_free_pages(q, take(q, 0, 0), 0);
	token = lock_acquire(&zone->lock);
	none = quire_alloc_pages(q, 6, QUIRE_NODE(zone->index));
	some = quire_alloc_pages(q, 0, 0);
	lock_release(&zone->lock, token);
	assert_null(none);
	assert_non_null(some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(freeing_nothing_does_nothing),
		PAGE_TEST(a_freed_page_is_cached_on_this_cpu),
		PAGE_TEST(orders_that_nothing_keeps_go_to_the_buddy),
		PAGE_TEST(pages_of_reserved_blocks_go_to_the_buddy),
		PAGE_TEST(any_thread_may_free),
		PAGE_TEST(a_nested_free_that_gets_no_lock_is_deferred),
		PAGE_TEST(deferred_pages_are_taken_in_by_the_next_ordinary_call),
		PAGE_TEST(a_nested_free_uses_a_list_if_it_gets_its_lock),
		PAGE_TEST(a_nested_free_does_not_fill_lists_that_are_off),
		PAGE_TEST(a_nested_allocation_never_waits),
	};

	return PAGE_TESTS_RUN("page_free", tests);
}
