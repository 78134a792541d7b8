/* SPDX-License-Identifier: MIT */
/*
 * Bytes of areas are counted in one way everywhere: whole pages as asked for, without guards and without
 * what a class adds.  The test counts for itself.
 */
#include "unit/vmap/vmap_case.h"

#define AREAS_NR 70u

/* Sizes of which classes have more pages, and sizes that end inside a page. */
static size_t take_some(struct quire *q, void **held)
{
	size_t page = quire_page_bytes(q), sum = 0;

	for (size_t i = 0; i < AREAS_NR; i++) {
		size_t bytes = (i + 1) * page - i % 3;

		held[i] = vtake(q, bytes, 0);
		sum += page_round(q, bytes);
	}
	return sum;
}

static void what_is_in_use_freed_and_purged_counts_the_same(void **state)
{
	struct quire *q = *state;
	void *held[AREAS_NR];

	for (unsigned round = 0; round < 3; round++) {
		size_t sum = take_some(q, held);
		uint64_t purged = vstat_of(q).purged_bytes;

		assert_u64_eq(vstat_of(q).busy_bytes, sum);
		assert_u64_eq(vstat_of(q).busy_areas, AREAS_NR);
		free_areas(q, held, AREAS_NR);
		assert_u64_eq(vstat_of(q).busy_bytes, 0);
		assert_u64_eq(vstat_of(q).cached_bytes + vstat_of(q).lazy_bytes, sum);
		assert_u64_eq(quire_vmap_purge(q), sum);
		assert_u64_eq(vstat_of(q).purged_bytes - purged, sum);
		assert_u64_eq(vstat_of(q).cached_bytes + vstat_of(q).lazy_bytes, 0);
		assert_u64_eq(quire_vmap_purge(q), 0);
	}
}

/* The sum of all is what was freed, though the areas are cut out of one another. */
static void what_is_reused_is_not_counted_twice(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q), before;
	void *held[AREAS_NR];
	char *addr;

	before = take_some(q, held);
	free_areas(q, held, AREAS_NR);
	addr = vtake(q, 9 * page, 0);
	assert_u64_eq(vstat_of(q).busy_bytes, 9 * page);
	/* A cached area may have been a page larger, since a class has both.  Without the cache the
	 * addresses may be fresh ones. */
	assert_in_range(vstat_of(q).cached_bytes + vstat_of(q).lazy_bytes, before - 10 * page,
			caches() ? before - 9 * page : before);
	addr = quire_vrealloc(q, addr, 30 * page, 0);
	assert_u64_eq(vstat_of(q).busy_bytes, 30 * page);
	addr = quire_vrealloc(q, addr, 3 * page, 0);
	assert_u64_eq(vstat_of(q).busy_bytes, 3 * page);
	assert_u64_eq(area_at(q, addr).bytes, 3 * page);
	quire_vfree(q, addr);
	assert_true(quire_vmap_purge(q) <= before + 30 * page);
}

static void the_text_says_the_same(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	char *addr = vtake(q, 9 * page - 5, 0);
	char text[512], want[64];

	snprintf(want, sizeof(want), " pages=9 asked=%zu ", 9 * page - 5);
	assert_true(quire_text_vmallocinfo(q, text, sizeof(text)) < sizeof(text));
	assert_non_null(strstr(text, want));
	quire_vfree(q, addr);
}

/* Mappings are areas, of as many pages as were mapped; they are no memory that goes back. */
static void mappings_are_counted_by_their_pages(void **state)
{
	struct quire *q = vmap_make((struct quire_options){ .backing = QUIRE_BACKING_MEMFD });
	size_t page = quire_page_bytes(q);
	void *pages[9] = { NULL };
	char *addr;

	(void)state;
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, 9, 0), 9);
	addr = quire_vmap(q, pages, 9, 0);
	assert_non_null(addr);
	assert_u64_eq(vstat_of(q).busy_bytes, 9 * page);
	quire_vunmap(q, addr);
	assert_u64_eq(vstat_of(q).lazy_bytes, 9 * page);
	assert_u64_eq(quire_vmap_purge(q), 9 * page);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(what_is_in_use_freed_and_purged_counts_the_same),
		VMAP_TEST(what_is_reused_is_not_counted_twice),
		VMAP_TEST(the_text_says_the_same),
		VMAP_TEST(mappings_are_counted_by_their_pages),
	};

	return VMAP_TESTS_RUN("vmap_count", tests);
}
