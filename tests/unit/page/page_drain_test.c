/* SPDX-License-Identifier: MIT */
/* Emptying CPUs' stacks and lists from anywhere, and switching them off. */
#include "unit/page/page_case.h"

#include <sched.h>

#define HELD_MAX 2000

static void *held[HELD_MAX];

static void leave_pages_behind(unsigned index, void *arg)
{
	struct quire *q = arg;
	void *mine[300];
	size_t n = 0;

	pin_to_cpu(index);
	for (unsigned i = 0; i < 100; i++) {
		mine[n] = quire_alloc_pages(q, i % 5, i % 3);
		n += mine[n] != NULL;
	}
	/* A single page last: a small zone's list spills when a larger run reaches high, and may then
	 * be left with nothing. */
	while (n-- != 0)
		quire_free_pages(q, mine[n], (unsigned)quire_block_order(q, mine[n]));
}

static void draining_all_leaves_nothing_cached(void **state)
{
	struct quire *q = *state;
	uint64_t cached;

	leave_pages_behind(own_pcp(q)->door.slot, q);
	cached = stat_of(q).cached_pages;
	assert_true(cached != 0);
	assert_u64_eq(quire_drain_all(q), cached);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	assert_u64_eq(stat_of(q).free_pages, stat_of(q).online_pages);
	assert_u64_eq(quire_drain_all(q), 0);
}

static void cpus_whose_threads_are_gone_are_drained(void **state)
{
	struct quire *q = *state;

	/* Now and then every last page is of a block that is emptying, and nothing is left behind. */
	for (unsigned tries = 0; tries < 10 && stat_of(q).cached_pages == 0; tries++)
		team_run(2, leave_pages_behind, q);
	assert_true(stat_of(q).cached_pages != 0);
	quire_drain_all(q);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void draining_one_cpu_leaves_the_others_alone(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	unsigned last = p->stacks.cpu.all_slots_nr - 1;

	assert_u64_eq(take_all(q, 0, QUIRE_NODE(0), held, 2), 2);
	quire_drain_all(q);
	page_free_on(p, 0, held[0], 0);
	page_free_on(p, last, held[1], 0);
	assert_u64_eq(quire_drain_slot(q, last), last == 0 ? 2 : 1);
	assert_u64_eq(page_pcp(p, 0, last)->count, 0);
	assert_u64_eq(quire_drain_slot(q, 0), last == 0 ? 0 : 1);
}

static void there_is_no_cpu_beyond_the_last(void **state)
{
	struct quire *q = *state;

	leave_pages_behind(own_pcp(q)->door.slot, q);
	assert_u64_eq(quire_drain_slot(q, quire_slots(q)), 0);
	assert_u64_eq(quire_drain_slot(q, UINT32_MAX), 0);
}

static unsigned ready_nr(struct pages *p)
{
	unsigned nr = 0;

	for (unsigned slot = 0; slot < p->stacks.cpu.all_slots_nr; slot++)
		nr += page_pcp(p, 0, slot)->door.ready;
	return nr;
}

/* That of the instance's maker is ready from the start. */
static void a_cpu_never_used_is_passed_over(void **state)
{
	struct quire *q = *state;

	assert_u64_eq(ready_nr(pages_of(q)), 1);
	assert_u64_eq(quire_drain_all(q), 0);
	assert_u64_eq(stat_of(q).drains, 1);
	assert_u64_eq(ready_nr(pages_of(q)), 1);
}

/* One hold of the lists' lock moves at most batch << 5 pages, so many holds are needed. */
static void a_drain_holds_a_lock_for_a_bounded_number_of_pages(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, HELD_MAX);
	uint32_t bound = p->zone[0].pcp_batch << BATCH_SCALE_MAX;
	struct pcp *pcp = own_pcp(q);
	uint64_t locks;

	quire_drain_all(q);
	pcp->high = UINT32_MAX / 2;
	for (size_t i = 0; i < n; i++)
		page_free_on(p, pcp->door.slot, held[i], 0);
	pcp->high = p->zone[0].pcp_high_min;
	locks = stat_of(q).zone_lock_acquisitions;
	assert_u64_eq(quire_drain_slot(q, pcp->door.slot), n);
	assert_true(stat_of(q).zone_lock_acquisitions - locks >= n / bound);
	assert_true(stat_of(q).zone_lock_acquisitions - locks >= n / MOVE_MAX);
}

static void a_drain_leaves_stacks_open(void **state)
{
	struct quire *q = *state;
	void *addr = quire_alloc_pages(q, 0, 0);

	quire_free_pages(q, addr, 0);
	quire_drain_all(q);
	assert_int_equal(own_pcp(q)->door.closed_nr, 0);
	quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
	assert_true(stat_of(q).cached_pages != 0);
}

/* ---- off and on ----------------------------------------------------------------------------- */

static void off_means_high_0_and_batch_1_everywhere(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	quire_pcp_disable(q);
	for (unsigned zone = 0; zone < p->zones_nr; zone++) {
		for (unsigned slot = 0; slot < p->stacks.cpu.all_slots_nr; slot++) {
			assert_u64_eq(page_pcp(p, zone, slot)->high, 0);
			assert_u64_eq(page_pcp(p, zone, slot)->batch, 1);
		}
	}
	quire_pcp_enable(q);
	assert_u64_eq(own_pcp(q)->high, p->zone[0].pcp_high_min);
	assert_u64_eq(own_pcp(q)->batch, p->zone[0].pcp_batch);
}

static void switching_off_drains(void **state)
{
	struct quire *q = *state;

	leave_pages_behind(own_pcp(q)->door.slot, q);
	quire_pcp_disable(q);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	quire_pcp_enable(q);
}

static void while_off_every_free_goes_to_the_buddy(void **state)
{
	struct quire *q = *state;

	leave_pages_behind(own_pcp(q)->door.slot, q);
	quire_pcp_disable(q);
	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++) {
		quire_free_pages(q, quire_alloc_pages(q, order, order % 3), order);
		assert_u64_eq(stat_of(q).cached_pages, 0);
	}
	assert_u64_eq(take_all(q, 0, 0, held, 500), 500);
	quire_free_pages_bulk(q, held, 500);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	quire_pcp_enable(q);
}

static void holders_nest(void **state)
{
	struct quire *q = *state;
	void *addr = quire_alloc_pages(q, 0, 0);

	quire_pcp_disable(q);
	quire_pcp_disable(q);
	quire_pcp_enable(q);
	quire_free_pages(q, addr, 0);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	quire_pcp_enable(q);
	quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
	assert_true(stat_of(q).cached_pages != 0);
}

static void draining_while_off_keeps_stacks_closed(void **state)
{
	struct quire *q = *state;
	void *addr = quire_alloc_pages(q, 0, 0);

	quire_pcp_disable(q);
	quire_drain_all(q);
	assert_int_equal(own_pcp(q)->door.closed_nr, 1);
	quire_free_pages(q, addr, 0);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	quire_pcp_enable(q);
	assert_int_equal(own_pcp(q)->door.closed_nr, 0);
}

struct switching {
	struct quire *q;
	uint32_t stop;
	uint64_t broken;
};

/* One switches on and off, the other allocates and frees: what is cached while off is counted. */
static void switch_or_work(unsigned index, void *arg)
{
	struct switching *s = arg;

	for (unsigned i = 0; index == 0 && i < 300; i++) {
		struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
		uint64_t end_ns = await_begin();

		quire_pcp_disable(s->q);
		/* The count is a hint: a holder may be between putting a page on and spilling it, and
		 * have lost its CPU there. */
		do
			quire_page_stat_read(s->q, &stat);
		while (stat.cached_pages != 0 && await_more(end_ns));
		s->broken += stat.cached_pages != 0;
		quire_pcp_enable(s->q);
	}
	if (index == 0)
		store_release(&s->stop, 1u);
	while (index != 0 && load_acquire(&s->stop) == 0) {
		void *page = quire_alloc_pages(s->q, index % 4, 0);

		if (page != NULL)
			quire_free_pages(s->q, page, index % 4);
	}
}

/* R13: high and batch are read under the lock only, so nobody frees by the old values. */
static void off_holds_against_threads_that_run(void **state)
{
	struct switching s = { .q = *state };

	team_run(2, switch_or_work, &s);
	assert_u64_eq(s.broken, 0);
	assert_u64_eq(stat_of(s.q).allocated_pages, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(draining_all_leaves_nothing_cached),
		PAGE_TEST(cpus_whose_threads_are_gone_are_drained),
		PAGE_TEST(draining_one_cpu_leaves_the_others_alone),
		PAGE_TEST(there_is_no_cpu_beyond_the_last),
		PAGE_TEST(a_cpu_never_used_is_passed_over),
		PAGE_TEST(a_drain_holds_a_lock_for_a_bounded_number_of_pages),
		PAGE_TEST(a_drain_leaves_stacks_open),
		PAGE_TEST(off_means_high_0_and_batch_1_everywhere),
		PAGE_TEST(switching_off_drains),
		PAGE_TEST(while_off_every_free_goes_to_the_buddy),
		PAGE_TEST(holders_nest),
		PAGE_TEST(draining_while_off_keeps_stacks_closed),
		PAGE_TEST(off_holds_against_threads_that_run),
	};

	return PAGE_TESTS_RUN("page_drain", tests);
}
