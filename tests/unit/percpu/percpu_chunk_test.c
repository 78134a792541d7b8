/* SPDX-License-Identifier: MIT */
/*
 * The life of a chunk, a test for each row of the table in percpu/chunk.c, and which pages go.
 */
#include "unit/percpu/percpu_case.h"

#include <sys/mman.h>

#define PAGES 40u

static void no_room_makes_a_chunk(void **state)
{
	struct quire *q = *state;
	void *page;

	assert_int_equal(percpu_stat(q).chunks, 1);
	fill_second_chunk(q, &page, 1);
	assert_int_equal(percpu_stat(q).chunks_created, 2);
	assert_int_equal(chunk_of(q, page)->state, CHUNK_ACTIVE);
}

static void object_makes_a_free_chunk_active(void **state)
{
	struct quire *q = *state;
	void *page;

	fill_second_chunk(q, &page, 1);
	quire_free_percpu(q, page);
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_FREE);
	fill_second_chunk(q, &page, 1);
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_ACTIVE);
}

static void last_free_makes_it_free(void **state)
{
	struct quire *q = *state;
	void *pages[3];

	fill_second_chunk(q, pages, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(q->percpu->chunk[1].state, CHUNK_ACTIVE);
		quire_free_percpu(q, pages[i]);
	}
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_FREE);
}

/* A quarter of it is empty, and the first chunk holds more than the reserve. */
static void quarter_empty_is_isolated(void **state)
{
	struct quire *q = *state;
	void *first = quire_alloc_percpu(q, page_bytes(q), 0, 0), *pages[PAGES];
	uint32_t before;

	assert_int_equal(chunk_number(q, first), 0);
	fill_second_chunk(q, pages, PAGES);
	balance_now(q, false);
	for (unsigned i = 0; i < unit_pages(q->percpu) / 4; i++) {
		assert_int_equal(q->percpu->chunk[1].state, CHUNK_ACTIVE);
		quire_free_percpu(q, pages[i]);
	}
	/* The reserve is the first chunk's four: one more makes the difference. */
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_ACTIVE);
	quire_free_percpu(q, first);
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_ACTIVE);
	before = q->percpu->empty_pages;
	quire_free_percpu(q, pages[PAGES - 1]);
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_TO_DEPOPULATE);
	assert_int_equal(q->percpu->empty_pages, before - unit_pages(q->percpu) / 4);
}

static struct percpu_chunk *sidelined(struct quire *q, void **pages, unsigned empty)
{
	fill_second_chunk(q, pages, PAGES);
	balance_now(q, false);
	for (unsigned i = 0; i < empty; i++)
		quire_free_percpu(q, pages[i]);
	isolate_now(q, 1);
	balance_now(q, false);
	return &q->percpu->chunk[1];
}

static void emptied_chunk_is_sidelined(void **state)
{
	struct quire *q = *state;
	void *pages[PAGES];
	struct percpu_chunk *chunk = sidelined(q, pages, 10);
	struct quire_percpu_stat stat = percpu_stat(q);

	assert_int_equal(chunk->state, CHUNK_SIDELINED);
	assert_int_equal(chunk_empty(chunk), 0);
	assert_int_equal(stat.flushes, 1);
	assert_int_equal(stat.flushed_pages, 10);
}

static void sidelined_chunk_returns_on_alloc(void **state)
{
	struct quire *q = *state;
	void *pages[PAGES];
	struct percpu_chunk *chunk = sidelined(q, pages, 10);
	void *page = quire_alloc_percpu(q, page_bytes(q), 0, 0);

	assert_int_equal(chunk_number(q, page), 1);
	assert_int_equal(chunk->state, CHUNK_ACTIVE);
	assert_false(chunk->isolated);
}

static void free_in_a_sidelined_chunk_isolates_it(void **state)
{
	struct quire *q = *state;
	void *pages[PAGES];
	struct percpu_chunk *chunk = sidelined(q, pages, 10);

	quire_free_percpu(q, pages[20]);
	assert_int_equal(chunk->state, CHUNK_TO_DEPOPULATE);
	balance_now(q, false);
	assert_int_equal(chunk->state, CHUNK_SIDELINED);
}

static void low_reserve_returns_the_chunk_with_its_pages(void **state)
{
	struct quire *q = *state;
	void *pages[PAGES];

	fill_second_chunk(q, pages, PAGES);
	for (unsigned i = 0; i < 5; i++)
		quire_free_percpu(q, pages[i]);
	isolate_now(q, 1);
	while (q->percpu->empty_pages != 0)
		assert_non_null(quire_alloc_percpu(q, page_bytes(q), 0, QUIRE_ATOMIC));
	balance_now(q, false);
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_ACTIVE);
	assert_int_equal(chunk_empty(&q->percpu->chunk[1]), 5);
}

static void second_free_chunk_is_destroyed(void **state)
{
	struct quire *q = *state;
	void *large[24];
	unsigned n = 24;

	for (unsigned i = 0; i < n; i++)
		large[i] = quire_alloc_percpu(q,
					      8 * page_bytes(q) > QUIRE_PERCPU_BYTES_MAX
						      ? QUIRE_PERCPU_BYTES_MAX
						      : 8 * page_bytes(q),
					      0, 0);
	assert_int_equal(percpu_stat(q).chunks, 4);
	for (unsigned i = 0; i < n; i++)
		quire_free_percpu(q, large[i]);
	balance_now(q, false);
	assert_int_equal(percpu_stat(q).chunks, 2);
	assert_int_equal(percpu_stat(q).chunks_destroyed, 2);
}

static void first_chunk_stays(void **state)
{
	struct quire *q = *state;
	void *page = quire_alloc_percpu(q, 8, 0, 0);

	assert_int_equal(chunk_number(q, page), 0);
	quire_free_percpu(q, page);
	assert_true(quire_percpu_shrink(q) == 0);
	assert_int_equal(q->percpu->chunk[0].state, CHUNK_ACTIVE);
	assert_int_equal(percpu_stat(q).first_pages, 13);
}

/* Random patterns of empty, used and unpopulated pages: exactly the empty ones go, the used ones keep
 * their content in every unit, and what is populated again reads zero. */
static void exactly_the_empty_pages_go(void **state)
{
	struct quire *q = *state;
	uint64_t random = 12345;

	for (unsigned round = 0; round < 200; round++) {
		void *pages[PAGES];
		uint64_t used = 0;

		fill_second_chunk(q, pages, PAGES);
		q->percpu->depopulate = false;
		for (unsigned i = 0; i < PAGES; i++)
			for (unsigned unit = 0; unit < UNITS; unit++)
				memset(quire_per_cpu_ptr(pages[i], unit), (int)(i + unit + 1),
				       page_bytes(q));
		for (unsigned i = 0; i < PAGES; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			if (random >> 62 != 0 || i == 7)
				continue;
			quire_free_percpu(q, pages[i]);
			pages[i] = NULL;
		}
		q->percpu->depopulate = true;
		balance_now(q, true);
		used = q->percpu->chunk[1].populated;
		assert_int_equal(used & q->percpu->chunk[1].free, 0);
		for (unsigned i = 0; i < PAGES; i++) {
			if (pages[i] == NULL)
				continue;
			for (unsigned unit = 0; unit < UNITS; unit++)
				assert_int_equal(
					*((uint8_t *)quire_per_cpu_ptr(pages[i], unit) + 9),
					i + unit + 1);
			quire_free_percpu(q, pages[i]);
		}
		balance_now(q, true);
	}
}

/* Pages of the second chunk that the system has memory behind, on all CPUs. */
static unsigned present(struct quire *q)
{
	struct percpu *pc = q->percpu;
	unsigned n = 0;

	for (unsigned unit = 0; unit < UNITS; unit++) {
		unsigned char vector[UNIT_PAGES_MAX];

		assert_int_equal(mincore(chunk_ptr(pc, 1) + unit * QUIRE_PERCPU_STRIDE,
					 (size_t)1 << pc->unit_shift, vector),
				 0);
		for (unsigned i = 0; i < unit_pages(pc); i++)
			n += vector[i] & 1;
	}
	return n;
}

static void depopulated_pages_have_no_memory(void **state)
{
	struct quire *q = *state;
	void *pages[PAGES];

	fill_second_chunk(q, pages, PAGES);
	assert_int_equal(present(q), 0); /* populating touches nothing */
	for (unsigned i = 0; i < PAGES; i++)
		for (unsigned unit = 0; unit < UNITS; unit++)
			memset(quire_per_cpu_ptr(pages[i], unit), 1, page_bytes(q));
	assert_int_equal(present(q), PAGES * UNITS);
	for (unsigned i = 1; i < PAGES; i++)
		quire_free_percpu(q, pages[i]);
	quire_percpu_shrink(q);
	assert_int_equal(present(q), UNITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PERCPU_TEST(no_room_makes_a_chunk),
		PERCPU_TEST(object_makes_a_free_chunk_active),
		PERCPU_TEST(last_free_makes_it_free),
		PERCPU_TEST(quarter_empty_is_isolated),
		PERCPU_TEST(emptied_chunk_is_sidelined),
		PERCPU_TEST(sidelined_chunk_returns_on_alloc),
		PERCPU_TEST(free_in_a_sidelined_chunk_isolates_it),
		PERCPU_TEST(low_reserve_returns_the_chunk_with_its_pages),
		PERCPU_TEST(second_free_chunk_is_destroyed),
		PERCPU_TEST(first_chunk_stays),
		PERCPU_TEST(exactly_the_empty_pages_go),
		PERCPU_TEST(depopulated_pages_have_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
