/* SPDX-License-Identifier: MIT */
/* module_test - where a module that joins stands, and in which order modules are called */
#include "quire_test.h"

#include <quire/quire.h>

#include "instance/instance.h"
#include "instance/module.h"
#include "machine/lock.h"

#define MODULES_NR 3u

/* From the right to the left. */
static const unsigned ranks[MODULES_NR] = { RANK_SLAB_CACHES, RANK_PERCPU_ALLOC, RANK_VMAP_PURGE };

static struct quire_module module[MODULES_NR];
static struct quire_module *called[2 * MODULES_NR];
static unsigned called_nr, busy; /* busy: bit by index */

static void is_called(struct quire_module *m)
{
	assert_in_range(called_nr, 0, 2 * MODULES_NR - 1);
	called[called_nr++] = m;
}

static size_t shrinks(struct quire_module *m)
{
	is_called(m);
	return 100;
}

static bool cedes(struct quire_module *m, size_t bytes)
{
	is_called(m);
	assert_int_equal(bytes, 4096);
	return (busy >> (m - module) & 1) == 0;
}

static int verifies(struct quire_module *m)
{
	is_called(m);
	return (busy >> (m - module) & 1) != 0 ? 7 : 0;
}

/* An instance with the modules, which join in this order of indices. */
static struct quire *make(const unsigned order[MODULES_NR])
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(16), .worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;

	assert_int_equal(quire_create(&options, &q), 0);
	for (unsigned i = 0; i < MODULES_NR; i++) {
		module[order[i]] =
			(struct quire_module){ .rank = ranks[order[i]], .fini = is_called };
		mutex_acquire(&q->modules_mutex);
		module_register_locked(q, &module[order[i]]);
		mutex_release(&q->modules_mutex);
	}
	called_nr = busy = 0;
	return q;
}

static struct quire *make_in_order(void)
{
	return make((const unsigned[]){ 0, 1, 2 });
}

static void modules_stand_by_rank_in_whatever_order_they_join(void **state)
{
	static const unsigned orders[][MODULES_NR] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
						       { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct quire *q = make(orders[i]);
		struct quire_module *m = q->modules, *above = NULL;

		for (unsigned j = 0; j < MODULES_NR; above = m, m = m->next, j++) {
			assert_ptr_equal(m, &module[j]);
			assert_ptr_equal(m->above, above);
		}
		assert_ptr_equal(m, q->lowest);
		assert_ptr_equal(m->above, above);
		assert_null(m->next);
		quire_destroy(q);
	}
}

static void the_rightmost_module_ends_first(void **state)
{
	(void)state;
	quire_destroy(make_in_order());
	assert_int_equal(called_nr, MODULES_NR);
	for (unsigned i = 0; i < MODULES_NR; i++)
		assert_ptr_equal(called[i], &module[i]);
}

/* One that has no such function is passed over. */
static void what_modules_give_up_is_added(void **state)
{
	struct quire *q = make_in_order();
	size_t of_pages = modules_shrink(q);

	(void)state;
	assert_int_equal(called_nr, 0);
	module[0].shrink = module[2].shrink = shrinks;
	assert_int_equal(modules_shrink(q), of_pages + 200);
	assert_int_equal(called_nr, 2);
	assert_ptr_equal(called[0], &module[0]);
	assert_ptr_equal(called[1], &module[2]);
	quire_destroy(q);
}

static void a_busy_module_keeps_no_other_from_ceding(void **state)
{
	struct quire *q = make_in_order();

	(void)state;
	for (unsigned i = 0; i < MODULES_NR; i++)
		module[i].cede = cedes;
	assert_true(modules_cede(q, 4096));
	busy = 1;
	assert_false(modules_cede(q, 4096));
	assert_int_equal(called_nr, 2 * MODULES_NR);
	called_nr = 0;
	quire_destroy(q);
}

/* From pages to the right. */
static void the_first_broken_rule_is_said(void **state)
{
	struct quire *q = make_in_order();

	(void)state;
	for (unsigned i = 0; i < MODULES_NR; i++)
		module[i].verify = verifies;
	busy = 2;
	assert_int_equal(modules_verify(q), 7);
	assert_int_equal(called_nr, 2);
	assert_ptr_equal(called[0], &module[2]);
	assert_ptr_equal(called[1], &module[1]);
	busy = 0;
	called_nr = 0;
	assert_int_equal(modules_verify(q), 0);
	assert_int_equal(called_nr, MODULES_NR);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modules_stand_by_rank_in_whatever_order_they_join),
		cmocka_unit_test(the_rightmost_module_ends_first),
		cmocka_unit_test(what_modules_give_up_is_added),
		cmocka_unit_test(a_busy_module_keeps_no_other_from_ceding),
		cmocka_unit_test(the_first_broken_rule_is_said),
	};

	return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
