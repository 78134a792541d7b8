/* SPDX-License-Identifier: MIT */
/* Objects out of slabs and back: apart, aligned, from the fullest slab; empty slabs are kept, and leave. */
#include "unit/slab/slab_case.h"

#define PER_SLAB 64u /* objects of 1 KiB */
#define PIECES	 8u

static struct slab_case it;
static void *objects[64 * PER_SLAB];

static int begin(void **state)
{
	(void)state;
	it = case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256),
								  .worker = QUIRE_WORKER_OFF));
	return 0;
}

static int end(void **state)
{
	(void)state;
	case_end(&it);
	return 0;
}

static uint64_t allocated_pages(void)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	assert_int_equal(quire_page_stat_read(it.q, &stat), 0);
	return stat.allocated_pages;
}

static void give(unsigned class, void *const *from, unsigned n)
{
	assert_int_equal(objects_give(it.s, class, from, n, 0), n);
}

static void fill(void *object, uint32_t size, uint32_t number)
{
	for (uint32_t byte = 0; byte < size; byte += 4)
		memcpy((char *)object + byte, &number, 4);
}

/* Fills each object of several slabs with its number, and reads all of them afterwards. */
static void check_size(uint32_t size)
{
	unsigned class = case_class(&it, size);
	uint32_t n = 2 * it.s->class[class].per_slab + 3;
	void **taken = malloc(n * sizeof(*taken));

	case_take(&it, class, taken, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_u64_eq((uintptr_t)taken[i] % (size & -size), 0);
		assert_int_equal(objects_check(it.s, taken[i], "test"), class);
		fill(taken[i], size, i);
	}
	for (uint32_t i = 0; i < n; i++) {
		const char *object = taken[i];

		assert_memory_equal(object, &i, 4);
		assert_memory_equal(object, object + 4, size - 4);
	}
	case_verify(&it, class);
	give(class, taken, n);
	case_verify(&it, class);
	free(taken);
	mutex_acquire(&it.s->mutex);
	class_put_locked(it.s, class);
	mutex_release(&it.s->mutex);
}

static void objects_of_every_size_are_apart_and_aligned(void **state)
{
	(void)state;
	for (uint32_t size = 16; size <= 256; size += 16)
		check_size(size);
	for (uint32_t size = 256; size <= OBJECT_BYTES_MAX; size += size / 256 * 16)
		check_size(size);
	assert_u64_eq(allocated_pages(), 0);
}

static void a_take_is_ascending_and_of_the_fullest_slab(void **state)
{
	unsigned class = case_class(&it, 1024);
	void *more[3 * PER_SLAB];

	(void)state;
	case_take(&it, class, objects, 3 * PER_SLAB);
	give(class, objects, 10);		 /* of the first slab */
	give(class, objects + PER_SLAB, 30);	 /* of the second */
	give(class, objects + 2 * PER_SLAB, 20); /* of the third */
	assert_int_equal(objects_take(it.s, class, more, 3 * PER_SLAB, 0), 60);
	for (unsigned i = 0; i < 60; i++) {
		unsigned slab = i < 10 ? 0 : i < 30 ? 2 : 1;

		assert_int_equal(record_of(it.s, more[i]),
				 record_of(it.s, objects[slab * PER_SLAB]));
		assert_true(i == 0 || i == 10 || i == 30 || more[i] > more[i - 1]);
	}
	assert_int_equal(objects_take(it.s, class, more, 1, 0), 0);
	case_verify(&it, class);
}

static void the_slab_that_changed_last_comes_first_in_a_bin(void **state)
{
	unsigned class = case_class(&it, 1024);
	void *object;

	(void)state;
	case_take(&it, class, objects, 3 * PER_SLAB);
	for (unsigned i = 0; i < 3; i++)
		give(class, objects + i * PER_SLAB, 1);
	assert_int_equal(objects_take(it.s, class, &object, 1, 0), 1);
	assert_ptr_equal(object, objects[2 * PER_SLAB]);
	case_verify(&it, class);
}

/* What is free stays within an eighth of what is in use and a slab, beside a rest of one slab. */
static void empty_slabs_are_kept_in_proportion(void **state)
{
	unsigned class = case_class(&it, 1024);
	struct objects_count count;

	(void)state;
	case_take(&it, class, objects, 60 * PER_SLAB);
	for (unsigned left = 60; left != 0; left--) {
		give(class, objects + (left - 1) * PER_SLAB, PER_SLAB);
		objects_count(it.s, class, &count);
		assert_true(count.free < (left - 1) * PER_SLAB / 8 + 2 * PER_SLAB);
		assert_u64_eq(count.objects, count.slabs * PER_SLAB);
		assert_u64_eq(count.objects - count.free, (left - 1) * PER_SLAB);
		assert_u64_eq(allocated_pages(), count.slabs * 16);
		case_verify(&it, class);
	}
	assert_u64_eq(count.slabs, 1);
	assert_u64_eq(objects_shrink(it.s, class), KIB(64));
	assert_u64_eq(allocated_pages(), 0);
	case_verify(&it, class);
}

/* A visit gives back what was empty for all of the time since the one before. */
static void an_idle_class_gives_its_empty_slabs_back(void **state)
{
	unsigned class = case_class(&it, 1024);

	(void)state;
	case_take(&it, class, objects, 2 * PER_SLAB);
	give(class, objects, 2 * PER_SLAB);
	assert_u64_eq(allocated_pages(), 16);
	assert_true(objects_tick(it.s, class));
	case_take(&it, class, objects, 1);
	give(class, objects, 1);
	assert_true(objects_tick(it.s, class)); /* it was in use meanwhile */
	assert_u64_eq(allocated_pages(), 16);
	assert_false(objects_tick(it.s, class));
	assert_u64_eq(allocated_pages(), 0);
}

static void a_slab_that_left_serves_another_class(void **state)
{
	unsigned one = case_class(&it, 1024), other = case_class(&it, 48);
	void *object;

	(void)state;
	case_take(&it, one, objects, PER_SLAB);
	give(one, objects, PER_SLAB);
	objects_shrink(it.s, one);
	assert_int_equal(objects_check(it.s, objects[0], "test"), 0);
	case_take(&it, other, &object, 1);
	assert_int_equal(record_of(it.s, object),
			 record_of(it.s, objects[0])); /* pages are last in, first out */
	assert_int_equal(objects_check(it.s, object, "test"), other);
	case_verify(&it, one);
	case_verify(&it, other);
}

/* A class that has many slabs still takes runs of a slab's size, which others freed, and no fresh memory. */
static void a_busy_class_grows_into_free_pieces(void **state)
{
	unsigned class = case_class(&it, 1024);
	void *runs[2 * PIECES];

	(void)state;
	case_take(&it, class, objects, 40 * PER_SLAB);
	for (unsigned i = 0; i < 2 * PIECES; i++)
		assert_non_null(runs[i] = quire_alloc_pages(it.q, 4, 0));
	for (unsigned i = 0; i < 2 * PIECES; i += 2)
		quire_free_pages(it.q, runs[i], 4);
	for (unsigned i = 0; i < PIECES; i++) {
		assert_int_equal(objects_grow(it.s, class, 0), 0);
		assert_u64_eq(it.s->class[class].slabs_nr, 41 + i);
	}
	for (unsigned i = 0; i < 2 * PIECES; i += 2)
		assert_int_equal(slab_at(it.s, record_of(it.s, runs[i]))->class, class);
	for (unsigned i = 1; i < 2 * PIECES; i += 2)
		quire_free_pages(it.q, runs[i], 4);
	give(class, objects, 40 * PER_SLAB);
	objects_shrink(it.s, class);
	assert_u64_eq(allocated_pages(), 0);
	assert_int_equal(quire_verify(it.q), 0);
}

/* The test holds the lock, so every try is refused, and nothing has changed afterwards. */
static void a_refused_try_changes_nothing(void **state)
{
	unsigned class = case_class(&it, 1024);
	struct slab_class *c = &it.s->class[class];
	void *object;
	lock_token token;

	(void)state;
	case_take(&it, class, objects, 10);
	assert_int_equal(lock_try(&c->lock, &token), true);
	assert_int_equal(objects_take(it.s, class, &object, 1, QUIRE_NOLOCK), 0);
	assert_null(objects_take_one(it.s, class, QUIRE_NOLOCK));
	assert_int_equal(objects_give(it.s, class, objects, 1, QUIRE_NOLOCK), 0);
	assert_false(objects_give_one(it.s, class, objects[0], QUIRE_NOLOCK));
	lock_release(&c->lock, token);
	assert_int_equal(objects_grow(it.s, class, 0), 0); /* the buddy has single slabs now */
	token = lock_acquire(&c->lock);
	assert_int_equal(objects_grow(it.s, class, QUIRE_NOLOCK), -EAGAIN);
	lock_release(&c->lock, token);
	assert_u64_eq(allocated_pages(), 32);
	assert_u64_eq(it.s->step_slabs[0], 2);
	assert_true(objects_give_one(it.s, class, objects[0], QUIRE_NOLOCK));
	case_verify(&it, class);
}

/* Each hold of the lock, of 64 objects at most, is a turn. */
static void many_objects_go_back_in_several_holds(void **state)
{
	unsigned class = case_class(&it, 16), n = 200;

	(void)state;
	case_take(&it, class, objects, n);
	it.s->class[class].turns = 0;
	give(class, objects, n);
	assert_int_equal(it.s->class[class].turns, 4);
}

/* Pages of reclaimable caches come from blocks of that type. */
static void page_flags_of_a_class_reach_the_pages(void **state)
{
	int class;

	(void)state;
	mutex_acquire(&it.s->mutex);
	class = class_get_locked(it.s, 1024, 16, CLASS_PLAIN, QUIRE_RECLAIMABLE);
	mutex_release(&it.s->mutex);
	case_take(&it, (unsigned)class, objects, 1);
	assert_int_equal(pages_of(it.q)->tag[record_of(it.s, objects[0]) / 32] & TAG_TYPE,
			 TYPE_RECLAIMABLE);
}

struct constructed {
	unsigned nr;
};

static void construct(void *object, void *arg)
{
	struct constructed *all = arg;

	memset(object, 0x5a, 1024);
	all->nr++;
}

static void constructor_runs_on_each_object_of_a_slab(void **state)
{
	struct constructed all = { .nr = 0 };
	int class;

	(void)state;
	mutex_acquire(&it.s->mutex);
	class = class_get_locked(it.s, 1024, 16, CLASS_CONSTRUCTED, 0);
	mutex_release(&it.s->mutex);
	it.s->class[class].construct = construct;
	it.s->class[class].construct_arg = &all;
	case_take(&it, (unsigned)class, objects, PER_SLAB);
	assert_int_equal(all.nr, PER_SLAB);
	for (unsigned i = 0; i < PER_SLAB; i++)
		assert_int_equal(((char *)objects[i])[16 * (PER_SLAB - 1)], 0x5a);
	give((unsigned)class, objects, PER_SLAB);
	assert_u64_eq(case_unback(&it, (unsigned)class), 0);
	case_take(&it, (unsigned)class, objects, PER_SLAB);
	assert_int_equal(all.nr, PER_SLAB);
}

/* Of a class's first slab, which is used from its beginning on, only what somebody can have written counts as memory
 * for which a worker is worth its thread: 4 of 64 pieces are one page. */
static void the_rest_of_a_first_slab_is_fresh(void **state)
{
	unsigned class = case_class(&it, 1024);
	const uint64_t *fresh = &pages_of(it.q)->fresh_pages;

	(void)state;
	case_take(&it, class, objects, 1);
	assert_u64_eq(*fresh, 15);
	case_take(&it, class, objects + 1, 4);
	assert_u64_eq(*fresh, 14);
	give(class, objects, 5);
	assert_u64_eq(*fresh, 14);
	case_take(&it, class, objects, PER_SLAB);
	assert_u64_eq(*fresh, 0);
	case_take(&it, class, objects + PER_SLAB, 1);
	assert_u64_eq(*fresh, 0);
	give(class, objects, PER_SLAB + 1);
	objects_shrink(it.s, class);
	case_take(&it, class, objects, 1);
	assert_u64_eq(*fresh, 15);
	give(class, objects, 1);
	objects_shrink(it.s, class);
	assert_u64_eq(*fresh, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(objects_of_every_size_are_apart_and_aligned, begin,
						end),
		cmocka_unit_test_setup_teardown(a_take_is_ascending_and_of_the_fullest_slab, begin,
						end),
		cmocka_unit_test_setup_teardown(the_slab_that_changed_last_comes_first_in_a_bin,
						begin, end),
		cmocka_unit_test_setup_teardown(empty_slabs_are_kept_in_proportion, begin, end),
		cmocka_unit_test_setup_teardown(an_idle_class_gives_its_empty_slabs_back, begin,
						end),
		cmocka_unit_test_setup_teardown(a_slab_that_left_serves_another_class, begin, end),
		cmocka_unit_test_setup_teardown(a_busy_class_grows_into_free_pieces, begin, end),
		cmocka_unit_test_setup_teardown(a_refused_try_changes_nothing, begin, end),
		cmocka_unit_test_setup_teardown(many_objects_go_back_in_several_holds, begin, end),
		cmocka_unit_test_setup_teardown(page_flags_of_a_class_reach_the_pages, begin, end),
		cmocka_unit_test_setup_teardown(the_rest_of_a_first_slab_is_fresh, begin, end),
		cmocka_unit_test_setup_teardown(constructor_runs_on_each_object_of_a_slab, begin,
						end),
	};

	return cmocka_run_group_tests_name("slab_objects", tests, NULL, NULL);
}
