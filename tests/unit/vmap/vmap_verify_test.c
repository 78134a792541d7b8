/* SPDX-License-Identifier: MIT */
/*
 * The checker is checked: each rule of areas is broken on purpose, and quire_verify() must name it.
 *
 * A test edits one thing, asks, and puts it back, so that what is checked after the test is whether
 * the edit was all that was wrong.
 */
#include "huge/huge.h"
#include "instance/instance.h"
#include "unit/vmap/vmap_case.h"
#include "vmap/claim.h"
#include "vmap/commit.h"
#include "vmap/layout.h"
#include "vmap/lazy.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

#define RULE(n) (200 + (n))

/* Areas in every state: busy, cached on this CPU, pooled, lazy, and free ranges between. */
struct scene {
	struct quire *q;
	struct vmap *v;
	struct range *busy, *lazy, *free;
	uint32_t lazy_index;
	void *held[8];
};

static struct range *range_of(struct vmap *v, const void *addr)
{
	size_t page = (size_t)((const char *)addr - v->base) >> v->page_shift;

	return range_at(v, v->map[page]);
}

static struct scene make_scene(struct quire *q)
{
	size_t page = quire_page_bytes(q);
	struct scene s = { .q = q };

	for (unsigned i = 0; i < 8; i++)
		s.held[i] = vtake(q, (i + 1) * page, 0);
	s.v = q->vmap;
	s.busy = range_of(s.v, s.held[1]);
	s.lazy = range_of(s.v, s.held[2]);
	s.lazy_index = (uint32_t)((size_t)((char *)s.lazy - (char *)range_at(s.v, 0)) /
				  sizeof(struct range));
	/* What a handler would do, or a CPU without room. */
	s.lazy->next = RANGE_NONE;
	lazy_publish_chain(s.v, s.lazy_index);
	quire_vfree(q, s.held[4]);
	s.free = range_at(s.v, s.v->free.root);
	assert_int_equal(quire_verify(q), 0);
	return s;
}

static void end_scene(struct scene *s)
{
	assert_int_equal(quire_verify(s->q), 0);
	for (unsigned i = 0; i < 8; i++)
		if (i != 2 && i != 4)
			quire_vfree(s->q, s->held[i]);
	quire_release(s->q);
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

static void v1_ranges_that_overlap_or_leave_a_gap(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.busy->pages, s.busy->pages + 1, 1);
	EXPECT_RULE(s, s.busy->pages, s.busy->pages - 1, 1);
	end_scene(&s);
}

static void v1_a_range_in_a_state_that_none_has(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.busy->state, RANGE_PURGED, 1);
	EXPECT_RULE(s, s.busy->state, 0, 1);
	EXPECT_RULE(s, s.busy->usable, s.busy->pages + 1, 1);
	EXPECT_RULE(s, s.free->state, RANGE_BUSY, 1);
	end_scene(&s);
}

/* In use by what its record says, and by no CPU's stack. */
static void v1_a_cached_range_that_no_cpu_holds(void **state)
{
	struct scene s = make_scene(*state);

	if (caches())
		EXPECT_RULE(s, s.busy->state, RANGE_CACHED, 1);
	end_scene(&s);
}

static void v2_a_tree_with_a_wrong_largest_or_count(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.free->largest, s.free->largest + 1, 2);
	EXPECT_RULE(s, s.v->free.nr, s.v->free.nr + 1, 2);
	EXPECT_RULE(s, s.v->free.pages, s.v->free.pages - 1, 2);
	EXPECT_RULE(s, s.free->parent, s.lazy_index, 2);
	EXPECT_RULE(s, s.free->flags, s.free->flags ^ RANGE_BLACK, 2);
	end_scene(&s);
}

static void v4_a_count_that_is_not_what_is_lazy(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.v->lazy_pages, s.v->lazy_pages + 1, 4);
	EXPECT_RULE(s, s.v->lazy_pages, s.v->lazy_pages - 1, 4);
	EXPECT_RULE(s, s.v->lazy_areas, s.v->lazy_areas + 1, 4);
	end_scene(&s);
}

static void v4_a_lazy_range_that_is_on_no_list(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.busy->state, RANGE_LAZY, 4);
	EXPECT_RULE(s, s.v->lazy, RANGE_NONE, 4);
	end_scene(&s);
}

static void v6_a_map_that_names_another_range(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.v->map[s.busy->start], s.lazy_index, 6);
	EXPECT_RULE(s, s.v->map[s.busy->start], 0, 6);
	end_scene(&s);
}

static void v8_a_section_that_is_claimed_or_not_counted(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.v->sections_ready, s.v->sections_ready + 1, 8);
	EXPECT_RULE(s, s.v->claims[0].end, 1, 8);
	EXPECT_RULE(s, s.v->claims[CLAIMS_NR].end, 1, 8);
	end_scene(&s);
}

/* Nobody would ever count the mappings that its advice makes. */
static void v8_advice_that_is_not_counted_and_not_noted(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.v->section[s.busy->start >> section_page_shift(s.v)], HUGE_UNCOUNTED, 8);
	end_scene(&s);
}

static void v9_pages_charged_that_no_range_has(void **state)
{
	struct scene s = make_scene(*state);

	EXPECT_RULE(s, s.v->charged_pages, s.v->charged_pages + 1, 9);
	EXPECT_RULE(s, s.busy->backed, s.busy->backed - 1, 9);
	end_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(v1_ranges_that_overlap_or_leave_a_gap),
		VMAP_TEST(v1_a_range_in_a_state_that_none_has),
		VMAP_TEST(v1_a_cached_range_that_no_cpu_holds),
		VMAP_TEST(v2_a_tree_with_a_wrong_largest_or_count),
		VMAP_TEST(v4_a_count_that_is_not_what_is_lazy),
		VMAP_TEST(v4_a_lazy_range_that_is_on_no_list),
		VMAP_TEST(v6_a_map_that_names_another_range),
		VMAP_TEST(v8_a_section_that_is_claimed_or_not_counted),
		VMAP_TEST(v8_advice_that_is_not_counted_and_not_noted),
		VMAP_TEST(v9_pages_charged_that_no_range_has),
	};

	return VMAP_TESTS_RUN("vmap_verify", tests);
}
