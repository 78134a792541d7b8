/* SPDX-License-Identifier: MIT */
/* One CPU's lists: what they keep, how they are refilled, spilled and tuned.  They are worked on by
 * the CPU's number, so that stacks are not in the way. */
#include "unit/page/page_case.h"

#include <pthread.h>

#define HELD_MAX 4096

static void *held[HELD_MAX];

/* The last CPU's lists in the first zone, made ready, and four blocks online to refill them from. */
static struct pcp *last_pcp(struct quire *q)
{
	struct pages *p = pages_of(q);
	unsigned slot = p->stacks.cpu.all_slots_nr - 1;
	lock_token token;
	struct pcp *pcp = pcp_lock_slot(p, 0, slot, &token);
	void *blocks[4] = { NULL };

	lock_release(&pcp->door.lock, token);
	quire_pcp_disable(q);
	assert_u64_eq(take_all(q, p->pageblock_order, QUIRE_NODE(0), blocks, 4), 4);
	give_all(q, p->pageblock_order, blocks, 4);
	quire_pcp_enable(q);
	return pcp;
}

static void *take_on(struct quire *q, const struct pcp *pcp, unsigned order, unsigned flags)
{
	void *addr = page_alloc_on(pages_of(q), pcp->door.slot, order, flags | QUIRE_NODE(0));

	assert_non_null(addr);
	return addr;
}

static void lists_keep_orders_0_to_3_and_a_block(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	const struct pcp *pcp = last_pcp(q);

	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++) {
		bool kept = order <= 3 || order == p->pageblock_order;
		void *addr = take_on(q, pcp, order, 0);
		uint32_t count;

		quire_drain_all(q);
		assert_u64_eq(pcp->count, 0);
		page_free_on(p, pcp->door.slot, addr, order);
		count = kept ? 1u << order : 0;
		/* A block may be more than high and then goes on at once. */
		assert_true(pcp->count == count ||
			    (order == p->pageblock_order && pcp->count == 0));
	}
}

static void the_least_refill_is_a_batch_and_one_in_pages(void **state)
{
	(void)state;
	assert_u64_eq(pcp_refill_least(63, 0), 64);
	assert_u64_eq(pcp_refill_least(63, 3), 8);
	assert_u64_eq(pcp_refill_least(63, 9), 2);
	assert_u64_eq(pcp_refill_least(1, 0), 2);
}

static void a_refill_takes_a_batch_and_one(void **state)
{
	struct quire *q = *state;
	struct pcp *pcp = last_pcp(q);
	uint32_t runs = pcp_refill_least(pcp->batch, 0);

	take_on(q, pcp, 0, 0);
	assert_u64_eq(pcp->count, runs - 1);
	assert_u64_eq(pcp->refills, 1);
	take_on(q, pcp, 0, 0);
	assert_u64_eq(pcp->count, runs - 2);
	assert_u64_eq(pcp->refills, 1);
}

static void a_refill_of_a_higher_order_takes_at_least_two_runs(void **state)
{
	struct quire *q = *state;
	struct pcp *pcp = last_pcp(q);

	for (unsigned order = 1; order <= 3; order++) {
		uint32_t runs = pcp_refill_least(pcp->batch, order);
		uint32_t before = pcp->count;

		pcp->alloc_factor = 0; /* as if something had been freed */
		take_on(q, pcp, order, 0);
		assert_u64_eq(pcp->count - before, (runs - 1) << order);
	}
}

static void refills_in_a_row_double_to_a_bound(void **state)
{
	struct quire *q = *state;
	struct pcp *pcp = last_pcp(q);
	uint32_t least = pcp_refill_least(pcp->batch, 0);
	uint32_t largest = 0;

	for (unsigned i = 0; i < 8; i++) {
		while (pcp->count != 0)
			take_on(q, pcp, 0, 0);
		take_on(q, pcp, 0, 0);
		if (pcp->count + 1 > largest)
			largest = pcp->count + 1;
	}
	assert_true(largest > least);
	assert_true(largest <= least << BATCH_SCALE_MAX);
	assert_true(largest <= MOVE_MAX);
	assert_u64_eq(pcp->alloc_factor, BATCH_SCALE_MAX);
}

static void a_free_halves_the_next_refill(void **state)
{
	struct quire *q = *state;
	struct pcp *pcp = last_pcp(q);

	pcp->alloc_factor = 4;
	page_free_on(pages_of(q), pcp->door.slot, take_on(q, pcp, 0, 0), 0);
	assert_u64_eq(pcp->alloc_factor, 2);
}

static void a_refill_does_not_exceed_high(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);

	for (unsigned i = 0; i < 2000; i++) {
		take_on(q, pcp, 0, 0);
		assert_true(pcp->count <= pcp->high);
	}
	quire_drain_all(q);
	for (unsigned i = 0; i < 20; i++) {
		take_on(q, pcp, p->pageblock_order, 0);
		/* Two runs are always taken. */
		assert_true(pcp->count <= pcp->high || pcp->count <= block_pages(p));
	}
}

static void rising_addresses_are_given_out(void **state)
{
	struct quire *q = *state;
	struct pcp *pcp = last_pcp(q);
	char *before = take_on(q, pcp, 0, 0);

	while (pcp->count != 0) {
		char *addr = take_on(q, pcp, 0, 0);

		assert_ptr_equal(addr, page_after(q, before, 1));
		before = addr;
	}
}

/* B7: after every free the lists are below high, or went to the buddy in part. */
static void frees_beyond_high_spill(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, HELD_MAX);

	for (size_t i = 0; i < n; i++) {
		uint64_t spills = pcp->spills;

		page_free_on(p, pcp->door.slot, held[i], 0);
		assert_true(pcp->count < pcp->high || pcp->spills != spills);
		assert_true(pcp->count <= p->zone[0].pcp_high_max);
	}
	assert_true(pcp->spills != 0);
}

/* free_count reaches batch << 5 at most, and high follows it. */
static void high_rises_under_a_burst_of_frees(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);
	uint32_t before = pcp->high;
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, HELD_MAX);

	for (size_t i = 0; i < n; i++)
		page_free_on(p, pcp->door.slot, held[i], 0);
	assert_true(pcp->high > before || before == p->zone[0].pcp_high_max ||
		    before >= pcp->batch * 33u);
	assert_true(pcp->high <= p->zone[0].pcp_high_max);
	assert_true(pcp->free_count <= pcp->batch << BATCH_SCALE_MAX);
}

static void high_decays_by_an_eighth_to_its_minimum(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);
	uint32_t least = p->zone[0].pcp_high_min, once;
	lock_token token = lock_acquire(&pcp->door.lock);

	pcp->high = least * 8;
	pcp_decay_locked(p, pcp);
	once = pcp->high;
	for (unsigned i = 0; i < 100; i++)
		pcp_decay_locked(p, pcp);
	lock_release(&pcp->door.lock, token);
	assert_u64_eq(once, least * 7);
	assert_u64_eq(pcp->high, least);
}

static void decay_spills_what_is_over_high(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, 2 * p->zone[0].pcp_high_min);
	lock_token token;

	pcp->high = p->zone[0].pcp_high_min * 3;
	for (size_t i = 0; i < n; i++)
		page_free_on(p, pcp->door.slot, held[i], 0);
	assert_u64_eq(pcp->count, n);
	token = lock_acquire(&pcp->door.lock);
	for (unsigned i = 0; i < 100; i++)
		pcp_decay_locked(p, pcp);
	lock_release(&pcp->door.lock, token);
	assert_true(pcp->count <= p->zone[0].pcp_high_min);
}

static void high_falls_while_the_zone_is_low(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, p->zone[0].pcp_high_min * 2);

	quire_drain_all(q);
	pcp->high = p->zone[0].pcp_high_min * 2;
	for (size_t i = 0; i < n; i++) {
		p->zone[0].below_high = true; /* the buddy clears it again when it looks */
		page_free_on(p, pcp->door.slot, held[i], 0);
	}
	assert_true(pcp->high < p->zone[0].pcp_high_min * 2);
	assert_true(pcp->high >= p->zone[0].pcp_high_min);
}

/* B8, B12: more is asked for than there is; and a hold moves a bounded number. */
static void a_spill_ends_and_is_bounded(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);
	uint32_t bound = p->zone[0].pcp_batch << BATCH_SCALE_MAX;
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, HELD_MAX), moved = 0;
	lock_token token = lock_acquire(&pcp->door.lock);

	assert_u64_eq(pcp_spill_locked(p, pcp, UINT32_MAX), 0);
	for (size_t i = 0; i < n; i++) {
		uint32_t frame = page_frame(p, held[i]);

		page_set_state(p, frame, STATE_CACHED);
		pcp_list_put_locked(p, pcp, frame, 0, TYPE_UNMOVABLE);
	}
	while (pcp->count != 0) {
		unsigned some = pcp_spill_locked(p, pcp, UINT32_MAX);

		assert_true(some != 0 && some <= bound);
		moved += some;
	}
	lock_release(&pcp->door.lock, token);
	assert_u64_eq(moved, n);
}

static void a_spill_ends_when_only_a_block_is_left(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);
	uint32_t frame = page_frame(p, take_on(q, pcp, p->pageblock_order, 0));
	lock_token token;

	quire_drain_all(q);
	token = lock_acquire(&pcp->door.lock);
	page_set_state(p, frame, STATE_CACHED | p->pageblock_order);
	pcp_list_put_locked(p, pcp, frame, p->pageblock_order, TYPE_UNMOVABLE);
	assert_u64_eq(pcp_spill_locked(p, pcp, 1), block_pages(p));
	assert_u64_eq(pcp->count, 0);
	lock_release(&pcp->door.lock, token);
}

/* B9: the list says MOVABLE, the block by now RECLAIMABLE. */
static void a_page_whose_block_changed_type_leaves_to_the_new_row(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct pcp *pcp = last_pcp(q);
	void *keep = take_on(q, pcp, 0, QUIRE_MOVABLE);
	void *addr = take_on(q, pcp, 0, QUIRE_MOVABLE);
	struct zone *zone = &p->zone[0];
	lock_token token;

	quire_drain_all(q);
	page_free_on(p, pcp->door.slot, addr, 0);
	assert_int_equal(block_at(q, keep), block_at(q, addr));
	zone_lock_for(zone, 0, &token);
	block_set_tag_locked(p, zone, block_at(q, addr),
			     (uint8_t)((tag_at(q, addr) & ~TAG_TYPE) | TYPE_RECLAIMABLE));
	zone_unlock(zone, token);
	assert_u64_eq(quire_drain_slot(q, pcp->door.slot), 1);
	assert_u64_eq(row_pages(q, ROW_TYPE + TYPE_RECLAIMABLE), block_pages(p) - 1);
}

/* ---- a lock that is refused ----------------------------------------------------------------- */

struct refusal {
	struct quire *q;
	pthread_barrier_t held, done;
	void *addr, *again;
	struct quire_page_stat before, between, after, last;
};

static void hold_all(struct refusal *r)
{
	struct quire *q = r->q;
	struct pages *p = pages_of(q);
	lock_token token;

	for (size_t i = 0; i < (size_t)p->zones_nr * p->stacks.cpu.all_slots_nr; i++)
		while (!lock_try(&p->pcp[i].door.lock, &token))
			;
	pthread_barrier_wait(&r->held);
	pthread_barrier_wait(&r->done);
	for (size_t i = 0; i < (size_t)p->zones_nr * p->stacks.cpu.all_slots_nr; i++)
		lock_release(&p->pcp[i].door.lock, token);
}

static void one_holds_the_other_is_refused(unsigned index, void *arg)
{
	struct refusal *r = arg;

	if (index == 0) {
		hold_all(r);
		return;
	}
	pthread_barrier_wait(&r->held);
	r->before = stat_of(r->q);
	r->addr = quire_alloc_pages(r->q, 0, QUIRE_NOWAIT);
	r->between = stat_of(r->q);
	quire_free_pages(r->q, r->addr, 0);
	r->after = stat_of(r->q);
	r->again = quire_alloc_pages(r->q, 0, QUIRE_NOWAIT);
	r->last = stat_of(r->q);
	quire_free_pages(r->q, r->again, 0);
	pthread_barrier_wait(&r->done);
}

/* B10: nobody spins for another's lists; the caller sees no difference.  No block is free as a whole, but pages
 * are, so the zone has no need to grow. */
static void a_refused_lock_sends_both_ways_past_it(void **state)
{
	struct refusal r = { .q = *state };
	unsigned order = pages_of(r.q)->pageblock_order;

	assert_non_null(quire_alloc_pages(r.q, 0, 0));
	for (uint64_t i = stat_of(r.q).online_pages >> order; i > 1; i--)
		assert_non_null(quire_alloc_pages(r.q, order, 0));
	quire_drain_all(r.q);
	drain_idle(pages_of(r.q));
	drain_idle(pages_of(r.q)); /* cold stacks */
	pthread_barrier_init(&r.held, NULL, 2);
	pthread_barrier_init(&r.done, NULL, 2);
	team_run(2, one_holds_the_other_is_refused, &r);
	assert_non_null(r.addr);
	assert_u64_eq(r.between.buddy_allocs, r.before.buddy_allocs + 1);
	assert_u64_eq(r.between.online_pages, r.before.online_pages);
	assert_u64_eq(r.after.deferred_frees, 0);
	if (pages_of(r.q)->stacks.cpu.slots_nr != 0) {
		assert_u64_eq(r.after.buddy_frees, r.before.buddy_frees);
		assert_u64_eq(r.after.cached_pages, 1); /* in the depot */
		assert_ptr_equal(r.again, r.addr);
		assert_u64_eq(r.last.buddy_allocs, r.after.buddy_allocs);
	} else {
		assert_u64_eq(r.after.buddy_frees, r.before.buddy_frees + 1);
		assert_u64_eq(r.after.cached_pages, 0);
	}
	pthread_barrier_destroy(&r.held);
	pthread_barrier_destroy(&r.done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(lists_keep_orders_0_to_3_and_a_block),
		PAGE_TEST(the_least_refill_is_a_batch_and_one_in_pages),
		PAGE_TEST(a_refill_takes_a_batch_and_one),
		PAGE_TEST(a_refill_of_a_higher_order_takes_at_least_two_runs),
		PAGE_TEST(refills_in_a_row_double_to_a_bound),
		PAGE_TEST(a_free_halves_the_next_refill),
		PAGE_TEST(a_refill_does_not_exceed_high),
		PAGE_TEST(rising_addresses_are_given_out),
		PAGE_TEST(frees_beyond_high_spill),
		PAGE_TEST(high_rises_under_a_burst_of_frees),
		PAGE_TEST(high_decays_by_an_eighth_to_its_minimum),
		PAGE_TEST(decay_spills_what_is_over_high),
		PAGE_TEST(high_falls_while_the_zone_is_low),
		PAGE_TEST(a_spill_ends_and_is_bounded),
		PAGE_TEST(a_spill_ends_when_only_a_block_is_left),
		PAGE_TEST(a_page_whose_block_changed_type_leaves_to_the_new_row),
		PAGE_TEST(a_refused_lock_sends_both_ways_past_it),
	};

	return PAGE_TESTS_RUN("page_pcp", tests);
}
