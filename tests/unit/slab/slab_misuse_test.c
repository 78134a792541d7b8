/* SPDX-License-Identifier: MIT */
/* What comes back to a slab and may not: each ends with its line, which names size and slab. */
#include "unit/slab/slab_case.h"

#include <inttypes.h>

#include "slab/sheaf.h"

#define PER_SLAB 64u /* objects of 1 KiB */

static struct slab_case it;
static unsigned class;
static void *objects[2 * PER_SLAB];

static int begin(void **state)
{
	(void)state;
	it = case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64),
								  .worker = QUIRE_WORKER_OFF));
	class = case_class(&it, 1008); /* 65 in a slab, and 16 bytes behind them */
	case_take(&it, class, objects, 2 * PER_SLAB);
	return 0;
}

static int end(void **state)
{
	(void)state;
	case_end(&it);
	return 0;
}

struct misuse {
	void (*body)(void *arg);
	const char *rule;
	const char *call;
	char *addr;
};

/* The line as far as the CPU's number. */
static void expect(const struct misuse *misuse)
{
	char line[256];
	uintptr_t slab = (uintptr_t)misuse->addr & ~(uintptr_t)0xffff;

	snprintf(line, sizeof(line),
		 "quire: misuse: %s: address %p (size 1008, slab 0x%" PRIxPTR ") in %s, CPU ",
		 misuse->rule, (void *)misuse->addr, slab, misuse->call);
	expect_death(misuse->body, misuse->addr, line);
}

static void give_some(void *addr)
{
	objects_give(it.s, class, &addr, 1, 0);
}

static void give_twice_at_once(void *addr)
{
	void *twice[2] = { addr, addr };

	objects_give(it.s, class, twice, 2, 0);
}

static void give_object(void *addr)
{
	objects_give_one(it.s, class, addr, 0);
}

static void defer_object(void *addr)
{
	sheaf_defer(it.s, class, addr);
}

static void defer_twice(void *addr)
{
	sheaf_defer(it.s, class, addr);
	sheaf_defer(it.s, class, addr);
}

static void check_object(void *addr)
{
	objects_check(it.s, addr, "malloc_usable_size");
}

static void an_object_that_is_free_is_freed_twice(void **state)
{
	char *object = objects[3];

	(void)state;
	expect(&(struct misuse){ give_twice_at_once, "double free", "free", object });
	objects_give(it.s, class, &objects[3], 1, 0);
	expect(&(struct misuse){ give_some, "double free", "free", object });
	expect(&(struct misuse){ give_object, "double free", "free", object });
	expect(&(struct misuse){ check_object, "double free", "malloc_usable_size", object });
}

/* Its slab is gone, or another class has it. */
static void an_object_whose_slab_left_is_freed_twice(void **state)
{
	char *object = objects[3];
	unsigned other = case_class(&it, 48);
	void *more[1];

	(void)state;
	objects_give(it.s, class, objects, 65, 0);
	objects_shrink(it.s, class);
	assert_int_equal(objects_check(it.s, object, "test"), 0);
	expect(&(struct misuse){ give_some, "double free", "free", object });
	case_take(&it, other, more, 1);
	assert_int_equal(record_of(it.s, more[0]), record_of(it.s, objects[3]));
	expect(&(struct misuse){ give_some, "double free", "free", object });
	expect(&(struct misuse){ give_object, "double free", "free", object });
}

static void the_middle_of_an_object_is_freed(void **state)
{
	char *object = objects[3];

	(void)state;
	expect(&(struct misuse){ give_some, "the middle of an object", "free", object + 16 });
	expect(&(struct misuse){ give_some, "the middle of an object", "free", object + 992 });
	expect(&(struct misuse){ give_object, "the middle of an object", "free", object + 1 });
	expect(&(struct misuse){ give_object, "the middle of an object", "free", object - 1 });
	expect(&(struct misuse){ check_object, "the middle of an object", "malloc_usable_size",
				 object + 8 });
}

static void what_is_behind_the_last_object_is_freed(void **state)
{
	char *rest = slab_addr(it.s, record_of(it.s, objects[0])) + 65 * 1008;

	(void)state;
	expect(&(struct misuse){ give_some, "not the start of an object", "free", rest });
	expect(&(struct misuse){ give_object, "not the start of an object", "free", rest + 8 });
	expect(&(struct misuse){ check_object, "not the start of an object", "malloc_usable_size",
				 rest });
}

/* By a handler that gets no lock. */
static void what_is_deferred_is_looked_at_as_well(void **state)
{
	char *object = objects[3], *rest = slab_addr(it.s, record_of(it.s, object)) + 65 * 1008;

	(void)state;
	expect(&(struct misuse){ defer_twice, "double free", "free", object });
	expect(&(struct misuse){ defer_object, "the middle of an object", "free", object + 16 });
	expect(&(struct misuse){ defer_object, "not the start of an object", "free", rest });
}

static void what_is_in_no_slab_has_no_class(void **state)
{
	int here = 0;

	(void)state;
	assert_int_equal(objects_check(it.s, &here, "test"), 0);
	assert_int_equal(objects_check(it.s, NULL, "test"), 0);
	assert_int_equal(objects_check(it.s, it.s->base - 1, "test"), 0);
	assert_int_equal(objects_check(it.s, it.s->base + it.s->span_bytes, "test"), 0);
	assert_int_equal(objects_check(it.s, it.s->base + it.s->span_bytes - 1, "test"), 0);
	assert_int_equal(objects_check(it.s, objects[0], "test"), class);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_object_that_is_free_is_freed_twice, begin, end),
		cmocka_unit_test_setup_teardown(an_object_whose_slab_left_is_freed_twice, begin,
						end),
		cmocka_unit_test_setup_teardown(the_middle_of_an_object_is_freed, begin, end),
		cmocka_unit_test_setup_teardown(what_is_behind_the_last_object_is_freed, begin,
						end),
		cmocka_unit_test_setup_teardown(what_is_deferred_is_looked_at_as_well, begin, end),
		cmocka_unit_test_setup_teardown(what_is_in_no_slab_has_no_class, begin, end),
	};

	return cmocka_run_group_tests_name("slab_misuse", tests, NULL, NULL);
}
