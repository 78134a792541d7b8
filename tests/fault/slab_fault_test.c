/* SPDX-License-Identifier: MIT */
/*
 * Every call that gives or takes memory fails in turn, for every operation on object caches, until the operation gets
 * through untouched.  After each the rules hold, objects have what was in them, and a refused operation
 * then succeeds.
 */
#include "quire_test.h"

#include <errno.h>

#include <quire/slab.h>

#include "instance/instance.h"
#include "machine/linux/backing.h"
#include "machine/linux/sanitizer.h"

#define NOBODYS	  77 /* in errno, where a call that succeeds leaves it */
#define CALLS_MAX 200u
#define HELD_MAX  3000u
#define BULK_NR	  2000u

static struct {
	struct quire *q;
	struct quire_cache *cache, *other;
	unsigned char *held[HELD_MAX];
	unsigned held_nr;
} scene;

struct operation {
	const char *name;
	enum quire_switch rseq;
	void (*set_up)(void);
	bool (*run)(void); /* false: refused */
};

static bool make(struct quire_cache **cache, size_t size)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "fault", .size = size);

	return quire_cache_create(scene.q, &options, cache) == 0;
}

static bool take(void)
{
	unsigned char *object = quire_cache_alloc(scene.cache, 0);

	if (object == NULL)
		return false;
	assert_true(scene.held_nr < HELD_MAX);
	memset(object, (int)(scene.held_nr % 250), 200);
	scene.held[scene.held_nr++] = object;
	return true;
}

static void nothing(void)
{
}

static void a_cache(void)
{
	assert_true(make(&scene.cache, 200));
}

static void an_object(void)
{
	a_cache();
	assert_true(take());
}

static void many_objects(void)
{
	a_cache();
	for (unsigned i = 0; i < BULK_NR; i++)
		assert_true(take());
}

static bool create(void)
{
	return scene.cache != NULL || make(&scene.cache, 200);
}

static bool create_another(void)
{
	return scene.other != NULL || make(&scene.other, 3000);
}

/* All or nothing, as a caller would have it. */
static bool take_bulk(void)
{
	static void *objects[BULK_NR];
	size_t n = quire_cache_alloc_bulk(scene.cache, 0, BULK_NR / 2, objects);

	quire_cache_free_bulk(scene.cache, n, objects);
	return n == BULK_NR / 2;
}

static bool free_all(void)
{
	while (scene.held_nr != 0) {
		unsigned char *object = scene.held[--scene.held_nr];

		assert_int_equal(object[0], scene.held_nr % 250);
		assert_int_equal(object[199], scene.held_nr % 250);
		quire_cache_free(scene.cache, object);
	}
	return true;
}

static bool shrink(void)
{
	quire_cache_shrink(scene.cache);
	return true;
}

static bool release(void)
{
	for (unsigned i = 0; i < scene.held_nr / 2; i++) {
		quire_cache_free(scene.cache, scene.held[scene.held_nr - 1]);
		scene.held_nr--;
	}
	quire_release(scene.q);
	return true;
}

static bool destroy(void)
{
	free_all();
	if (scene.cache != NULL)
		assert_int_equal(quire_cache_destroy(scene.cache), 0);
	scene.cache = NULL;
	return true;
}

static const struct operation operations[] = {
	{ "first cache", QUIRE_ON, nothing, create },
	{ "first cache without sequences", QUIRE_OFF, nothing, create },
	{ "another cache", QUIRE_ON, an_object, create_another },
	{ "first object", QUIRE_ON, a_cache, take },
	{ "first object without sequences", QUIRE_OFF, a_cache, take },
	{ "objects in bulk", QUIRE_ON, an_object, take_bulk },
	{ "frees", QUIRE_ON, many_objects, free_all },
	{ "shrink", QUIRE_ON, many_objects, shrink },
	{ "release", QUIRE_ON, many_objects, release },
	{ "destroy", QUIRE_ON, many_objects, destroy },
};
#define OPERATIONS_NR (sizeof(operations) / sizeof(operations[0]))

static void begin(const struct operation *operation)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF,
				   .rseq = operation->rseq);

	memset(&scene, 0, sizeof(scene));
	assert_int_equal(quire_create(&options, &scene.q), 0);
	operation->set_up();
}

static void check_and_end(void)
{
	struct quire_cache_stat stat = QUIRE_CACHE_STAT_INIT;

	assert_int_equal(quire_verify(scene.q), 0);
	for (unsigned i = 0; i < scene.held_nr; i++)
		assert_int_equal(scene.held[i][0], i % 250);
	if (scene.cache != NULL) {
		assert_int_equal(quire_cache_stat_read(scene.cache, &stat), 0);
		assert_u64_eq(stat.used, scene.held_nr);
		free_all();
		assert_int_equal(quire_cache_destroy(scene.cache), 0);
	}
	assert_int_equal(quire_verify(scene.q), 0);
	quire_destroy(scene.q);
}

/* Returns whether the operation got through without the @nth call. */
static bool fails_at(const struct operation *operation, uint64_t nth)
{
	bool done, untouched;
	uint64_t calls;

	begin(operation);
	calls = backing_calls_nr();
	errno = NOBODYS;
	backing_fail_after(nth, ENOMEM);
	done = operation->run();
	untouched = backing_calls_nr() - calls < nth;
	backing_fail_after(0, 0);
	if (!done && untouched)
		fail_msg("%s: refused without a failure", operation->name);
	if (!done && !operation->run())
		fail_msg("%s: refused again after call %u", operation->name, (unsigned)nth);
	check_and_end();
	return untouched;
}

static void each_call_fails_in_each_operation(void **state)
{
	(void)state;
	skip_if_sanitized();
	for (unsigned i = 0; i < OPERATIONS_NR; i++) {
		uint64_t nth = 1;

		while (!fails_at(&operations[i], nth)) {
			nth++;
			if (nth == CALLS_MAX)
				fail_msg("%s: never gets through", operations[i].name);
		}
	}
	assert_true(OPERATIONS_NR != 0);
}

/* At the limit: what is refused is served again once something was freed. */
static void the_limit_is_reached_and_left(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(4), .worker = QUIRE_WORKER_OFF);
	struct quire_cache *small, *large;
	static void *objects[40000];
	unsigned n = 0;

	(void)state;
	memset(&scene, 0, sizeof(scene));
	assert_int_equal(quire_create(&options, &scene.q), 0);
	assert_true(make(&small, 200) && make(&large, 3000));
	while (n < 40000 && (objects[n] = quire_cache_alloc(small, 0)) != NULL)
		n++;
	assert_in_range(n, MIB(3) / 208, MIB(4) / 208);
	assert_int_equal(errno, ENOMEM);
	assert_null(quire_cache_alloc(large, 0));
	/* On sheaves, from which they are drained for the other size. */
	quire_cache_free_bulk(small, n, objects);
	assert_non_null(objects[0] = quire_cache_alloc(large, 0));
	quire_cache_free(large, objects[0]);
	for (unsigned i = 0; i < n; i++)
		assert_non_null(objects[i] = quire_cache_alloc(small, 0));
	quire_cache_free_bulk(small, n, objects);
	assert_int_equal(quire_verify(scene.q), 0);
	quire_destroy(scene.q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_fails_in_each_operation),
		cmocka_unit_test(the_limit_is_reached_and_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
