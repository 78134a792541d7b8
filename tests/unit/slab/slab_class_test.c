/* SPDX-License-Identifier: MIT */
/* How slabs are cut, and which caches share a class. */
#include "unit/slab/slab_case.h"

static struct slab_case it;

static int begin(void **state)
{
	(void)state;
	it = case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64),
								  .worker = QUIRE_WORKER_OFF));
	return 0;
}

static int end(void **state)
{
	(void)state;
	case_end(&it);
	return 0;
}

static int get(size_t size, size_t align, enum class_kind kind, unsigned page_flags)
{
	int class;

	mutex_acquire(&it.s->mutex);
	class = class_get_locked(it.s, size, align, kind, page_flags);
	mutex_release(&it.s->mutex);
	return class;
}

static void put(int class)
{
	mutex_acquire(&it.s->mutex);
	class_put_locked(it.s, (unsigned)class);
	mutex_release(&it.s->mutex);
}

/* Every size that there can be, and every offset at which an object can begin or 16 bytes of it. */
static void number_is_exact_for_every_size_and_offset(void **state)
{
	struct slab_class c;
	unsigned wrong = 0;

	(void)state;
	for (uint32_t size = 16; size <= OBJECT_BYTES_MAX; size += 16) {
		class_cut(it.s, &c, size);
		for (uint32_t offset = 0; offset < slab_bytes(it.s, &c); offset += 16)
			wrong += object_number(&c, offset) != offset / size;
	}
	assert_int_equal(wrong, 0);
}

static void slabs_lose_little_and_hold_enough(void **state)
{
	struct slab_class c;

	(void)state;
	for (uint32_t size = 16; size <= OBJECT_BYTES_MAX; size += 16) {
		class_cut(it.s, &c, size);
		size_t lost = slab_bytes(it.s, &c) - (size_t)c.per_slab * size;

		assert_true(lost < size);
		assert_true(c.order == 4 || c.order == 6);
		assert_true(c.order == 6 || (lost <= KIB(1) && c.per_slab >= 8));
		assert_true(size > KIB(1) || c.order == 4);
		assert_true(c.per_slab <= 64 * MAP_WORDS && c.per_slab >= 8);
		/* A slab with one free object is in the fullest bin, with one used one in the sparsest. */
		assert_int_equal((c.per_slab - 1) * c.bin_scale >> BIN_SHIFT,
				 (c.per_slab - 1) * 16 / c.per_slab);
		assert_true((1 * c.bin_scale >> BIN_SHIFT) < BINS_NR / 2);
	}
}

static void plain_caches_of_one_size_share_a_class(void **state)
{
	int class = get(50, 8, CLASS_PLAIN, 0);

	(void)state;
	assert_true(class > 0);
	assert_int_equal(it.s->class[class].size, 64);
	assert_int_equal(get(64, 64, CLASS_PLAIN, 0), class);
	assert_int_equal(get(33, 32, CLASS_PLAIN, 0), class);
	assert_int_not_equal(get(64, 16, CLASS_PLAIN, QUIRE_RECLAIMABLE), class);
	assert_int_not_equal(get(64, 16, CLASS_CONSTRUCTED, 0), class);
	assert_int_not_equal(get(80, 16, CLASS_PLAIN, 0), class);
	put(class);
	put(class);
	assert_int_equal(get(64, 16, CLASS_PLAIN, 0), class);
	put(class);
	put(class);
	assert_false(it.s->ready[class]);
}

static void construct(void *object, void *arg)
{
	(void)object;
	(*(unsigned *)arg)++;
}

/* A number that is used again has nothing of the class that had it before. */
static void a_class_begins_anew(void **state)
{
	int class = get(64, 16, CLASS_CONSTRUCTED, QUIRE_RECLAIMABLE);
	unsigned constructed = 0;
	void *object;

	(void)state;
	it.s->class[class].construct = construct;
	it.s->class[class].construct_arg = &constructed;
	case_take(&it, (unsigned)class, &object, 1);
	assert_int_equal(constructed, 1024);
	assert_int_equal(objects_give(it.s, (unsigned)class, &object, 1, 0), 1);
	put(class);
	assert_int_equal(get(4096, 16, CLASS_PLAIN, 0), class);
	case_take(&it, (unsigned)class, &object, 1);
	assert_int_equal(constructed, 1024);
	assert_int_equal(it.s->class[class].page_flags, 0);
	assert_u64_eq(it.s->class[class].free_nr, 15);
	case_verify(&it, (unsigned)class);
}

static void sizes_and_alignments_that_cannot_be_are_refused(void **state)
{
	(void)state;
	assert_int_equal(get(0, 16, CLASS_PLAIN, 0), -EINVAL);
	assert_int_equal(get(OBJECT_BYTES_MAX + 1, 16, CLASS_PLAIN, 0), -EINVAL);
	assert_int_equal(get(64, 48, CLASS_PLAIN, 0), -EINVAL);
	assert_int_equal(get(64, 8192, CLASS_PLAIN, 0), -EINVAL);
	assert_int_equal(get(SIZE_MAX, 16, CLASS_PLAIN, 0), -EINVAL);
	assert_true(get(OBJECT_BYTES_MAX, 4096, CLASS_PLAIN, 0) > 0);
	assert_true(get(1, 0, CLASS_PLAIN, 0) > 0);
}

static void the_128th_class_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 1; i < CLASSES_MAX; i++)
		assert_true(get(64, 16, CLASS_CONSTRUCTED, 0) > 0);
	assert_int_equal(get(64, 16, CLASS_CONSTRUCTED, 0), -ENOSPC);
	put(1);
	assert_int_equal(get(64, 16, CLASS_PLAIN, 0), 1);
}

/* Malloc's numbers are from 1 on; caches take the highest ones. */
static void a_class_is_made_once(void **state)
{
	int class = get(64, 16, CLASS_PLAIN, 0);

	(void)state;
	assert_int_equal(class, CLASSES_MAX - 1);
	assert_int_equal(class_make(it.s, 1, 48), 0);
	assert_int_equal(class_make(it.s, 1, 48), 0);
	assert_int_equal(it.s->class[1].per_slab, 65536 / 48);
	assert_int_equal(get(48, 16, CLASS_PLAIN, 0), 1);
	put(1);
	assert_true(it.s->ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(number_is_exact_for_every_size_and_offset, begin,
						end),
		cmocka_unit_test_setup_teardown(slabs_lose_little_and_hold_enough, begin, end),
		cmocka_unit_test_setup_teardown(plain_caches_of_one_size_share_a_class, begin, end),
		cmocka_unit_test_setup_teardown(a_class_begins_anew, begin, end),
		cmocka_unit_test_setup_teardown(sizes_and_alignments_that_cannot_be_are_refused,
						begin, end),
		cmocka_unit_test_setup_teardown(the_128th_class_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(a_class_is_made_once, begin, end),
	};

	return cmocka_run_group_tests_name("slab_class", tests, NULL, NULL);
}
