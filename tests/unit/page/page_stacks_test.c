/* SPDX-License-Identifier: MIT */
/* The per-CPU stacks in front of the lists.  Without sequences every one of them refuses, which is
 * then what the tests look for. */
#include "unit/page/page_case.h"

#define HELD_MAX 16384

static void *held[HELD_MAX];

static bool has_stacks(const struct quire *q)
{
	return pages_of_const(q)->stacks.cpu.slots_nr != 0;
}

static struct stack_header *own_header(struct quire *q, unsigned order)
{
	return stack_header(&pages_of(q)->stacks.cpu, own_pcp(q)->door.slot,
			    STACK_CLASS(order, TYPE_UNMOVABLE));
}

/* Entries that the current CPU's stack of single unmovable pages would keep. */
static uint32_t kept(struct quire *q)
{
	const struct stack_header *header = own_header(q, 0);

	/* A closed one has them the other way round. */
	return has_stacks(q) && header->high > header->low ? header->high - header->low : 0;
}

static void *take(struct quire *q, unsigned order)
{
	void *addr = quire_alloc_pages(q, order, 0);

	assert_non_null(addr);
	return addr;
}

static void stacks_keep_orders_0_to_4_and_a_block(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++)
		assert_int_equal(pcp_stacks_keep_order(p, order),
				 order <= 4 || order == p->pageblock_order);
}

static void room_of_all_zones_fits_into_a_region(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	const struct stacks *s = &p->stacks;
	size_t words = STACK_HEADERS_NR * sizeof(struct stack_header) / sizeof(uint32_t);

	assert_u64_eq(s->classes_nr, (size_t)STACK_ORDERS_NR * TYPES_NR * p->zones_nr);
	for (unsigned i = 0; i < s->classes_nr; i++) {
		assert_u64_eq(s->class[i].low, words);
		words += s->class[i].room;
	}
	assert_true(words * sizeof(uint32_t) <= STACKS_STRIDE);
}

static void a_stack_begins_cold(void **state)
{
	struct quire *q = *state;

	assert_u64_eq(kept(q), 0);
	assert_u64_eq(stack_pop(&pages_of(q)->stacks.cpu, STACK_CLASS(0, 0)), STACK_NONE);
	take(q, 0);
	assert_true((kept(q) != 0) == has_stacks(q));
}

static void the_last_page_freed_is_the_next_one_given_out(void **state)
{
	struct quire *q = *state;
	void *a = take(q, 0), *b = take(q, 0);

	quire_drain_all(q); /* so that two are below high */
	quire_free_pages(q, a, 0);
	quire_free_pages(q, b, 0);
	assert_ptr_equal(take(q, 0), b);
	assert_ptr_equal(take(q, 0), a);
}

static void pairs_take_no_lock_once_warm(void **state)
{
	struct quire *q = *state;
	struct quire_page_stat before = QUIRE_PAGE_STAT_INIT, after = before;

	quire_free_pages(q, take(q, 0), 0);
	quire_free_pages(q, take(q, 0), 0);
	before = stat_of(q);
	for (unsigned i = 0; i < 1000; i++)
		quire_free_pages(q, take(q, 0), 0);
	after = stat_of(q);
	assert_u64_eq(after.list_allocs - before.list_allocs, has_stacks(q) ? 0 : 1000);
	assert_u64_eq(after.list_frees - before.list_frees, has_stacks(q) ? 0 : 1000);
}

static void a_stack_grows_by_doubling_to_a_bound(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint32_t before = 0, steps = 0, last_step = 0;

	for (unsigned i = 0; i < 40; i++) {
		size_t n = take_all(q, 0, 0, held, 1000);

		give_all(q, 0, held, n);
		assert_true(kept(q) >= before);
		if (kept(q) != before) {
			steps++;
			last_step = i;
		}
		before = kept(q);
	}
	assert_true(before <= p->zone[0].pcp_high_max / 8 && before <= p->stacks.class[0].room);
	assert_true((before != 0) == has_stacks(q));
	assert_true(steps <= 12 && last_step < 39);
}

static void a_stack_never_holds_more_than_it_keeps(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	size_t n = take_all(q, 0, 0, held, HELD_MAX);

	for (size_t i = 0; i < n; i++) {
		quire_free_pages(q, held[i], 0);
		if (has_stacks(q))
			assert_true(own_header(q, 0)->top <= own_header(q, 0)->high);
	}
	assert_true(pcp_stacks_pages(p, own_pcp(q)) <= p->zone[0].pcp_high_max);
}

static void a_closed_stack_refuses(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint32_t frame = page_frame(p, take(q, 0));
	struct pcp *pcp;
	uint32_t popped;
	bool pushed;

	pcp = page_pcp_hold(p, own_pcp(q)->door.slot);
	popped = stack_pop(&p->stacks.cpu, STACK_CLASS(0, 0));
	pushed = stack_push(&p->stacks.cpu, STACK_CLASS(0, 0), frame, &p->tag[page_block(p, frame)],
			    p->tag[page_block(p, frame)]);
	page_pcp_unhold(p, pcp);
	assert_u64_eq(popped, STACK_NONE);
	assert_false(pushed);
}

static void a_stack_opens_again_with_what_it_kept(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	void *addr = take(q, 0);
	struct pcp *pcp;
	uint32_t before;

	quire_drain_all(q); /* so that one is below high */
	quire_free_pages(q, addr, 0);
	before = kept(q);
	pcp = page_pcp_hold(p, own_pcp(q)->door.slot);
	page_pcp_unhold(p, pcp);
	assert_u64_eq(kept(q), before);
	assert_ptr_equal(take(q, 0), addr);
}

/* The sequence reads the tag again: a block that has just been isolated gets no page pushed. */
static void a_push_whose_guard_changed_is_refused(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint32_t frame;
	uint8_t tag;

	quire_free_pages(q, take(q, 0), 0);
	frame = page_frame(p, take(q, 0));
	tag = p->tag[page_block(p, frame)];
	assert_false(stack_push(&p->stacks.cpu, STACK_CLASS(0, tag), frame,
				&p->tag[page_block(p, frame)], (uint8_t)(tag ^ 1)));
}

static void an_idle_stack_becomes_cold_and_empty(void **state)
{
	struct quire *q = *state;

	quire_free_pages(q, take(q, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		drain_idle(pages_of(q));
	assert_u64_eq(kept(q), 0);
	assert_u64_eq(stat_of(q).cached_pages, 0);
}

/* Or the worker would not hear of what is freed onto it. */
static void an_idle_stack_becomes_cold_though_it_is_empty(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	void *addr = take(q, 0);

	while (pcp_stacks_pages(p, own_pcp(q)) != 0)
		take(q, 0);
	for (unsigned i = 0; i < 3; i++)
		drain_idle(p);
	assert_u64_eq(kept(q), 0);
	store_relaxed(&p->giveback_due_ns, WORK_IDLE);
	quire_free_pages(q, addr, 0);
	assert_true(load_relaxed(&p->giveback_due_ns) != WORK_IDLE);
}

static void a_stack_in_use_stays_warm(void **state)
{
	struct quire *q = *state;
	void *addr = take(q, 0);

	for (unsigned i = 0; i < 6; i++) {
		if (i % 2 == 0)
			quire_free_pages(q, addr, 0);
		else
			addr = take(q, 0);
		drain_idle(pages_of(q));
		assert_true((kept(q) != 0) == has_stacks(q));
	}
}

static void an_isolated_cpu_never_has_stacks(void **state)
{
	char list[32];
	struct quire *q;

	(void)state;
	snprintf(list, sizeof(list), "0-%u", process_cpus_possible() - 1);
	q = page_make((struct quire_options){ .isolated = list });
	for (unsigned i = 0; i < 100; i++)
		quire_free_pages(q, take(q, i % 4), i % 4);
	assert_u64_eq(kept(q), 0);
	assert_u64_eq(pcp_stacks_pages(pages_of(q), own_pcp(q)), 0);
	assert_true(own_pcp(q)->count != 0);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(stacks_keep_orders_0_to_4_and_a_block),
		PAGE_TEST(room_of_all_zones_fits_into_a_region),
		PAGE_TEST(a_stack_begins_cold),
		PAGE_TEST(the_last_page_freed_is_the_next_one_given_out),
		PAGE_TEST(pairs_take_no_lock_once_warm),
		PAGE_TEST(a_stack_grows_by_doubling_to_a_bound),
		PAGE_TEST(a_stack_never_holds_more_than_it_keeps),
		PAGE_TEST(a_closed_stack_refuses),
		PAGE_TEST(a_stack_opens_again_with_what_it_kept),
		PAGE_TEST(a_push_whose_guard_changed_is_refused),
		PAGE_TEST(an_idle_stack_becomes_cold_and_empty),
		PAGE_TEST(an_idle_stack_becomes_cold_though_it_is_empty),
		PAGE_TEST(a_stack_in_use_stays_warm),
		PAGE_TEST(an_isolated_cpu_never_has_stacks),
	};

	return PAGE_TESTS_RUN("page_stacks", tests);
}
