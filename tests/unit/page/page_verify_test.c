/* SPDX-License-Identifier: MIT */
/*
 * The checker is checked: each rule is broken on purpose, and quire_verify() must name it.
 *
 * A test edits one thing, asks, and puts it back, so that what is checked after the test is whether
 * the edit was all that was wrong.
 */
#include "unit/page/page_case.h"

#define RULE(n) (100 + (n))

/* What the tests edit: a partial block, a list with pages, and a whole run. */
struct scene {
	struct quire *q;
	struct zone *zone;
	struct pcp *pcp;
	char *block;   /* unmovable: page 0, 8 and 9 in use, the rest free in runs */
	char *cached;  /* one page on pcp's list of order 0 */
	char *whole;   /* first byte of a free run of a block or more */
	uint32_t free; /* frame of the free run of one page after page 0 */
};

static struct scene make_scene(struct quire *q)
{
	struct pages *p = pages_of(q);
	struct scene s = { .q = q, .zone = &p->zone[0] };
	lock_token token;

	quire_pcp_disable(q);
	s.block = take_block_as_pages(q, QUIRE_NODE(0));
	s.whole = quire_alloc_pages(q, QUIRE_ORDER_MAX, QUIRE_NODE(0));
	for (uint32_t i = 1; i < block_pages(p); i++)
		if (i != 8 && i != 9)
			quire_free_pages(q, page_after(q, s.block, i), 0);
	quire_free_pages(q, s.whole, QUIRE_ORDER_MAX);
	quire_pcp_enable(q);
	s.pcp = pcp_lock_slot(p, 0, p->stacks.cpu.all_slots_nr - 1, &token);
	lock_release(&s.pcp->door.lock, token);
	s.cached = page_after(q, s.block, 9);
	page_free_on(p, s.pcp->door.slot, s.cached, 0);
	s.free = page_frame(p, s.block) + 1;
	assert_int_equal(quire_verify(q), 0);
	return s;
}

static uint32_t scene_block(const struct scene *s)
{
	return block_at(s->q, s->block);
}

/* The list of the free run of one page. */
static uint32_t *whole_head(const struct scene *s)
{
	for (unsigned o = 0; o < whole_orders(pages_of(s->q)); o++)
		for (unsigned row = 0; row < ROWS_NR; row++)
			if (s->zone->whole[o][row].nr != 0)
				return &s->zone->whole[o][row].head;
	fail_msg("no whole run");
	return NULL;
}

/* With @field holding @value, the rule @n is broken; with its own value none is. */
#define EXPECT_RULE(s, field, value, n)                                                            \
	do {                                                                                       \
		__typeof__(field) kept_ = (field);                                                 \
		(field) = (__typeof__(field))(value);                                              \
		assert_int_equal(quire_verify((s).q), RULE(n));                                    \
		(field) = kept_;                                                                   \
		assert_int_equal(quire_verify((s).q), 0);                                          \
	} while (0)

static void b1_a_zone_with_more_pages_than_it_holds(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.zone->online_pages, s.zone->online_pages + 1, 1);
	EXPECT_RULE(s, s.zone->online_pages, s.zone->online_pages - 1, 1);
}

static void b1_a_cached_page_that_no_list_holds(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, pages_of(s.q)->state[page_frame(pages_of(s.q), s.block)], STATE_CACHED, 1);
}

static void b1_a_deferred_page_that_is_not_on_the_list(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, pages_of(s.q)->state[page_frame(pages_of(s.q), s.block)], STATE_DEFERRED, 1);
}

/* In two places at once: also on the list, while a depot has it. */
static void b1_a_page_in_two_caches(void **state)
{
	struct scene s = make_scene(*state);
	uint32_t frame = page_frame(pages_of(s.q), s.cached);

	assert_u64_eq(depot_put(s.zone, 0, 0, &frame, 1), 1);
	assert_int_equal(quire_verify(s.q), RULE(1));
	assert_u64_eq(depot_take(s.zone, 0, 0, &frame, 1), 1);
}

static void b2_a_count_that_is_not_the_lists_sum(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.pcp->count, s.pcp->count + 1, 2);
	EXPECT_RULE(s, s.pcp->count, s.pcp->count - 1, 2);
}

static void b2_a_list_that_runs_in_a_circle(void **state)
{
	struct scene s = make_scene(*state);
	uint32_t frame = page_frame(pages_of(s.q), s.cached);

	EXPECT_RULE(s, page_of(pages_of(s.q), frame)->next, frame, 2);
}

/* Two buddies, listed and counted as they should be, but not merged. */
static void b3_two_free_buddies_inside_a_block(void **state)
{
	struct scene s = make_scene(*state);
	uint32_t frame = s.free + 1; /* pages 2 and 3 */
	lock_token token;

	zone_lock_for(s.zone, 0, &token);
	block_free_take_locked(pages_of(s.q), s.zone, frame, 1);
	block_free_add_locked(pages_of(s.q), s.zone, frame, 0, 0);
	block_free_add_locked(pages_of(s.q), s.zone, frame + 1, 0, 0);
	block_rebin_locked(pages_of(s.q), s.zone, scene_block(&s));
	zone_unlock(s.zone, token);
	assert_int_equal(quire_verify(s.q), RULE(3));
	zone_lock_for(s.zone, 0, &token);
	block_free_take_locked(pages_of(s.q), s.zone, frame, 0);
	buddy_free_locked(pages_of(s.q), s.zone, frame, 0, 0);
	zone_unlock(s.zone, token);
}

/* Isolated blocks do not merge; without their bit they should have. */
static void b3_two_whole_blocks_that_should_have_merged(void **state)
{
	struct scene s = make_scene(*state);
	uint32_t a = block_at(s.q, s.whole), b = a + 1;

	assert_int_equal(quire_isolate_pageblock(s.q, block_addr(s.q, a)), 0);
	assert_int_equal(quire_isolate_pageblock(s.q, block_addr(s.q, b)), 0);
	pages_of(s.q)->tag[a] &= (uint8_t)~TAG_ISOLATE;
	pages_of(s.q)->tag[b] &= (uint8_t)~TAG_ISOLATE;
	assert_int_equal(quire_verify(s.q), RULE(3));
	pages_of(s.q)->tag[a] |= TAG_ISOLATE;
	pages_of(s.q)->tag[b] |= TAG_ISOLATE;
}

static void b4_counters_that_the_lists_do_not_show(void **state)
{
	struct scene s = make_scene(*state);
	uint32_t *nr_free = &s.zone->nr_free[0][ROW_TYPE];

	EXPECT_RULE(s, *nr_free, *nr_free + 1, 4);
	EXPECT_RULE(s, s.zone->nr_free[3][ROW_ISOLATE], 1, 4);
	EXPECT_RULE(s, s.zone->free_pages, s.zone->free_pages - 1, 4);
	EXPECT_RULE(s, s.zone->zero_pages, s.zone->zero_pages + 1, 4);
	EXPECT_RULE(s, s.zone->isolated_pages, 1, 4);
	EXPECT_RULE(s, s.zone->highatomic_blocks, 1, 4);
}

static void b4_a_blocks_own_counts(void **state)
{
	struct scene s = make_scene(*state);
	struct pageblock *b = &pages_of(s.q)->block[scene_block(&s)];

	EXPECT_RULE(s, b->free_pages, b->free_pages + 1, 4);
	EXPECT_RULE(s, b->orders, b->orders & ~1, 4);
}

static void b4_a_list_of_whole_runs_with_a_wrong_number(void **state)
{
	struct scene s = make_scene(*state);
	struct block_list *list = (struct block_list *)(void *)whole_head(&s);

	EXPECT_RULE(s, list->nr, list->nr + 1, 4);
	EXPECT_RULE(s, s.zone->offline.nr, 1, 4);
}

static void b5_states_that_belong_to_no_place(void **state)
{
	struct scene s = make_scene(*state);
	uint8_t *state_byte = pages_of(s.q)->state;
	uint32_t cached = page_frame(pages_of(s.q), s.cached);

	/* A head inside another run, an unknown kind, a head out of line, a run under way. */
	EXPECT_RULE(s, state_byte[s.free + 2], STATE_ALLOCATED, 5);
	EXPECT_RULE(s, state_byte[s.free], 0xe0, 5);
	EXPECT_RULE(s, state_byte[s.free], STATE_BUDDY | 1, 5);
	EXPECT_RULE(s, state_byte[s.free], STATE_REPORTING, 5);
	/* On a list, but allocated or free. */
	EXPECT_RULE(s, state_byte[cached], STATE_ALLOCATED, 5);
	EXPECT_RULE(s, state_byte[s.free], STATE_ALLOCATED, 5);
}

static void b5_a_whole_block_that_is_listed_as_partial(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, pages_of(s.q)->block[scene_block(&s)].whole, true, 5);
	EXPECT_RULE(s, pages_of(s.q)->block[block_at(s.q, s.whole)].whole, false, 5);
}

static void b6_a_tag_that_changed_behind_the_lists(void **state)
{
	struct scene s = make_scene(*state);
	uint8_t *tag = &pages_of(s.q)->tag[scene_block(&s)];

	EXPECT_RULE(s, *tag, *tag ^ TYPE_RECLAIMABLE, 6);
	EXPECT_RULE(s, *tag, *tag | TAG_EMPTYING, 6);
}

static void b6_a_block_in_the_wrong_bin(void **state)
{
	struct scene s = make_scene(*state);
	struct pageblock *b = &pages_of(s.q)->block[scene_block(&s)];

	EXPECT_RULE(s, b->bin, BIN_NONE, 6);
	EXPECT_RULE(s, s.zone->row_free[ROW_TYPE], s.zone->row_free[ROW_TYPE] + 1, 6);
	EXPECT_RULE(s, s.zone->bin_orders[ROW_HIGHATOMIC][0], 1, 6);
}

static void b7_pages_on_lists_that_are_off(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.pcp->high, 0, 7);
}

static void b8_a_foreign_frame_on_a_list(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.pcp->lists[0], pages_of(s.q)->blocks_nr << pages_of(s.q)->pageblock_order,
		    8);
	EXPECT_RULE(s, s.pcp->lists[0], FRAME_NONE - 1, 8);
	EXPECT_RULE(s, page_of(pages_of(s.q), s.free)->next, 0xfffffff0u, 8);
}

static void b8_a_list_of_runs_that_runs_in_a_circle(void **state)
{
	struct scene s = make_scene(*state);
	uint32_t head = block_frame(pages_of(s.q), scene_block(&s)) +
			pages_of(s.q)->block[scene_block(&s)].free[0];

	EXPECT_RULE(s, page_of(pages_of(s.q), head)->next, head, 8);
	EXPECT_RULE(s, page_of(pages_of(s.q), head)->prev, s.free + 1, 8);
}

static void b8_a_list_of_blocks_that_runs_in_a_circle(void **state)
{
	struct scene s = make_scene(*state);
	uint32_t head = *whole_head(&s);

	EXPECT_RULE(s, pages_of(s.q)->block[head].next, head, 8);
	EXPECT_RULE(s, pages_of(s.q)->block[head].prev, head, 8);
	EXPECT_RULE(s, pages_of(s.q)->block[head].next, pages_of(s.q)->blocks_nr, 8);
	EXPECT_RULE(s, pages_of(s.q)->block[scene_block(&s)].next, scene_block(&s), 8);
}

static void b9_an_isolated_block_with_a_cached_page(void **state)
{
	struct scene s = make_scene(*state);
	struct zone *zone = s.zone;
	uint8_t tag = tag_at(s.q, s.cached);
	lock_token token;

	zone_lock_for(zone, 0, &token);
	block_set_tag_locked(pages_of(s.q), zone, scene_block(&s), tag | TAG_ISOLATE);
	zone_unlock(zone, token);
	assert_int_equal(quire_verify(s.q), RULE(9));
	zone_lock_for(zone, 0, &token);
	block_set_tag_locked(pages_of(s.q), zone, scene_block(&s), tag);
	zone_unlock(zone, token);
}

static void b9_an_isolated_block_with_a_page_in_a_depot(void **state)
{
	struct scene s = make_scene(*state);
	uint32_t frame = page_frame(pages_of(s.q), s.block);
	uint8_t tag = tag_at(s.q, s.block);
	lock_token token;

	quire_drain_all(s.q);
	page_set_state(pages_of(s.q), frame, STATE_CACHED);
	assert_u64_eq(depot_put(s.zone, 0, 0, &frame, 1), 1);
	assert_int_equal(quire_verify(s.q), 0);
	zone_lock_for(s.zone, 0, &token);
	block_set_tag_locked(pages_of(s.q), s.zone, scene_block(&s), tag | TAG_ISOLATE);
	zone_unlock(s.zone, token);
	assert_int_equal(quire_verify(s.q), RULE(9));
	assert_u64_eq(depot_drain(pages_of(s.q), s.zone), 1);
	assert_int_equal(quire_verify(s.q), 0);
}

static void b11_a_byte_in_a_page_that_is_known_to_be_zero(void **state)
{
	struct scene s = make_scene(*state);
	char *clean = NULL;

	for (uint32_t block = 0; block < s.zone->blocks_touched && clean == NULL; block++)
		if (page_state(pages_of(s.q), block_frame(pages_of(s.q), block)) & STATE_ZERO)
			clean = block_addr(s.q, block);
	if (clean == NULL) {
		quire_release(s.q);
		clean = page_addr(pages_of(s.q), s.free);
	}
	EXPECT_RULE(s, clean[5], 'x', 11);
}

static void what_is_wrong_in_the_last_zone_is_seen(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	struct zone *zone = &p->zone[p->zones_nr - 1];
	struct scene s = { .q = q };

	assert_non_null(quire_alloc_pages(q, 0, QUIRE_NODE(zone->index)));
	EXPECT_RULE(s, zone->online_pages, zone->online_pages + 1, 1);
	EXPECT_RULE(s, zone->free_pages, zone->free_pages + 1, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(b1_a_zone_with_more_pages_than_it_holds),
		PAGE_TEST(b1_a_cached_page_that_no_list_holds),
		PAGE_TEST(b1_a_deferred_page_that_is_not_on_the_list),
		PAGE_TEST(b1_a_page_in_two_caches),
		PAGE_TEST(b2_a_count_that_is_not_the_lists_sum),
		PAGE_TEST(b2_a_list_that_runs_in_a_circle),
		PAGE_TEST(b3_two_free_buddies_inside_a_block),
		PAGE_TEST(b3_two_whole_blocks_that_should_have_merged),
		PAGE_TEST(b4_counters_that_the_lists_do_not_show),
		PAGE_TEST(b4_a_blocks_own_counts),
		PAGE_TEST(b4_a_list_of_whole_runs_with_a_wrong_number),
		PAGE_TEST(b5_states_that_belong_to_no_place),
		PAGE_TEST(b5_a_whole_block_that_is_listed_as_partial),
		PAGE_TEST(b6_a_tag_that_changed_behind_the_lists),
		PAGE_TEST(b6_a_block_in_the_wrong_bin),
		PAGE_TEST(b7_pages_on_lists_that_are_off),
		PAGE_TEST(b8_a_foreign_frame_on_a_list),
		PAGE_TEST(b8_a_list_of_runs_that_runs_in_a_circle),
		PAGE_TEST(b8_a_list_of_blocks_that_runs_in_a_circle),
		PAGE_TEST(b9_an_isolated_block_with_a_cached_page),
		PAGE_TEST(b9_an_isolated_block_with_a_page_in_a_depot),
		PAGE_TEST(b11_a_byte_in_a_page_that_is_known_to_be_zero),
		PAGE_TEST(what_is_wrong_in_the_last_zone_is_seen),
	};

	return PAGE_TESTS_RUN("page_verify", tests);
}
