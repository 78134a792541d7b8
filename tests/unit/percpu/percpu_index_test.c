/* SPDX-License-Identifier: MIT */
/* The index of chunks: it finds the lowest, and what a request costs does not grow with the chunks. */
#include "percpu/index.h"
#include "percpu/map.h"
#include "stress.h"
#include "unit/percpu/percpu_case.h"

/* ---- searches ---- */

#define CHUNKS_NR 4200u /* more than the 64 words below one of the middle */

static void make_chunk(struct percpu *pc)
{
	lock_token token = lock_acquire(&pc->lock);
	uint32_t chunk = chunk_next_number_locked(pc);

	percpu_unlock(pc, token);
	assert_int_equal(chunk_create(pc, chunk, 0), 0);
}

static void make_chunks(struct percpu *pc)
{
	while (pc->chunks_nr < CHUNKS_NR)
		make_chunk(pc);
}

/* Of thousands of free chunks all but a few are isolated: each search finds the next of those. */
static void the_lowest_chunk_is_found_wherever_it_is(void **state)
{
	static const uint32_t kept[] = { 1, 62, 63, 64, 127, 128, 4095, 4096, 4159, 4160, 4199 };
	struct quire *q =
		percpu_make((struct quire_options){ .units = 1, .limit_bytes = UINT64_C(1) << 30 });
	struct percpu *pc = q->percpu;
	struct sets sets = sets_of_runs(CHUNK_FREE, FREE_ANY, 0);
	lock_token token;

	(void)state;
	make_chunks(pc);
	token = lock_acquire(&pc->lock);
	for (uint32_t i = 1, k = 0; i < CHUNKS_NR; i++) {
		if (k < sizeof(kept) / sizeof(kept[0]) && i == kept[k])
			k++;
		else
			chunk_isolate_locked(pc, i);
	}
	for (uint32_t k = 0, from = 0; k < sizeof(kept) / sizeof(kept[0]); from = kept[k++] + 1) {
		assert_int_equal(index_next_locked(pc, sets, from), kept[k]);
		assert_int_equal(index_next_locked(pc, sets, kept[k]), kept[k]);
	}
	assert_int_equal(index_next_locked(pc, sets, CHUNKS_NR), NONE);
	assert_int_equal(index_next_locked(pc, sets, UINT32_MAX), NONE);
	sets = sets_of_runs(CHUNK_FREE, FREE_POPULATED, 0);
	assert_int_equal(index_next_locked(pc, sets, 0), NONE);
	lock_release(&pc->lock, token);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* The number of a chunk that was destroyed is used again, the lowest first. */
static void numbers_of_chunks_are_used_again(void **state)
{
	struct quire *q = *state;
	struct percpu *pc = q->percpu;
	lock_token token;

	mutex_acquire(&pc->alloc_mutex);
	while (pc->chunks_nr < 8)
		make_chunk(pc);
	for (uint32_t i = 5; i >= 3; i--) {
		token = lock_acquire(&pc->lock);
		chunk_isolate_locked(pc, i);
		percpu_unlock(pc, token);
		chunk_destroy(pc, i);
	}
	make_chunk(pc);
	assert_int_equal(pc->chunk[3].state, CHUNK_FREE);
	assert_int_equal(pc->chunk[4].state, CHUNK_NONE);
	mutex_release(&pc->alloc_mutex);
	assert_int_equal(quire_verify(q), 0);
}

/* ---- what a request costs ---- */

/* An allocation is placed five times at most: as a line, in what is populated, in what is populated for it,
 * with maps, and with a chunk.  Each time it may look at holes of active and of sidelined chunks, then for
 * pages in three states, of two sorts. */
#define LOOKS_MAX (5u * (2 * (CHUNKS_MAX + PAGES_MAX + 2) + 6 * (CHUNKS_MAX + 1)))

struct costs {
	uint64_t looks_max;
	uint32_t chunks_nr;
};

static void *alloc_counted(struct quire *q, uint64_t *random, struct costs *costs)
{
	size_t bytes = 1 + stress_random(random, 1024), align = 2u << stress_random(random, 11);
	uint64_t before = q->percpu->looks;
	void *object = quire_alloc_percpu(q, bytes, align, 0);

	assert_non_null(object);
	if (q->percpu->looks - before > costs->looks_max)
		costs->looks_max = q->percpu->looks - before;
	return object;
}

#define OBJECTS_NR 200000u

/* Sizes to 1 KiB with alignments to 2 KiB, and once more when seven of eight are gone. */
static struct costs costs_of(enum quire_placement placement)
{
	struct quire *q = percpu_make((struct quire_options){
		.units = 1, .limit_bytes = UINT64_C(1) << 30, .placement = placement });
	void **objects = calloc(OBJECTS_NR, sizeof(objects[0]));
	struct costs costs = { .looks_max = 0 };
	uint64_t random = 42;

	for (unsigned i = 0; i < OBJECTS_NR; i++)
		objects[i] = alloc_counted(q, &random, &costs);
	costs.chunks_nr = q->percpu->chunks_nr;
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		if (i % 8 != 0)
			quire_free_percpu(q, objects[i]);
	for (unsigned i = 0; i < OBJECTS_NR / 16; i++)
		alloc_counted(q, &random, &costs);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
	free(objects);
	return costs;
}

static void check_costs(enum quire_placement placement)
{
	struct costs costs = costs_of(placement);

	assert_in_range(costs.looks_max, 1, LOOKS_MAX);
	assert_in_range(costs.chunks_nr, LOOKS_MAX / 5, UINT32_MAX); /* or it would prove nothing */
}

static void packed_looks_at_few_of_many_chunks(void **state)
{
	(void)state;
	check_costs(QUIRE_PLACEMENT_PACKED);
}

static void first_fit_looks_at_few_of_many_chunks(void **state)
{
	(void)state;
	check_costs(QUIRE_PLACEMENT_LINUX);
}

/* ---- the last hole ---- */

#define PAGES_NR 100u /* more than PAGES_MAX */

/* In each of many pages a hole is left that begins where alignment does not want it, in the last one a hole
 * that does.  Nothing else is populated, and nothing can be. */
static struct quire *make_last_hole(enum quire_placement placement, void **last)
{
	struct quire *q =
		percpu_make((struct quire_options){ .placement = placement, .cache = QUIRE_OFF });
	void *first[PAGES_NR], *second[PAGES_NR];
	unsigned n = 0;

	while (n < PAGES_NR) {
		void *object = quire_alloc_percpu(q, 64, 64, 0);

		if ((uintptr_t)object % page_bytes(q) != 0)
			continue;
		first[n] = object;
		second[n++] = quire_alloc_percpu(q, 64, 64, 0);
	}
	for (unsigned i = 0; i + 1 < PAGES_NR; i++)
		quire_free_percpu(q, second[i]);
	use_up_limit(q, QUIRE_ATOMIC);
	while (quire_alloc_percpu(q, page_bytes(q), 0, QUIRE_ATOMIC) != NULL)
		;
	quire_free_percpu(q, first[PAGES_NR - 2]);
	quire_free_percpu(q, first[1]);
	*last = first[PAGES_NR - 2];
	assert_ptr_equal(quire_alloc_percpu(q, 64, page_bytes(q), QUIRE_ATOMIC), first[1]);
	return q;
}

static void check_last_hole(enum quire_placement placement)
{
	uint64_t looks;
	void *last;
	struct quire *q = make_last_hole(placement, &last);

	assert_ptr_equal(quire_alloc_percpu(q, 64, page_bytes(q), QUIRE_ATOMIC), last);
	assert_null(quire_alloc_percpu(q, 64, page_bytes(q), QUIRE_ATOMIC));
	looks = q->percpu->looks; /* who is refused again does not look everywhere again */
	assert_null(quire_alloc_percpu(q, 64, page_bytes(q), QUIRE_ATOMIC));
	assert_in_range(q->percpu->looks - looks, 0, LOOKS_MAX);
	quire_free_percpu(q, last);
	assert_ptr_equal(quire_alloc_percpu(q, 64, page_bytes(q), QUIRE_ATOMIC), last);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void a_hole_that_fits_is_not_refused(void **state)
{
	(void)state;
	check_last_hole(QUIRE_PLACEMENT_PACKED);
	check_last_hole(QUIRE_PLACEMENT_LINUX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_chunk_is_found_wherever_it_is),
		PERCPU_TEST(numbers_of_chunks_are_used_again),
		cmocka_unit_test(packed_looks_at_few_of_many_chunks),
		cmocka_unit_test(first_fit_looks_at_few_of_many_chunks),
		cmocka_unit_test(a_hole_that_fits_is_not_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
