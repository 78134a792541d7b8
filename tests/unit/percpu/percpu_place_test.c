/* SPDX-License-Identifier: MIT */
/* Places in per-CPU memory: each conversion and the way back, and what is no place. */
#include "unit/percpu/percpu_case.h"

/* Three units, so that a window has room for a fourth that nobody has. */
static int setup(void **state)
{
	*state = percpu_make((struct quire_options){ .units = 3 });
	return 0;
}

#define PLACE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, percpu_teardown)

static uint64_t span_places(const struct percpu *pc)
{
	return (pc->span_bytes >> pc->window_shift) * QUIRE_PERCPU_STRIDE;
}

static void check_place(const struct percpu *pc, uint64_t byte)
{
	struct place place = { .byte = byte };
	uint32_t page = place_page(pc, place), granule = place_granule(place);

	assert_int_equal(place_of(pc, place_ptr(pc, place)).byte, byte);
	assert_int_equal(place_of_half(place_half(place)).byte, byte);
	assert_int_equal(place_of_granule(granule).byte, byte & ~(uint64_t)7);
	assert_ptr_equal(granule_ptr(pc, granule), place_ptr(pc, place_of_granule(granule)));
	assert_int_equal(granule_page(pc, granule), page);
	assert_int_equal(page_granule(pc, page) + granule_in_page(pc, granule), granule);
	assert_int_equal(page_chunk(pc, page), place_chunk(pc, place));
	assert_int_equal(page_number(pc, page_chunk(pc, page), page_offset(pc, page)), page);
	assert_int_equal(place_half_in_page(pc, place) / 2, granule_in_page(pc, granule));
	assert_ptr_equal(place_ptr(pc, place_of_page(pc, page_number(pc, page_chunk(pc, page), 0))),
			 chunk_ptr(pc, place_chunk(pc, place)));
}

static void each_conversion_has_a_way_back(void **state)
{
	const struct percpu *pc = ((struct quire *)*state)->percpu;
	uint64_t page = (uint64_t)1 << pc->page_shift, unit = (uint64_t)1 << pc->unit_shift;
	const uint64_t ends[] = { 0,
				  page,
				  unit,
				  QUIRE_PERCPU_STRIDE,
				  QUIRE_PERCPU_STRIDE + page,
				  5 * QUIRE_PERCPU_STRIDE + unit,
				  span_places(pc) };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		for (uint64_t byte = ends[i] < 16 ? 0 : ends[i] - 16; byte < ends[i] + 16;
		     byte += 4)
			if (byte < span_places(pc))
				check_place(pc, byte);
	}
}

/* A window is one stride of each CPU's copies, and as many more as make it a power of two. */
static void places_of_one_cpu_lie_a_window_apart(void **state)
{
	const struct percpu *pc = ((struct quire *)*state)->percpu;

	assert_ptr_equal(place_ptr(pc, (struct place){ .byte = 0 }), pc->base);
	assert_ptr_equal(place_ptr(pc, (struct place){ .byte = QUIRE_PERCPU_STRIDE - 4 }),
			 pc->base + QUIRE_PERCPU_STRIDE - 4);
	assert_ptr_equal(place_ptr(pc, (struct place){ .byte = QUIRE_PERCPU_STRIDE }),
			 pc->base + 4 * QUIRE_PERCPU_STRIDE);
	assert_ptr_equal(place_ptr(pc, (struct place){ .byte = 2 * QUIRE_PERCPU_STRIDE + 8 }),
			 pc->base + 8 * QUIRE_PERCPU_STRIDE + 8);
}

static void what_no_object_can_begin_at_is_no_place(void **state)
{
	const struct percpu *pc = ((struct quire *)*state)->percpu;
	struct place place;

	for (unsigned i = 1; i < 4; i++) {
		assert_true(place_is_none(place_of(pc, pc->base + i)));
		assert_true(place_is_none(place_of(pc, pc->base + i * QUIRE_PERCPU_STRIDE)));
		assert_false(place_decode(pc, pc->base + i * QUIRE_PERCPU_STRIDE, 8, &place));
	}
	assert_true(place_is_none(place_of(pc, NULL)));
	assert_true(place_is_none(place_of(pc, pc->base - 4)));
	assert_true(place_is_none(place_of(pc, pc->base + pc->span_bytes)));
	assert_false(place_is_none(place_of(pc, pc->base + 4)));
	assert_false(place_decode(pc, pc->base + 4, 8, &place));
	assert_true(place_decode(pc, pc->base + 8, 8, &place));
	assert_int_equal(place.byte, 8);
}

/* Whoever looks such a place up finds nothing, without asking first. */
static void no_place_is_beyond_all_pages_and_chunks(void **state)
{
	struct percpu *pc = ((struct quire *)*state)->percpu;
	lock_token token = lock_acquire(&pc->lock);

	assert_int_equal(place_page(pc, PLACE_NONE), NONE);
	assert_int_equal(place_chunk(pc, PLACE_NONE), NONE);
	assert_false(object_is_at_locked(pc, PLACE_NONE));
	assert_int_equal(object_bytes_locked(pc, PLACE_NONE), 0);
	percpu_unlock(pc, token);
	assert_in_range((span_places(pc) - 1) >> GRANULE_SHIFT, 0, UINT32_MAX - 1);
}

/* 8 bytes at the end of a page: one page; 16: two; a whole chunk: all of its pages. */
static void pages_touched_are_those_between_the_first_and_the_last_byte(void **state)
{
	const struct percpu *pc = ((struct quire *)*state)->percpu;
	size_t page = (size_t)1 << pc->page_shift;
	struct place chunk = place_of_page(pc, page_number(pc, 2, 0));
	struct place end = { .byte = chunk.byte + 2 * page - 8 };

	assert_int_equal(place_pages(pc, end, 8), 1u << 1);
	assert_int_equal(place_pages(pc, end, 16), 3u << 1);
	assert_int_equal(place_pages(pc, chunk, 4), 1);
	assert_int_equal(place_pages(pc, chunk, unit_pages(pc) * page),
			 ~(uint64_t)0 >> (64 - unit_pages(pc)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(each_conversion_has_a_way_back),
		PLACE_TEST(places_of_one_cpu_lie_a_window_apart),
		PLACE_TEST(what_no_object_can_begin_at_is_no_place),
		PLACE_TEST(no_place_is_beyond_all_pages_and_chunks),
		PLACE_TEST(pages_touched_are_those_between_the_first_and_the_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
