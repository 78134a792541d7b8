/* SPDX-License-Identifier: MIT */
/* Sparse slabs get no new users, so that they become empty; and several slabs in one take. */
#include "unit/slab/slab_case.h"

#include "slab/emptying.h"

#define PER_SLAB 64u /* objects of 1 KiB */
#define SLABS	 48u

static struct slab_case it;
static unsigned class;
static struct slab_class *c;
static void *objects[SLABS * PER_SLAB];

static int begin(void **state)
{
	(void)state;
	it = case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256),
								  .worker = QUIRE_WORKER_OFF));
	class = case_class(&it, 1024);
	c = &it.s->class[class];
	return 0;
}

static int end(void **state)
{
	(void)state;
	case_end(&it);
	return 0;
}

static unsigned byte_of(const void *object)
{
	return it.s->byte[(size_t)((const char *)object - it.s->base) >> it.s->page_shift];
}

/* Fills all slabs, then frees all but @left objects of each, one of each slab at a time. */
static void make_sparse(unsigned left)
{
	case_take(&it, class, objects, SLABS * PER_SLAB);
	for (unsigned i = left; i < PER_SLAB; i++)
		for (unsigned slab = 0; slab < SLABS; slab++)
			assert_int_equal(
				objects_give(it.s, class, &objects[slab * PER_SLAB + i], 1, 0), 1);
}

/* What is free in unmarked slabs is an eighth of what is in use and a slab, and less than a slab beyond. */
static void sparse_slabs_are_marked_down_to_what_is_wanted(void **state)
{
	(void)state;
	make_sparse(8);
	objects_tick(it.s, class);
	case_verify(&it, class);
	assert_true(c->emptying_nr > SLABS / 2);
	assert_true(class_usable_free(c) >= class_wanted_free(c));
	assert_true(class_usable_free(c) < class_wanted_free(c) + PER_SLAB);
}

/* The same without a turn in between. */
static void make_sparse_unnoticed(void)
{
	case_take(&it, class, objects, SLABS * PER_SLAB);
	for (unsigned i = 0; i < SLABS * PER_SLAB; i++) {
		c->turns = 0;
		if (i % PER_SLAB >= 8)
			assert_int_equal(objects_give(it.s, class, &objects[i], 1, 0), 1);
	}
	c->turns = 0;
	assert_u64_eq(c->emptying_nr, 0);
}

/* Eight in a turn, and the caller is told to come again. */
static void a_turn_marks_a_few(void **state)
{
	(void)state;
	make_sparse_unnoticed();
	for (unsigned turn = 1; turn <= 2; turn++) {
		lock_token token = lock_acquire(&c->lock);

		assert_true(slab_emptying_choose_locked(it.s, c));
		lock_release(&c->lock, token);
		assert_u64_eq(c->emptying_nr, 8 * turn);
	}
}

/* Nothing is given: what is freed stays on sheaves and in the barn. */
static void takes_alone_mark_sparse_slabs(void **state)
{
	void *taken[64];

	(void)state;
	make_sparse_unnoticed();
	for (unsigned i = 0; i < 64; i++)
		case_take(&it, class, &taken[i], 1);
	assert_in_range(c->emptying_nr, 8, SLABS);
	assert_int_equal(objects_give(it.s, class, taken, 64, 0), 64);
	case_verify(&it, class);
}

/* As malloc_trim() and a visit do it. */
static void a_shrink_marks_all_sparse_slabs_at_once(void **state)
{
	(void)state;
	make_sparse_unnoticed();
	objects_shrink(it.s, class);
	assert_true(c->emptying_nr > SLABS / 2);
	assert_true(class_usable_free(c) < class_wanted_free(c) + PER_SLAB);
	case_verify(&it, class);
}

static void a_class_that_is_half_full_is_left_alone(void **state)
{
	(void)state;
	make_sparse(PER_SLAB / 2 + 4);
	objects_tick(it.s, class);
	assert_u64_eq(c->emptying_nr, 0);
}

/* All frames say so, and no object is taken from there. */
static void a_marked_slab_gets_no_user_and_leaves_when_it_is_empty(void **state)
{
	uint64_t marked, slabs;
	void *more[4 * PER_SLAB];
	unsigned got;

	(void)state;
	make_sparse(8);
	marked = c->emptying_nr;
	slabs = c->slabs_nr;
	got = objects_take(it.s, class, more, 4 * PER_SLAB, 0);
	assert_true(got != 0);
	for (unsigned i = 0; i < got; i++)
		assert_int_equal(byte_of(more[i]), class);
	objects_give(it.s, class, more, got, 0);
	for (unsigned slab = 0; slab < SLABS; slab++) {
		if (byte_of(objects[slab * PER_SLAB]) < BYTE_EMPTYING)
			continue;
		assert_int_equal(objects_check(it.s, objects[slab * PER_SLAB], "test"), class);
		for (unsigned i = 0; i < 8; i++)
			assert_true(objects_give_one(it.s, class, objects[slab * PER_SLAB + i], 0));
		assert_int_equal(byte_of(objects[slab * PER_SLAB]), 0);
		case_verify(&it, class);
	}
	assert_true(marked != 0 && c->slabs_nr <= slabs - marked);
}

static void a_class_that_would_grow_unmarks_first(void **state)
{
	uint64_t marked, slabs, got = 0;
	void *object;

	(void)state;
	make_sparse(8);
	objects_tick(it.s, class);
	marked = c->emptying_nr;
	slabs = c->slabs_nr;
	while (objects_take(it.s, class, &object, 1, 0) != 0)
		got++;
	assert_int_equal(objects_grow(it.s, class, 0), 0);
	assert_u64_eq(c->emptying_nr, marked - 1);
	assert_int_equal(objects_take(it.s, class, &object, 1, 0), 1);
	assert_int_equal(byte_of(object), class);
	while (c->emptying_nr != 0)
		assert_int_equal(objects_grow(it.s, class, 0), 0);
	assert_u64_eq(c->slabs_nr, slabs);
	assert_int_equal(objects_grow(it.s, class, 0), 0);
	assert_true(c->slabs_nr > slabs);
	case_verify(&it, class);
}

/* Random replacement: the class packs into little more than what is in use. */
static void random_churn_packs_a_sparse_class(void **state)
{
	unsigned nr = SLABS * 8, used = 0;
	uint64_t seed = 1;

	(void)state;
	make_sparse(8);
	for (unsigned slab = 0; slab < SLABS; slab++)
		for (unsigned i = 0; i < 8; i++)
			objects[used++] = objects[slab * PER_SLAB + i];
	for (unsigned i = 0; i < 20 * nr; i++) {
		void **one;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		one = &objects[(seed >> 33) % nr];
		assert_int_equal(objects_give(it.s, class, one, 1, 0), 1);
		case_take(&it, class, one, 1);
	}
	objects_tick(it.s, class);
	objects_tick(it.s, class);
	/* 6 slabs full, an eighth, a slab; half as much again for what is not quite empty. */
	assert_true(c->slabs_nr <= 12);
	case_verify(&it, class);
}

/* ---- several slabs ---- */

static void one_take_empties_slab_after_slab(void **state)
{
	unsigned got;

	(void)state;
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(objects_grow(it.s, class, 0), 0);
	case_verify(&it, class);
	got = objects_take(it.s, class, objects, SLABS * PER_SLAB, 0);
	assert_int_equal(got, 7 * PER_SLAB);
	for (unsigned i = 0; i < got; i++) {
		memset(objects[i], (int)i, 1024);
		assert_int_equal(objects_check(it.s, objects[i], "test"), class);
	}
	assert_null(objects_take_one(it.s, class, 0));
	case_verify(&it, class);
	for (unsigned i = 0; i < got; i++)
		assert_int_equal(*(unsigned char *)objects[i], (unsigned char)i);
	for (unsigned i = 0; i < 4 * PER_SLAB; i++)
		assert_true(objects_give_one(it.s, class, objects[i], 0));
	got -= 4 * PER_SLAB;
	assert_int_equal(objects_give(it.s, class, objects + 4 * PER_SLAB, got, 0), got);
	case_verify(&it, class);
	assert_true(objects_shrink(it.s, class) != 0);
	assert_u64_eq(c->slabs_nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sparse_slabs_are_marked_down_to_what_is_wanted,
						begin, end),
		cmocka_unit_test_setup_teardown(a_turn_marks_a_few, begin, end),
		cmocka_unit_test_setup_teardown(takes_alone_mark_sparse_slabs, begin, end),
		cmocka_unit_test_setup_teardown(a_shrink_marks_all_sparse_slabs_at_once, begin,
						end),
		cmocka_unit_test_setup_teardown(a_class_that_is_half_full_is_left_alone, begin,
						end),
		cmocka_unit_test_setup_teardown(
			a_marked_slab_gets_no_user_and_leaves_when_it_is_empty, begin, end),
		cmocka_unit_test_setup_teardown(a_class_that_would_grow_unmarks_first, begin, end),
		cmocka_unit_test_setup_teardown(random_churn_packs_a_sparse_class, begin, end),
		cmocka_unit_test_setup_teardown(one_take_empties_slab_after_slab, begin, end),
	};

	return cmocka_run_group_tests_name("slab_emptying", tests, NULL, NULL);
}
