/* SPDX-License-Identifier: MIT */
/* Caches: options, constructors, destruction, bulk calls, the text. */
#include "unit/slab/cache_case.h"

#include "slab/class.h"

static int create(struct quire *q, struct quire_cache_options options)
{
	struct quire_cache *cache;

	return quire_cache_create(q, &options, &cache);
}

static void construct(void *object, void *arg)
{
	memset(object, 3, 40);
	++*(unsigned *)arg;
}

static void wrong_options_are_refused(void **state)
{
	struct cache_case it = case_begin_still(64);
	struct quire *q = it.q;

	(void)state;
	assert_int_equal(create(q, (struct quire_cache_options){ .name = "x", .size = 8 }),
			 -EINVAL);
#define OPTIONS(...) ((struct quire_cache_options)QUIRE_CACHE_OPTIONS_INIT(__VA_ARGS__))
	assert_int_equal(create(q, OPTIONS(.size = 8)), -EINVAL);
	assert_int_equal(create(q, OPTIONS(.name = "x")), -EINVAL);
	assert_int_equal(create(q, OPTIONS(.name = "x", .size = QUIRE_OBJECT_MAX + 1)), -EINVAL);
	assert_int_equal(create(q, OPTIONS(.name = "x", .size = 8, .align = 24)), -EINVAL);
	assert_int_equal(create(q, OPTIONS(.name = "x", .size = 8, .align = KIB(128))), -EINVAL);
	assert_int_equal(create(q, OPTIONS(.name = "x", .size = 8, .flags = 1u << 20)), -EINVAL);
	assert_int_equal(create(q, OPTIONS(.name = "x", .size = 8, .construct = construct,
					   .flags = QUIRE_CACHE_POISON)),
			 -EINVAL);
	assert_int_equal(create(q, OPTIONS(.name = "x", .size = QUIRE_OBJECT_MAX,
					   .flags = QUIRE_CACHE_RED_ZONE)),
			 -EINVAL);
	assert_int_equal(create(q, OPTIONS(.name = "x", .size = QUIRE_OBJECT_MAX)), 0);
	errno = 0;
	assert_null(quire_cache_alloc(it.cache, QUIRE_MOVABLE));
	assert_int_equal(errno, EINVAL);
	case_end(&it);
}

static void equal_caches_share_a_class_and_others_do_not(void **state)
{
	struct cache_case it = case_begin_still(64);
	struct quire_cache *same = cache_make(it.q, 50, 0), *own;

	(void)state;
	assert_int_equal(same->class, it.class);
	assert_int_equal(case_stat(&it).caches, 2);
	own = cache_make(it.q, 64, QUIRE_CACHE_OWN);
	assert_int_not_equal(own->class, it.class);
	assert_int_equal(quire_cache_destroy(same), 0);
	assert_int_equal(quire_cache_destroy(own), 0);
	assert_int_equal(case_stat(&it).caches, 1);
	case_end(&it);
}

static void a_constructor_runs_once_on_each_object(void **state)
{
	struct cache_case it = case_begin_still(64);
	unsigned constructed = 0;
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "built", .size = 40, .construct = construct,
					 .arg = &constructed);
	struct quire_cache *cache;
	unsigned char *object;

	(void)state;
	assert_int_equal(quire_cache_create(it.q, &options, &cache), 0);
	for (unsigned i = 0; i < 100; i++) {
		object = quire_cache_alloc(cache, 0);
		assert_int_equal(object[0], 3);
		assert_int_equal(object[39], 3);
		quire_cache_free(cache, object);
	}
	assert_int_equal(constructed, KIB(64) / 48);
	quire_release(it.q);
	object = quire_cache_alloc(cache, 0);
	assert_int_equal(object[0], 3);
	quire_cache_free(cache, object);
	assert_int_equal(quire_cache_destroy(cache), 0);
	case_end(&it);
}

/* What a free leaves in an object is there when it is allocated again, whatever it passed through. */
static void nothing_is_stored_in_a_free_object(void **state)
{
	struct cache_case it = case_begin_still(64);
	static void *objects[3000];

	(void)state;
	case_alloc(&it, objects, 3000);
	for (unsigned i = 0; i < 3000; i++)
		memset(objects[i], 0x41, 64);
	for (unsigned i = 1; i < 3000; i++)
		quire_cache_free(it.cache, objects[i]);
	sheaves_drain(it.s, it.class);
	for (unsigned i = 0; i < 900; i++) {
		const unsigned char *object = quire_cache_alloc(it.cache, 0);

		for (unsigned j = 0; j < 64; j++)
			assert_int_equal(object[j], 0x41);
	}
	quire_destroy(it.q);
}

static void zero_is_what_was_asked_for(void **state)
{
	struct cache_case it = case_begin_still(100);
	struct quire_cache *zero = cache_make(it.q, 100, QUIRE_CACHE_ZERO);
	unsigned char *object;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct quire_cache *cache = i % 2 == 0 ? zero : it.cache;

		object = quire_cache_alloc(cache, i % 2 == 0 ? 0 : QUIRE_ZERO);
		for (unsigned j = 0; j < 100; j++)
			assert_int_equal(object[j], 0);
		memset(object, 1, 100);
		quire_cache_free(cache, object);
	}
	case_end(&it);
}

static void a_cache_with_objects_is_not_destroyed(void **state)
{
	struct cache_case it = case_begin_still(64);
	void *objects[10];

	(void)state;
	case_alloc(&it, objects, 10);
	assert_int_equal(quire_cache_destroy(it.cache), -EBUSY);
	assert_u64_eq(case_stat(&it).used, 10);
	assert_u64_eq(case_stat(&it).cached, 0);
	case_free(&it, objects, 10);
	assert_int_equal(quire_cache_used(it.cache, NULL, 0), 0);
	assert_int_equal(quire_cache_destroy(it.cache), 0);
	assert_int_equal(quire_cache_destroy(NULL), 0);
	it.cache = cache_make(it.q, 64, 0);
	case_end(&it);
}

static int compare_addresses(const void *a, const void *b)
{
	uintptr_t first = (uintptr_t) * (void *const *)a, second = (uintptr_t) * (void *const *)b;

	return (first > second) - (first < second);
}

/* Of thousands, in slabs that are full, those that were freed are not among those found: nor is one too many stored. */
static void the_objects_in_use_are_found(void **state)
{
	enum {
		MADE = 9000,
		LEFT = MADE / 3
	};
	static const unsigned kinds[] = { QUIRE_CACHE_OWN,
					  QUIRE_CACHE_RED_ZONE | QUIRE_CACHE_POISON };
	static void *objects[MADE], *left[LEFT], *found[LEFT + 1];
	struct cache_case it = case_begin_still(64);

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		struct quire_cache *cache = cache_make(it.q, 40 + 1000 * kind, kinds[kind]);

		assert_int_equal(quire_cache_alloc_bulk(cache, 0, MADE, objects), MADE);
		for (unsigned i = 0; i < MADE; i++) {
			if (i % 3 == 0)
				left[i / 3] = objects[i];
			else
				quire_cache_free(cache, objects[i]);
		}
		found[LEFT] = &it;
		assert_u64_eq(quire_cache_used(cache, found, 5), LEFT);
		assert_u64_eq(quire_cache_used(cache, found, LEFT + 1), LEFT);
		assert_ptr_equal(found[LEFT], &it);
		qsort(found, LEFT, sizeof(found[0]), compare_addresses);
		qsort(left, LEFT, sizeof(left[0]), compare_addresses);
		assert_memory_equal(found, left, sizeof(left));
		assert_int_equal(quire_cache_destroy(cache), -EBUSY);
		quire_cache_free_bulk(cache, LEFT, left);
		assert_int_equal(quire_cache_destroy(cache), 0);
	}
	case_end(&it);
}

static void numbers_of_classes_are_used_again(void **state)
{
	struct cache_case it = case_begin_still(64);

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct quire_cache *cache = cache_make(it.q, 16 + i * 16, QUIRE_CACHE_OWN);
		void *object = quire_cache_alloc(cache, 0);

		assert_non_null(object);
		quire_cache_free(cache, object);
		assert_int_equal(quire_cache_destroy(cache), 0);
	}
	case_end(&it);
}

/* There are 4,096 records, and 127 classes. */
static void refused_caches_leave_no_records(void **state)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "one too many", .size = 64,
					 .flags = QUIRE_CACHE_OWN);
	struct cache_case it = case_begin_still(64);
	struct quire_cache *cache = NULL, *last = NULL;

	(void)state;
	while (quire_cache_create(it.q, &options, &cache) == 0)
		last = cache;
	assert_non_null(last);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(quire_cache_create(it.q, &options, &cache), -ENOSPC);
	assert_int_equal(quire_cache_destroy(last), 0);
	assert_int_equal(quire_cache_create(it.q, &options, &cache), 0);
	case_end(&it);
}

/* malloc's, which are made when a block of their size is first wanted. */
static void reserved_numbers_are_left_alone(void **state)
{
	struct cache_case it = case_begin_still(64);
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "x", .size = 64, .flags = QUIRE_CACHE_OWN);
	struct quire_cache *cache;
	unsigned n = 0;

	(void)state;
	class_reserve(it.s, 110);
	while (quire_cache_create(it.q, &options, &cache) == 0)
		n++;
	assert_int_equal(n, CLASSES_MAX - 1 - 110 - 1);
	assert_int_equal(quire_cache_create(it.q, &options, &cache), -ENOSPC);
	for (unsigned class = 1; class <= 110; class ++)
		assert_int_equal(class_make(it.s, class, 16 * class), 0);
	case_end(&it);
}

static void bulk_calls_fill_from_the_start(void **state)
{
	struct cache_case it =
		case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(2),
								     .worker = QUIRE_WORKER_OFF),
			   KIB(16));
	static void *objects[1000];
	size_t n;

	(void)state;
	memset(objects, 1, sizeof(objects));
	errno = 0;
	n = quire_cache_alloc_bulk(it.cache, 0, 1000, objects);
	assert_in_range(n, 10, 128);
	assert_int_equal(errno, ENOMEM);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(objects[i] != NULL, i < n);
	quire_cache_free_bulk(it.cache, 1000, objects);
	for (size_t i = 0; i < 1000; i++)
		assert_null(objects[i]);
	assert_u64_eq(case_stat(&it).used, 0);
	case_end(&it);
}

static void shrink_gives_slabs_back(void **state)
{
	struct cache_case it = case_begin_still(64);
	static void *objects[10000];

	(void)state;
	case_alloc(&it, objects, 10000);
	case_free(&it, objects, 10000);
	assert_true(quire_cache_shrink(it.cache) >= KIB(64));
	assert_u64_eq(case_stat(&it).slabs, 0);
	case_end(&it);
}

static void checked_caches_hand_out_what_was_asked_for(void **state)
{
	struct cache_case it = case_begin_still(64);
	struct quire_cache *cache =
		cache_make(it.q, 100, QUIRE_CACHE_POISON | QUIRE_CACHE_RED_ZONE);
	unsigned char *objects[300];

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 300; i++) {
			objects[i] = quire_cache_alloc(cache, 0);
			assert_int_equal((uintptr_t)objects[i] % 16, 0);
			for (unsigned j = 0; j < 100; j++)
				assert_int_equal(objects[i][j], 0x5a);
			memset(objects[i], (int)i, 100);
		}
		for (unsigned i = 0; i < 300; i++)
			quire_cache_free(cache, objects[i]);
		quire_release(it.q);
	}
	assert_int_equal(quire_cache_destroy(cache), 0);
	case_end(&it);
}

static void the_text_has_a_line_for_each_cache(void **state)
{
	struct cache_case it = case_begin_still(64);
	static char text[4096], part[64];
	void *object = quire_cache_alloc(it.cache, 0);
	size_t bytes = quire_text_slabinfo(it.q, text, sizeof(text));

	(void)state;
	assert_int_equal(bytes, strlen(text));
	assert_int_equal(quire_text_slabinfo(it.q, NULL, 0), bytes);
	assert_int_equal(quire_text_slabinfo(it.q, part, sizeof(part)), bytes);
	assert_memory_equal(part, text, sizeof(part) - 1);
	assert_memory_equal(text, "slabinfo - version: 2.1\n", 24);
	assert_non_null(strstr(text, "\ntest                   1   1024     64   1024     16 : "));
	quire_cache_free(it.cache, object);
	assert_int_equal(quire_cache_size(it.cache), 64);
	case_end(&it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(equal_caches_share_a_class_and_others_do_not),
		cmocka_unit_test(a_constructor_runs_once_on_each_object),
		cmocka_unit_test(nothing_is_stored_in_a_free_object),
		cmocka_unit_test(zero_is_what_was_asked_for),
		cmocka_unit_test(a_cache_with_objects_is_not_destroyed),
		cmocka_unit_test(the_objects_in_use_are_found),
		cmocka_unit_test(numbers_of_classes_are_used_again),
		cmocka_unit_test(refused_caches_leave_no_records),
		cmocka_unit_test(reserved_numbers_are_left_alone),
		cmocka_unit_test(bulk_calls_fill_from_the_start),
		cmocka_unit_test(shrink_gives_slabs_back),
		cmocka_unit_test(checked_caches_hand_out_what_was_asked_for),
		cmocka_unit_test(the_text_has_a_line_for_each_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
