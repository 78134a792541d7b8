/* SPDX-License-Identifier: MIT */
/*
 * learn_test.c - which sizes malloc learns
 *
 * A test says by how much a class grew for a size; the class holds nothing, so that it holds much is said, too.
 */
#include <errno.h>

#include <quire/slab.h>

#include "machine/atomic.h"
#include "malloc/learn.h"
#include "table_scene.h"

#define RECORD_MIB 16u /* records of 64 KiB in a MiB */

static struct table_scene it;
static struct malloc_learn learn;

static int begin(void **state)
{
	(void)state;
	memset(&it, 0, sizeof(it));
	memset(&learn, 0, sizeof(learn));
	table_scene_begin(&it, true);
	malloc_learn_begin(&learn, it.s, it.table);
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

static uint32_t bytes_of(size_t bytes)
{
	return it.s->class[class_for(bytes)].size;
}

/* Blocks of @bytes make their class grow by @mib, which holds @held_mib then. */
static void grow(size_t bytes, unsigned mib, unsigned held_mib)
{
	unsigned class = class_for(bytes);
	struct slab_class *c = &it.s->class[class];
	unsigned slab_records;

	if (class <= MALLOC_CLASSES_NR)
		assert_int_equal(class_make(it.s, class, malloc_table_bytes(class)), 0);
	slab_records = 1u << (c->order + it.s->page_shift - SLAB_SHIFT);
	c->slabs_nr = held_mib * RECORD_MIB / slab_records;
	for (unsigned i = 0; i < mib * RECORD_MIB / slab_records && class_for(bytes) == class; i++)
		malloc_learn_grown(&learn, class, table_place(bytes), 1);
	c->slabs_nr = 0;
}

static void a_size_that_made_a_class_grow_is_learnt(void **state)
{
	unsigned before = class_for(4200);

	(void)state;
	grow(4200, 14, 100);
	assert_int_equal(class_for(4200), before);
	grow(4200, 100, 15);
	assert_int_equal(class_for(4200), before);
	grow(4200, 1, 100);
	assert_true(class_for(4200) > MALLOC_CLASSES_NR);
	assert_int_equal(bytes_of(4200), 4208);
	assert_int_equal(learn.nr, 1);
	assert_int_equal(class_for(4209), before);
	table_scene_check(&it);
}

/* Of many sizes of a class the one that saves most in all: most below it, few above. */
static void the_size_that_saves_most_is_learnt(void **state)
{
	(void)state;
	grow(4112, 1, 1);
	grow(4144, 13, 1);
	grow(4160, 2, 1);
	grow(4176, 1, 1);
	grow(4336, 12, 1);
	grow(4200, 1, 100);
	assert_int_equal(bytes_of(4144), 4160);
	assert_int_equal(class_for(4200), class_for(4352));
	table_scene_check(&it);
}

static void a_size_that_saves_little_is_not(void **state)
{
	(void)state;
	grow(4336, 200, 200);
	grow(602, 200, 200);
	grow(250, 200, 200);
	grow(32700, 200, 200);
	assert_int_equal(learn.nr, 0);
	table_scene_check(&it);
}

/* As many blocks of 24,608 bytes fit into the largest slab as of 26,112: it is no use to cut smaller. */
static void what_a_slab_loses_at_its_end_counts(void **state)
{
	(void)state;
	assert_int_equal(class_cost(24608), class_cost(26112));
	grow(24600, 200, 200);
	assert_int_equal(learn.nr, 0);
	grow(25900, 200, 200);
	assert_int_equal(learn.nr, 0);
}

/* An aligned block of another class than its size's says nothing of either. */
static void a_block_of_another_class_teaches_nothing(void **state)
{
	struct slab_class *c = &it.s->class[class_for(8192)];

	(void)state;
	assert_int_equal(class_make(it.s, class_for(8192), 8192), 0);
	c->slabs_nr = 1000;
	malloc_learn_grown(&learn, class_for(8192), table_place(4200), 1000);
	c->slabs_nr = 0;
	assert_int_equal(learn.nr, 0);
	assert_int_equal(learn.grown[table_place(4200)], 0);
}

/* A class that was learnt can be found to be too large itself. */
static void within_a_learnt_class_another_is_learnt(void **state)
{
	(void)state;
	grow(5600, 20, 20);
	assert_int_equal(bytes_of(5600), 5600);
	assert_int_equal(bytes_of(5510), 5600);
	grow(5510, 100, 100);
	assert_int_equal(bytes_of(5510), 5520);
	assert_int_equal(bytes_of(5600), 5600);
	table_scene_check(&it);
}

/* The more was learnt the more another must save; some classes remain for caches, and then they are theirs. */
static void caches_have_classes_left(void **state)
{
	static const size_t sizes[] = { 4200, 4450, 4700, 4950, 5300, 5600,
					5900, 6300, 6700, 7050, 7500, 8300 };
	struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "other", .size = 100, .flags = QUIRE_CACHE_OWN);
	struct quire_cache *cache;
	unsigned caches_nr = 0;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		grow(sizes[i], 20, 20);
	assert_int_equal(learn.nr, 4);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		grow(sizes[i], 1000, 1000);
	assert_int_equal(learn.nr, LEARN_MAX);
	table_scene_check(&it);
	while (quire_cache_create(it.q, &options, &cache) == 0)
		caches_nr++;
	assert_int_equal(caches_nr, CLASSES_MAX - 1 - MALLOC_CLASSES_NR - LEARN_MAX);
	assert_true(caches_nr >= 5);
}

static void without_a_class_left_nothing_is_learnt(void **state)
{
	struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "other", .size = 100, .flags = QUIRE_CACHE_OWN);
	struct quire_cache *cache;

	(void)state;
	while (quire_cache_create(it.q, &options, &cache) == 0)
		;
	grow(4200, 1000, 1000);
	assert_int_equal(class_for(4200), class_for(4352));
	table_scene_check(&it);
}

/* ---- threads ---- */

static void grows(unsigned index, void *arg)
{
	unsigned class = *(const unsigned *)arg;

	(void)index;
	for (unsigned i = 0; i < 1000; i++)
		malloc_learn_grown(&learn, class, table_place(4200), 1);
}

static void two_threads_learn_one_class(void **state)
{
	unsigned class = class_for(4200);

	(void)state;
	assert_int_equal(class_make(it.s, class, malloc_table_bytes(class)), 0);
	store_relaxed(&it.s->class[class].slabs_nr, 1000);
	team_run(2, grows, &class);
	it.s->class[class].slabs_nr = 0;
	assert_int_equal(learn.nr, 1);
	assert_int_equal(bytes_of(4200), 4208);
	assert_int_equal(it.s->class[class_for(4200)].caches_nr, 1);
	table_scene_check(&it);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(a_size_that_made_a_class_grow_is_learnt),
		CLAIM(the_size_that_saves_most_is_learnt),
		CLAIM(a_size_that_saves_little_is_not),
		CLAIM(what_a_slab_loses_at_its_end_counts),
		CLAIM(a_block_of_another_class_teaches_nothing),
		CLAIM(within_a_learnt_class_another_is_learnt),
		CLAIM(caches_have_classes_left),
		CLAIM(without_a_class_left_nothing_is_learnt),
		CLAIM(two_threads_learn_one_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
