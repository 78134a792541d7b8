/* SPDX-License-Identifier: MIT */
/*
 * A free without the lock reads an object's size off the words of a map.  Each size at each offset in a
 * word, alone and beside others, goes on the stack of its own size; what lies in two pages has none.
 *
 * Objects are put by hand into the first chunk's empty pages, on both sides of the bounds of a word and of
 * a page.
 */
#include "unit/percpu/percpu_case.h"

#define MOST_GRANULES (CACHE_SMALL_NR + 8u) /* some that are too large for stacks */

static void *put_at(struct percpu *pc, uint32_t granule, uint32_t granules)
{
	struct percpu_request request = { .n = granules, .align = 1, .kind = KIND_BIG };
	lock_token token = lock_acquire(&pc->lock);
	struct placed placed;

	object_put_locked(pc, place_of_granule(granule), &request, &placed);
	percpu_unlock(pc, token);
	return place_ptr(pc, placed.place);
}

static void give_at(struct percpu *pc, uint32_t granule)
{
	lock_token token = lock_acquire(&pc->lock);

	object_free_locked(pc, place_of_granule(granule));
	chunk_after_free_locked(pc, 0);
	percpu_unlock(pc, token);
}

/* Opens this CPU's stacks of every size. */
static void open_stacks(struct percpu *pc)
{
	for (uint32_t granules = 1; granules <= CACHE_SMALL_NR; granules++) {
		store_relaxed(&pc->warm, pc->warm | UINT64_C(1) << (granules - 1));
		store_relaxed(&pc->learn[granules - 1].count, COUNT_WARM);
		cache_after_free(pc, granules);
	}
}

static void check_size_at(struct quire *q, uint32_t at, uint32_t granules)
{
	struct percpu *pc = q->percpu;
	uint32_t room = page_granules(pc) - (at & (page_granules(pc) - 1));
	bool fits = granules <= CACHE_SMALL_NR && granules <= room;
	void *object = put_at(pc, at, granules);

	quire_free_percpu(q, object);
	if (cache_count(pc) != (fits ? 1 : 0))
		fail_msg("%u granules at %u: %u cached", granules, at, (unsigned)cache_count(pc));
	if (!cache_is_sound(pc))
		fail_msg("%u granules at %u are cached as another size", granules, at);
	if (!fits)
		return;
	assert_ptr_equal(quire_alloc_percpu(q, granules * 8, 0, 0), object);
	give_at(pc, at);
}

/* Whether a granule before and one behind the object are used as well. */
static void check_offset(struct quire *q, uint32_t at, bool neighbours)
{
	struct percpu *pc = q->percpu;

	for (uint32_t granules = 1; granules <= MOST_GRANULES; granules++) {
		if (neighbours) {
			put_at(pc, at - 1, 1);
			put_at(pc, at + granules, 1);
		}
		check_size_at(q, at, granules);
		if (neighbours) {
			give_at(pc, at - 1);
			give_at(pc, at + granules);
		}
	}
}

static void each_size_at_each_offset_keeps_its_class(void **state)
{
	struct quire *q = *state;
	struct percpu *pc = q->percpu;
	uint32_t page = bit_lowest(pc->chunk[0].free), base = page << pc->page_granules_shift;

	if (pc->stacks.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	assert_int_equal(pc->chunk[0].populated >> page & 3, 3);
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	open_stacks(pc);
	for (uint32_t offset = 0; offset < 64; offset++) {
		for (unsigned neighbours = 0; neighbours <= 1; neighbours++) {
			check_offset(q, base + 64 + offset, neighbours != 0);
			check_offset(q, base + page_granules(pc) - 64 + offset, neighbours != 0);
		}
	}
	assert_int_equal(percpu_stat(q).objects, 0);
}

/* In a page of 4 bytes' objects a map's words say something else: what ends before one ends there. */
static void an_object_before_a_page_of_fours_keeps_its_class(void **state)
{
	struct quire *q = *state;
	struct percpu *pc = q->percpu;
	uint32_t page = bit_lowest(pc->chunk[0].free) + 1;
	struct percpu_request four = { .n = 1, .align = 1, .kind = KIND_FOURS, .fours = true };
	struct placed placed;
	lock_token token;

	if (pc->stacks.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	open_stacks(pc);
	token = lock_acquire(&pc->lock);
	object_put_locked(pc, place_of_page(pc, page), &four, &placed);
	percpu_unlock(pc, token);
	for (uint32_t granules = 1; granules <= MOST_GRANULES; granules++)
		check_size_at(q, page_granule(pc, page) - granules, granules);
}

/* Puts an object of whole pages at the beginning of an empty page of the first chunk. */
static void *put_pages(struct percpu *pc, uint32_t pages)
{
	return put_at(pc, page_granule(pc, bit_lowest(pc->chunk[0].free)), page_granule(pc, pages));
}

/* An object of whole pages goes on the stack of its size, whatever is behind it, and comes back with every copy
 * zero.  Its copies are not touched for a mark: where none was written, no CPU has memory. */
static void whole_pages_go_on_stacks(void **state)
{
	struct quire *q = *state;
	struct percpu *pc = q->percpu;

	if (pc->stacks.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	for (uint32_t pages = 1; pages <= 3; pages++) {
		uint32_t class = CACHE_SMALL_NR + pages - 1;
		char *object = put_pages(pc, pages);

		store_relaxed(&pc->learn[class].count, COUNT_WARM);
		cache_after_free(pc, page_granule(pc, pages));
		memset(quire_per_cpu_ptr(object, 1), 1, pages * page_bytes(q));
		quire_free_percpu(q, object);
		assert_int_equal(cache_count(pc), 1);
		assert_int_equal(pc->page[place_page(pc, place_of(pc, object))].cached, 1);
		assert_true(cache_is_sound(pc));
		assert_int_equal(*(char *)quire_per_cpu_ptr(object, 0), 0);
		assert_ptr_equal(quire_alloc_percpu(q, pages * page_bytes(q), 0, 0), object);
		for (size_t i = 0; i < pages * page_bytes(q); i++)
			assert_int_equal(((char *)quire_per_cpu_ptr(object, 1))[i], 0);
		give_at(pc, place_granule(place_of(pc, object)));
	}
}

/* One that does not begin with a page, or does not end with one, takes the maps. */
static void parts_of_pages_do_not(void **state)
{
	struct quire *q = *state;
	struct percpu *pc = q->percpu;
	uint32_t first = page_granule(pc, bit_lowest(pc->chunk[0].free)), page = page_granules(pc);

	if (pc->stacks.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	store_relaxed(&pc->learn[CACHE_SMALL_NR].count, COUNT_WARM);
	cache_after_free(pc, page);
	quire_free_percpu(q, put_at(pc, first + 8, page));
	quire_free_percpu(q, put_at(pc, first, page - 1));
	quire_free_percpu(q, put_at(pc, first, page + 1));
	assert_int_equal(cache_count(pc), 0);
	assert_int_equal(percpu_stat(q).objects, 0);
}

/* Only what finds its stack full makes room there. */
static void parts_of_pages_leave_the_stack_of_whole_pages_alone(void **state)
{
	struct quire *q = *state;
	struct percpu *pc = q->percpu;
	uint32_t first, page = page_granules(pc);

	if (pc->stacks.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	store_relaxed(&pc->learn[CACHE_SMALL_NR].count, COUNT_WARM);
	cache_after_free(pc, page);
	quire_free_percpu(q, put_pages(pc, 1));
	assert_int_equal(cache_count(pc), 1);
	first = page_granule(pc, bit_lowest(pc->chunk[0].free));
	for (unsigned i = 0; i < 3; i++) {
		quire_free_percpu(q, put_at(pc, first + 8, page));
		assert_int_equal(cache_count(pc), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PERCPU_TEST(whole_pages_go_on_stacks),
		PERCPU_TEST(parts_of_pages_do_not),
		PERCPU_TEST(parts_of_pages_leave_the_stack_of_whole_pages_alone),
		PERCPU_TEST(each_size_at_each_offset_keeps_its_class),
		PERCPU_TEST(an_object_before_a_page_of_fours_keeps_its_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
