/* SPDX-License-Identifier: MIT */
/* Areas that are looked for: by any address, by a walk, in a text, by counts. */
#include "unit/vmap/vmap_case.h"

#define WALKED_MAX 64u

static void an_area_is_found_by_any_address_inside(void **state)
{
	static const size_t sizes[] = {
		1, 4096, 5000, KIB(36), KIB(100), MIB(1), MIB(2), MIB(9) + 7
	};
	struct quire *q = *state;
	char *held[8];

	for (unsigned i = 0; i < 8; i++)
		held[i] = vtake(q, sizes[i], 0);
	for (unsigned i = 0; i < 8; i++) {
		const size_t at[] = { 0, 1, sizes[i] / 2, sizes[i] - 1 };

		for (unsigned j = 0; j < 4; j++) {
			const char *inner = held[i] + (at[j] < sizes[i] ? at[j] : 0);

			assert_ptr_equal(quire_vmalloc_start(q, inner), held[i]);
			assert_u64_eq(quire_vmalloc_size(q, inner), sizes[i]);
		}
	}
	free_areas(q, (void **)held, 8);
}

static void check_in_none(struct quire *q, const void *addr)
{
	assert_null(quire_vmalloc_start(q, addr));
	assert_u64_eq(quire_vmalloc_size(q, addr), 0);
}

static void other_addresses_are_in_no_area(void **state)
{
	struct quire *q = *state;
	char on_stack, *page = quire_alloc_pages(q, 0, 0), *addr;

	check_in_none(q, &on_stack); /* before anything was reserved */
	check_in_none(q, NULL);
	addr = vtake(q, MIB(1), 0);
	check_in_none(q, &on_stack);
	check_in_none(q, NULL);
	check_in_none(q, page);
	check_in_none(q, (void *)UINTPTR_MAX);
	check_in_none(q, addr - 1);
	check_in_none(q, end_of(q, addr)); /* the guard page, or what is free */
	check_in_none(q, addr + MIB(500));
	quire_vfree(q, addr);
	quire_free_pages(q, page, 0);
}

/* Cached, lazy, purged: it is in use by nobody (V6). */
static void a_freed_area_is_found_no_more(void **state)
{
	struct quire *q = *state;

	for (size_t bytes = KIB(4); bytes <= MIB(4); bytes *= 4) {
		char *addr = vtake(q, bytes, 0);

		quire_vfree(q, addr);
		check_in_none(q, addr);
		check_in_none(q, addr + bytes / 2);
		quire_vmap_purge(q);
		check_in_none(q, addr);
	}
}

struct walked {
	struct quire_vmap_area areas[WALKED_MAX];
	size_t nr, stop_at;
	struct quire *q;
	bool frees;
};

static bool note(const struct quire_vmap_area *area, void *arg)
{
	struct walked *walked = arg;

	if (walked->nr < WALKED_MAX)
		walked->areas[walked->nr] = *area;
	walked->nr++;
	if (walked->frees)
		quire_vfree(walked->q, area->addr);
	return walked->nr != walked->stop_at;
}

static void a_walk_shows_every_area_by_rising_address(void **state)
{
	struct walked walked = { .nr = 0 };
	struct quire *q = *state;
	void *held[40];

	for (unsigned i = 0; i < 40; i++)
		held[i] = vtake(q, (i % 9 + 1) * 5000, 0);
	for (unsigned i = 0; i < 40; i += 4) {
		quire_vfree(q, held[i]);
		held[i] = NULL;
	}
	assert_u64_eq(quire_vmap_walk(q, note, &walked), 30);
	assert_u64_eq(walked.nr, 30);
	for (size_t i = 0; i < 30; i++) {
		const struct quire_vmap_area *area = &walked.areas[i];

		assert_u64_eq(quire_vmalloc_size(q, area->addr), area->asked_bytes);
		assert_u64_eq(area->kind, QUIRE_VMAP_ALLOC);
		if (i != 0)
			assert_true((char *)area->addr >=
				    (char *)area[-1].addr + area[-1].bytes +
					    (guards() ? quire_page_bytes(q) : 0));
	}
	free_areas(q, held, 40);
}

static void a_walk_ends_when_the_visitor_says_so(void **state)
{
	struct walked walked = { .stop_at = 3 };
	struct quire *q = *state;
	void *held[10];

	assert_u64_eq(quire_vmap_walk(q, note, &walked), 0);
	assert_u64_eq(take_areas(q, KIB(8), 0, held, 10), 10);
	assert_u64_eq(quire_vmap_walk(q, note, &walked), 3);
	assert_u64_eq(walked.nr, 3);
	free_areas(q, held, 10);
}

static void a_visitor_may_free_what_it_is_shown(void **state)
{
	struct walked walked = { .q = *state, .frees = true };
	struct quire *q = *state;
	void *held[50];

	assert_u64_eq(take_areas(q, KIB(8), 0, held, 50), 50);
	assert_u64_eq(quire_vmap_walk(q, note, &walked), 50);
	assert_u64_eq(vstat_of(q).busy_areas, 0);
	assert_int_equal(quire_verify(q), 0);
}

/* ---- the text --------------------------------------------------------------------------------- */

/* "0xffffc90000000000-0xffffc90000005000   20480 ... pages=4 vmalloc": the guard page counts there. */
static void vmallocinfo_has_the_kernels_shape(void **state)
{
	struct quire *q = *state;
	char *small = vtake(q, KIB(16), 0), *large = vtake(q, MIB(3), 0);
	unsigned long long start, end, bytes;
	char text[1024], *line = text;
	unsigned lines = 0;

	assert_true(quire_text_vmallocinfo(q, text, sizeof(text)) < sizeof(text));
	for (char *stop; (stop = strchr(line, '\n')) != NULL; line = stop + 1, lines++) {
		char *pages = strstr(line, " pages=");

		*stop = '\0';
		assert_int_equal(sscanf(line, "0x%16llx-0x%16llx %llu", &start, &end, &bytes), 3);
		assert_u64_eq(end - start, bytes);
		assert_true(start == (uintptr_t)small || start == (uintptr_t)large);
		assert_non_null(pages);
		assert_u64_eq(strtoull(pages + 7, NULL, 10) * quire_page_bytes(q),
			      area_at(q, (void *)(uintptr_t)start).bytes);
		assert_non_null(strstr(line, " vmalloc"));
	}
	assert_u64_eq(lines, 2);
	assert_int_equal(*line, '\0');
	quire_vfree(q, small);
	quire_vfree(q, large);
}

static void vmallocinfo_says_how_long_it_is_and_writes_no_further(void **state)
{
	struct quire *q = *state;
	char text[4096], cut[64];
	void *held[20];
	size_t bytes;

	assert_u64_eq(quire_text_vmallocinfo(q, text, sizeof(text)), 0);
	assert_int_equal(text[0], '\0');
	assert_u64_eq(take_areas(q, KIB(8), 0, held, 20), 20);
	bytes = quire_text_vmallocinfo(q, NULL, 0);
	assert_true(bytes > sizeof(cut) && bytes < sizeof(text));
	memset(cut, 'x', sizeof(cut));
	assert_u64_eq(quire_text_vmallocinfo(q, cut, 33), bytes);
	assert_u64_eq(strlen(cut), 32);
	assert_int_equal(cut[33], 'x');
	assert_u64_eq(quire_text_vmallocinfo(q, text, sizeof(text)), bytes);
	assert_memory_equal(cut, text, 32);
	free_areas(q, held, 20);
}

/* ---- counts ----------------------------------------------------------------------------------- */

static void counts_follow_what_is_done(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	struct quire_vmap_stat before = QUIRE_VMAP_STAT_INIT, after = before;
	void *held[10];

	quire_vfree(q, vtake(q, page, 0)); /* which reserves the span */
	before = vstat_of(q);
	assert_u64_eq(before.struct_bytes, sizeof(before));
	assert_u64_eq(page, (uint64_t)1 << before.page_shift);
	assert_true(before.span_bytes >= MIB(512));
	assert_u64_eq(take_areas(q, 3 * page, 0, held, 10), 10);
	after = vstat_of(q);
	assert_u64_eq(after.busy_areas, 10);
	assert_u64_eq(after.busy_bytes, 30 * page);
	assert_u64_eq(after.allocs - before.allocs, 10);
	assert_true(after.metadata_bytes != 0);
	free_areas(q, held, 10);
	after = vstat_of(q);
	assert_u64_eq(after.frees - before.frees, 10);
	assert_u64_eq(after.busy_areas, 0);
	assert_u64_eq(after.busy_bytes, 0);
	assert_u64_eq(after.cached_areas + after.lazy_areas != 0, 1);
	assert_null(quire_vmalloc(q, MIB(300), 0));
	assert_true(vstat_of(q).refusals > before.refusals);
}

/* Whatever is where: what is in use, cached, lazy and free is the span, but for guard pages. */
static void addresses_in_all_states_add_up_to_the_span(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	struct quire_vmap_stat s = QUIRE_VMAP_STAT_INIT;
	static void *held[200];

	for (unsigned i = 0; i < 200; i++)
		held[i] = vtake(q, (i % 20 + 1) * page, 0);
	for (unsigned i = 0; i < 200; i += 2)
		quire_vfree(q, held[i]);
	s = vstat_of(q);
	assert_true(s.free_bytes + s.cached_bytes + s.lazy_bytes + s.busy_bytes <= s.span_bytes);
	assert_true(s.free_bytes + s.cached_bytes + s.lazy_bytes + s.busy_bytes +
			    200 * (guards() ? page : 0) + (caches() ? s.busy_bytes / 4 : 0) >=
		    s.span_bytes);
	assert_true(s.largest_free_bytes <= s.free_bytes);
	assert_true(s.free_ranges >= 1);
	for (unsigned i = 1; i < 200; i += 2)
		quire_vfree(q, held[i]);
	quire_release(q);
	s = vstat_of(q);
	assert_u64_eq(s.free_bytes, s.span_bytes);
	assert_u64_eq(s.largest_free_bytes, s.span_bytes);
	assert_u64_eq(s.free_ranges, 1);
}

/* ---- the tree's cost ---- */

#define HOLES_NR 8192u /* 2^13 */

/* Holes of one page between areas in use; then areas that fit in one, and areas that fit in none. */
static void an_operation_visits_at_most_one_and_a_half_log2_n_nodes(void **state)
{
	struct quire *q = *state;
	static void *areas[2 * HOLES_NR];
	size_t page = quire_page_bytes(q);
	struct quire_vmap_stat before = QUIRE_VMAP_STAT_INIT, after = before;
	uint64_t operations;

	if (caches() || page > KIB(4))
		skip_because("what this case frees is cached and not in the tree, or its pages are "
			     "large");
	for (size_t i = 0; i < 2 * HOLES_NR; i++)
		areas[i] = vtake(q, page, 0);
	for (size_t i = 0; i < 2 * HOLES_NR; i += 2)
		quire_vfree(q, areas[i]);
	quire_vmap_purge(q);
	before = vstat_of(q);
	assert_true(before.free_ranges >= HOLES_NR);
	for (size_t i = 0; i < HOLES_NR; i += 2)
		areas[i] = vtake(q, (i / 2 % 2 ? 3 : 1) * page, 0);
	after = vstat_of(q);
	operations = after.tree_operations - before.tree_operations;
	assert_true(operations >= HOLES_NR / 2);
	assert_true(after.tree_compares - before.tree_compares <= operations * 13 * 3 / 2);
	for (size_t i = 0; i < HOLES_NR; i += 2)
		quire_vfree(q, areas[i]);
	for (size_t i = 1; i < 2 * HOLES_NR; i += 2)
		quire_vfree(q, areas[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(an_area_is_found_by_any_address_inside),
		VMAP_TEST(other_addresses_are_in_no_area),
		VMAP_TEST(a_freed_area_is_found_no_more),
		VMAP_TEST(a_walk_shows_every_area_by_rising_address),
		VMAP_TEST(a_walk_ends_when_the_visitor_says_so),
		VMAP_TEST(a_visitor_may_free_what_it_is_shown),
		VMAP_TEST(vmallocinfo_has_the_kernels_shape),
		VMAP_TEST(vmallocinfo_says_how_long_it_is_and_writes_no_further),
		VMAP_TEST(counts_follow_what_is_done),
		VMAP_TEST(addresses_in_all_states_add_up_to_the_span),
		VMAP_TEST(an_operation_visits_at_most_one_and_a_half_log2_n_nodes),
	};

	return VMAP_TESTS_RUN("vmap_find", tests);
}
