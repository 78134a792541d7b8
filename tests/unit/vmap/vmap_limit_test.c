/* SPDX-License-Identifier: MIT */
/*
 * One limit for pages and areas: each is refused while the other fills it, what is cached or lazy
 * is given up before anything is refused, and the span is as finite as the limit.
 */
#include "unit/vmap/vmap_case.h"

#define LIMIT MIB(64)

static void *held[20000];

static struct quire *make_small(void)
{
	return vmap_make((struct quire_options){ .limit_bytes = LIMIT });
}

static void finish(struct quire *q)
{
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static size_t take_pages(struct quire *q, void **pages, size_t max)
{
	size_t n = 0;

	while (n < max && (pages[n] = quire_alloc_pages(q, 0, 0)) != NULL)
		n++;
	return n;
}

static void free_pages(struct quire *q, void **pages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		quire_free_pages(q, pages[i], 0);
}

static void an_area_is_refused_while_pages_fill_the_limit(void **state)
{
	struct quire *q = make_small();
	size_t n = take_pages(q, held, 20000);
	void *addr;

	(void)state;
	assert_true(n > LIMIT / quire_page_bytes(q) / 2);
	errno = 0;
	assert_null(quire_vmalloc(q, MIB(1), 0));
	assert_int_equal(errno, ENOMEM);
	free_pages(q, held, n);
	addr = quire_vmalloc(q, LIMIT / 2, 0); /* the pages are on lists: drained first */
	assert_non_null(addr);
	quire_vfree(q, addr);
	finish(q);
}

static void pages_are_refused_while_areas_fill_the_limit(void **state)
{
	struct quire *q = make_small();
	size_t n = take_areas(q, MIB(1), 0, held, 1000);
	void *block;

	(void)state;
	assert_true(n >= LIMIT / MIB(1) / 2 && n <= LIMIT / MIB(1));
	errno = 0;
	assert_null(quire_alloc_pages(q, 9, 0));
	assert_int_equal(errno, ENOMEM);
	free_areas(q, held, n);
	block = quire_alloc_pages(q, 5, 0);
	assert_non_null(block);
	quire_free_pages(q, block, 5);
	finish(q);
}

/* All of them, as many as on an instance that has seen no area: nothing stays cached or lazy. */
static void what_areas_cached_becomes_pages_again(void **state)
{
	struct quire *fresh = make_small(), *used = make_small();
	size_t fresh_nr = take_pages(fresh, held, 20000), used_nr;

	(void)state;
	quire_destroy(fresh);
	for (size_t bytes = KIB(16); bytes <= MIB(4); bytes *= 2) {
		size_t n = take_areas(used, bytes, 0, held, LIMIT / 8 / bytes);

		free_areas(used, held, n);
	}
	used_nr = take_pages(used, held, 20000);
	assert_true(used_nr + MIB(2) / quire_page_bytes(used) >= fresh_nr);
	assert_u64_eq(vstat_of(used).cached_bytes + vstat_of(used).lazy_bytes, 0);
	free_pages(used, held, used_nr);
	finish(used);
}

static void what_one_size_cached_serves_every_other(void **state)
{
	static const size_t sizes[] = {
		KIB(16), MIB(1), KIB(64), MIB(5), KIB(4), KIB(320), MIB(28)
	};
	struct quire *q = make_small();
	size_t most = 0;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 7; i++) {
			size_t n = take_areas(q, sizes[i], 0, held, 20000);

			size_t given = vstat_of(q).busy_bytes;

			if (most == 0)
				most = given;
			/* The last one may not have fitted. */
			if (given + sizes[i] * 5 / 4 + MIB(2) < most)
				fail_msg("%zu areas of %zu after %zu bytes", n, sizes[i], most);
			free_areas(q, held, n);
		}
	}
	finish(q);
}

/* A span with room for little: areas that were freed are addresses again before a refusal. */
static void addresses_that_are_lazy_are_taken_before_a_refusal(void **state)
{
	struct quire *q = vmap_make((struct quire_options){ .vmap_span_bytes = MIB(8) });
	size_t page = quire_page_bytes(q);

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		size_t bytes = (i % 7 + 1) * 16 * page;
		void *addr = quire_vmalloc(q, bytes < MIB(4) ? bytes : MIB(4), 0);

		if (addr == NULL)
			fail_msg("allocation %u of %zu bytes: errno %d", i, bytes, errno);
		quire_vfree(q, addr);
	}
	assert_u64_eq(vstat_of(q).refusals, 0);
	finish(q);
}

static void a_full_span_is_refused_for_space_and_serves_again(void **state)
{
	struct quire *q = vmap_make((struct quire_options){ .vmap_span_bytes = MIB(8) });
	size_t page = quire_page_bytes(q), n = take_areas(q, page, 0, held, 20000);

	(void)state;
	assert_int_equal(errno, ENOSPC);
	assert_true(n >= MIB(8) / page / 2 - 1);
	quire_vfree(q, held[n / 2]);
	held[n / 2] = quire_vmalloc(q, page, 0);
	assert_non_null(held[n / 2]);
	free_areas(q, held, n);
	held[0] = quire_vmalloc(q, MIB(7), QUIRE_NOWAIT);
	quire_vfree(q, held[0]);
	held[0] = quire_vmalloc(q, MIB(7), 0);
	assert_non_null(held[0]);
	quire_vfree(q, held[0]);
	finish(q);
}

/* It may refuse where the other would purge, but it must refuse cleanly. */
static void without_waiting_a_refusal_is_clean_and_waiting_helps(void **state)
{
	static const unsigned flags[] = { QUIRE_NOWAIT, QUIRE_ATOMIC, QUIRE_NOLOCK, QUIRE_NORETRY };
	struct quire *q = make_small();

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		size_t n = take_areas(q, KIB(64), 0, held, 20000);
		void *addr;

		free_areas(q, held, n);
		errno = 0;
		addr = quire_vmalloc(q, MIB(40), flags[i]);
		assert_true(addr != NULL || errno == ENOMEM || errno == ENOSPC);
		quire_vfree(q, addr);
		assert_u64_eq(vstat_of(q).busy_areas, 0);
		addr = quire_vmalloc(q, MIB(40), 0);
		assert_non_null(addr);
		quire_vfree(q, addr);
	}
	finish(q);
}

static void pages_cached_on_lists_become_areas(void **state)
{
	struct quire *q = make_small();
	size_t n = take_pages(q, held, 20000), areas_nr;

	(void)state;
	free_pages(q, held, n);
	areas_nr = take_areas(q, MIB(1), 0, held, 1000);
	assert_true(areas_nr * MIB(1) + MIB(4) >= n * quire_page_bytes(q));
	free_areas(q, held, areas_nr);
	finish(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_area_is_refused_while_pages_fill_the_limit),
		cmocka_unit_test(pages_are_refused_while_areas_fill_the_limit),
		cmocka_unit_test(what_areas_cached_becomes_pages_again),
		cmocka_unit_test(what_one_size_cached_serves_every_other),
		cmocka_unit_test(addresses_that_are_lazy_are_taken_before_a_refusal),
		cmocka_unit_test(a_full_span_is_refused_for_space_and_serves_again),
		cmocka_unit_test(without_waiting_a_refusal_is_clean_and_waiting_helps),
		cmocka_unit_test(pages_cached_on_lists_become_areas),
	};

	return VMAP_TESTS_RUN("vmap_limit", tests);
}
