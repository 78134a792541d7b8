/* SPDX-License-Identifier: MIT */
/* A zone's stock of entries between the CPUs' stacks and the buddy. */
#include "unit/page/page_case.h"

static uint32_t frames[DEPOT_ENTRIES_NR];

/* @n runs in state CACHED that nobody has. */
static unsigned cached_runs(struct quire *q, unsigned order, unsigned n)
{
	const struct page_request request = { .order = order };
	struct pages *p = pages_of(q);
	unsigned got = 0;

	while (got < n) {
		unsigned some = rmqueue_bulk(p, &p->zone[0], &request, frames + got, n - got);

		if (some == 0)
			assert_int_equal(zone_grow(p, &p->zone[0], &request), 0);
		got += some;
	}
	return got;
}

static void give_back(struct quire *q, unsigned from, unsigned n)
{
	struct pages *p = pages_of(q);

	pcp_frames_to_buddy(p, &p->zone[0], frames + from, n);
}

static void the_newest_entries_are_given_out(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint32_t taken[4];

	cached_runs(q, 0, 10);
	assert_u64_eq(depot_put(&p->zone[0], 0, 0, frames, 10), 10);
	assert_u64_eq(depot_pages(&p->zone[0].depot), 10);
	assert_u64_eq(depot_take(&p->zone[0], 0, 0, taken, 4), 4);
	assert_memory_equal(taken, frames + 6, sizeof(taken));
	assert_u64_eq(depot_pages(&p->zone[0].depot), 6);
	give_back(q, 6, 4);
}

static void a_take_is_short_when_little_is_held(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint32_t taken[8];

	cached_runs(q, 0, 3);
	assert_u64_eq(depot_put(&p->zone[0], 0, 0, frames, 3), 3);
	assert_u64_eq(depot_take(&p->zone[0], 0, 0, taken, 8), 3);
	assert_u64_eq(depot_take(&p->zone[0], 0, 0, taken, 8), 0);
	give_back(q, 0, 3);
}

static void orders_and_types_are_kept_apart(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint32_t taken[8];

	cached_runs(q, 2, 2);
	assert_u64_eq(depot_put(&p->zone[0], 2, TYPE_MOVABLE, frames, 2), 2);
	assert_u64_eq(depot_take(&p->zone[0], 2, TYPE_UNMOVABLE, taken, 8), 0);
	assert_u64_eq(depot_take(&p->zone[0], 1, TYPE_MOVABLE, taken, 8), 0);
	assert_u64_eq(depot_pages(&p->zone[0].depot), 8);
	assert_u64_eq(depot_take(&p->zone[0], 2, TYPE_MOVABLE, taken, 8), 2);
	give_back(q, 0, 2);
}

static void room_is_bounded(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	for (unsigned order = 0; order < DEPOT_ORDERS_NR; order++) {
		uint32_t room = DEPOT_ENTRIES(order);
		uint64_t eighth = p->zone[0].managed_pages / 8 >> order;
		unsigned n;

		room = eighth < room ? (uint32_t)eighth : room;
		n = cached_runs(q, order, room + 1);
		assert_u64_eq(depot_put(&p->zone[0], order, 0, frames, n), room);
		assert_u64_eq(depot_put(&p->zone[0], order, 0, frames + room, 1), 0);
		give_back(q, room, 1);
	}
}

static void orders_that_it_does_not_hold_are_refused(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	cached_runs(q, DEPOT_ORDERS_NR, 1);
	assert_u64_eq(depot_put(&p->zone[0], DEPOT_ORDERS_NR, 0, frames, 1), 0);
	assert_u64_eq(depot_take(&p->zone[0], DEPOT_ORDERS_NR, 0, frames + 1, 1), 0);
	give_back(q, 0, 1);
}

static void a_drain_leaves_nothing(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	size_t pages = 0;

	for (unsigned order = 0; order < DEPOT_ORDERS_NR; order++) {
		cached_runs(q, order, 3);
		assert_u64_eq(depot_put(&p->zone[0], order, order % 3, frames, 3), 3);
		pages += (size_t)3 << order;
	}
	assert_u64_eq(stat_of(q).cached_pages, pages);
	assert_u64_eq(depot_drain(p, &p->zone[0]), pages);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	assert_u64_eq(depot_drain(p, &p->zone[0]), 0);
}

static void nothing_is_put_in_while_lists_are_off(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	quire_pcp_disable(q);
	cached_runs(q, 0, 1);
	assert_u64_eq(depot_put(&p->zone[0], 0, 0, frames, 1), 0);
	quire_pcp_enable(q);
	assert_u64_eq(depot_put(&p->zone[0], 0, 0, frames, 1), 1);
}

static void a_busy_depot_is_not_waited_for(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct depot *depot = &p->zone[0].depot;
	lock_token token;
	unsigned put, taken;

	cached_runs(q, 0, 2);
	assert_u64_eq(depot_put(&p->zone[0], 0, 0, frames, 1), 1);
	token = lock_acquire(&depot->lock);
	put = depot_put(&p->zone[0], 0, 0, frames + 1, 1);
	taken = depot_take(&p->zone[0], 0, 0, frames, 1);
	lock_release(&depot->lock, token);
	assert_u64_eq(put, 0);
	assert_u64_eq(taken, 0);
	give_back(q, 1, 1);
}

/* Without sequences there is nothing in front of the lists, and the depot stays empty. */
static void bursts_go_through_the_depot_where_there_are_stacks(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	size_t n = 16384;
	void **held = calloc(n, sizeof(*held));

	n = take_all(q, 0, QUIRE_NODE(0), held, n);
	give_all(q, 0, held, n);
	assert_true((stat_of(q).depot_moves != 0) == (p->stacks.cpu.slots_nr != 0));
	assert_true(depot_pages(&p->zone[0].depot) <= DEPOT_ENTRIES(0));
	free(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(the_newest_entries_are_given_out),
		PAGE_TEST(a_take_is_short_when_little_is_held),
		PAGE_TEST(orders_and_types_are_kept_apart),
		PAGE_TEST(room_is_bounded),
		PAGE_TEST(orders_that_it_does_not_hold_are_refused),
		PAGE_TEST(a_drain_leaves_nothing),
		PAGE_TEST(nothing_is_put_in_while_lists_are_off),
		PAGE_TEST(a_busy_depot_is_not_waited_for),
		PAGE_TEST(bursts_go_through_the_depot_where_there_are_stacks),
	};

	return PAGE_TESTS_RUN("page_depot", tests);
}
