/* SPDX-License-Identifier: MIT */
/*
 * coarse_test.c - which classes are open at first, and when others open
 *
 * A test says that a class grows for a size; the class holds nothing, so that it holds much is said, too.
 */
#include "machine/atomic.h"
#include "machine/lock.h"
#include "malloc/coarse.h"
#include "table_scene.h"

#define HOST_RECORDS 16u /* 1 MiB: as in coarse.c */

static struct table_scene it;
static struct malloc_coarse coarse;

static int begin(void **state)
{
	(void)state;
	memset(&it, 0, sizeof(it));
	memset(&coarse, 0, sizeof(coarse));
	table_scene_begin(&it, false);
	malloc_coarse_begin(&coarse, it.s, it.table);
	return 0;
}

static int end(void **state)
{
	(void)state;
	quire_destroy(it.q);
	return 0;
}

static unsigned class_for(size_t bytes)
{
	return table_scene_class(&it, bytes);
}

static uint32_t bytes_for(size_t bytes)
{
	return malloc_table_bytes(class_for(bytes));
}

/* The class for @bytes has no object left.  The size of what serves the next block. */
static uint32_t grow(size_t bytes)
{
	unsigned class = malloc_coarse_grows(&coarse, class_for(bytes), table_place(bytes));

	assert_int_equal(class, class_for(bytes));
	malloc_coarse_grown(&coarse, class, table_place(bytes));
	return malloc_table_bytes(class);
}

static void hold_records(size_t bytes, unsigned records)
{
	unsigned class = class_for(bytes);
	struct slab_class *c = &it.s->class[class];

	assert_int_equal(class_make(it.s, class, malloc_table_bytes(class)), 0);
	c->slabs_nr = records / (class_slab_bytes(c->size) >> SLAB_SHIFT);
}

static void hold_nothing(size_t bytes)
{
	it.s->class[class_for(bytes)].slabs_nr = 0;
}

/* ---- at first ---- */

static void at_first_a_block_wastes_a_third_at_most_and_large_ones_half(void **state)
{
	(void)state;
	table_scene_check(&it);
	for (size_t bytes = 16; bytes <= MALLOC_SMALL_MAX; bytes += 16) {
		size_t wasted = bytes_for(bytes) - bytes;

		assert_true(bytes > 64 || wasted == 0);
		assert_true(bytes > 4096 || wasted < bytes_for(bytes) / 3 + 1);
		assert_true(wasted < bytes_for(bytes) / 2);
	}
}

/* malloc_check_bytes() and malloc_class_aligned() count on these. */
static void powers_of_two_are_always_open(void **state)
{
	(void)state;
	for (size_t bytes = 16; bytes <= MALLOC_SMALL_MAX; bytes *= 2)
		assert_int_equal(bytes_for(bytes), bytes);
}

static void of_all_classes_the_smallest_is_found(void **state)
{
	uint8_t all[TABLE_ENTRIES];

	(void)state;
	malloc_table_fill(all, true);
	for (size_t place = 0; place < TABLE_ENTRIES; place++)
		assert_int_equal(malloc_table_class(place), all[place]);
}

/* The sums at the top of coarse.c. */
static void closed_classes_lose_less_than_their_slabs_would_take(void **state)
{
	uint64_t lost = 0, saved = 0;
	unsigned closed_nr = 0, hosts_nr = 0;

	(void)state;
	for (unsigned class = 1; class <= MALLOC_CLASSES_NR; class ++) {
		uint32_t bytes = malloc_table_bytes(class);

		if (bytes_for(bytes) != bytes) {
			closed_nr++;
			saved += class_slab_bytes(bytes);
		} else if (class > 1 && class_for(malloc_table_bytes(class - 1)) == class) {
			hosts_nr++;
			lost += (HOST_RECORDS << SLAB_SHIFT) / (bytes > 4096 ? 2 : 3);
		}
	}
	print_message("%u closed, %u hosts: %llu KiB lost, %llu saved\n", closed_nr, hosts_nr,
		      (unsigned long long)(lost >> 10), (unsigned long long)(saved >> 10));
	assert_true(lost < saved);
}

/* ---- opening ---- */

static void a_class_opens_when_its_host_grew_for_it_by_a_slab(void **state)
{
	(void)state;
	assert_int_equal(grow(300), 384);
	assert_int_equal(coarse.grown[malloc_table_class(table_place(300))], 1);
	assert_int_equal(grow(350), 384);
	assert_int_equal(grow(300), 304);
	table_scene_check(&it);
	assert_int_equal(bytes_for(320), 384);
	assert_int_equal(grow(350), 352);
	assert_int_equal(bytes_for(320), 352);
	table_scene_check(&it);
}

/* The system refuses the memory: nothing has grown, so nothing opens. */
static void a_refused_growth_earns_nothing(void **state)
{
	size_t place = table_place(300);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(malloc_coarse_grows(&coarse, class_for(300), place),
				 class_for(384));
	assert_int_equal(coarse.grown[malloc_table_class(place)], 0);
	assert_int_equal(bytes_for(300), 384);
}

/* Slabs of 256 KiB are earned by four of 64. */
static void a_larger_slab_is_earned_later(void **state)
{
	(void)state;
	assert_int_equal(class_slab_bytes(8192), 64 << 10);
	assert_int_equal(class_slab_bytes(5504), 256 << 10);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(grow(5500), 8192);
	assert_int_equal(grow(5500), 5504);
	table_scene_check(&it);
}

/* A smaller closed class below one that opens has that as its host. */
static void smaller_closed_classes_move_along(void **state)
{
	(void)state;
	grow(450);
	assert_int_equal(grow(450), 464);
	assert_int_equal(bytes_for(385), 464);
	assert_int_equal(bytes_for(384), 384);
	assert_int_equal(bytes_for(465), 512);
	grow(400);
	assert_int_equal(grow(400), 400);
	assert_int_equal(bytes_for(401), 464);
	table_scene_check(&it);
}

static void what_the_host_grows_by_for_itself_opens_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(grow(512), 512);
	assert_int_equal(bytes_for(400), 512);
	assert_int_equal(grow(400), 512);
}

/* Whoever makes it grow. */
static void a_large_host_serves_its_own_sizes_only(void **state)
{
	(void)state;
	hold_records(4096, HOST_RECORDS - 1);
	assert_int_equal(grow(4096), 4096);
	assert_int_equal(bytes_for(3000), 4096);
	hold_records(4096, HOST_RECORDS);
	assert_int_equal(grow(4096), 4096);
	assert_int_equal(bytes_for(3000), 3136);
	assert_int_equal(bytes_for(2944), 2944);
	assert_int_equal(bytes_for(3900), 3904);
	assert_int_equal(bytes_for(3905), 4096);
	hold_nothing(4096);
	hold_records(256, HOST_RECORDS);
	assert_int_equal(grow(230), 240);
	assert_int_equal(bytes_for(200), 208);
	hold_nothing(256);
	table_scene_check(&it);
}

static void an_aligned_block_opens_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(malloc_coarse_grows(&coarse, class_for(4096), table_place(2100)),
				 class_for(4096));
	assert_int_equal(bytes_for(2100), 2944);
}

/* A class of learn.c's, whose number is above all of these, is where it was put. */
static void a_learnt_class_stays(void **state)
{
	uint8_t learnt = MALLOC_CLASSES_NR + 1;

	(void)state;
	malloc_table_open(it.table, table_place(3136), learnt);
	assert_int_equal(malloc_coarse_grows(&coarse, learnt, table_place(3000)), learnt);
	hold_records(4096, HOST_RECORDS);
	assert_int_equal(grow(3500), 3520);
	hold_nothing(4096);
	assert_int_equal(class_for(3136), learnt);
	assert_int_equal(class_for(3000), learnt);
	assert_int_equal(bytes_for(3137), 3328);
}

/* Its memory is not even touched before it is made. */
static void a_class_without_objects_is_used_up(void **state)
{
	struct slab_class *c = &it.s->class[class_for(1000)];

	(void)state;
	assert_true(malloc_coarse_is_used_up(&coarse, class_for(1000)));
	assert_int_equal(class_make(it.s, class_for(1000), 1024), 0);
	assert_true(malloc_coarse_is_used_up(&coarse, class_for(1000)));
	c->free_nr = 1;
	assert_false(malloc_coarse_is_used_up(&coarse, class_for(1000)));
	c->free_nr = 0;
	c->barn.nr = 1;
	assert_false(malloc_coarse_is_used_up(&coarse, class_for(1000)));
	c->barn.nr = 0;
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(at_first_a_block_wastes_a_third_at_most_and_large_ones_half),
		CLAIM(powers_of_two_are_always_open),
		CLAIM(of_all_classes_the_smallest_is_found),
		CLAIM(closed_classes_lose_less_than_their_slabs_would_take),
		CLAIM(a_class_opens_when_its_host_grew_for_it_by_a_slab),
		CLAIM(a_refused_growth_earns_nothing),
		CLAIM(a_larger_slab_is_earned_later),
		CLAIM(smaller_closed_classes_move_along),
		CLAIM(what_the_host_grows_by_for_itself_opens_nothing),
		CLAIM(a_large_host_serves_its_own_sizes_only),
		CLAIM(an_aligned_block_opens_nothing),
		CLAIM(a_learnt_class_stays),
		CLAIM(a_class_without_objects_is_used_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
