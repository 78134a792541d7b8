/* SPDX-License-Identifier: MIT */
/* The table of figures: whole, documented, right when quiet; and the two texts that are made from it. */
#include "quire_test.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/slab.h>
#include <quire/stat.h>
#include <quire/vmap.h>

#include "base/text.h"
#include "page/layout.h"
#include "page/pcp.h"
#include "percpu/cache.h"
#include "percpu/percpu.h"
#include "slab/slab.h"
#include "stat/figures.h"
#include "stat_json.h"
#include "vmap/cpu.h"
#include "vmap/vmap.h"

static struct quire *q;
static char text[QUIRE_STAT_TEXT_MAX];

static int begin(void **state)
{
	(void)state;
	return quire_create(
		&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20,
							  .worker = QUIRE_WORKER_OFF),
		&q);
}

static int end(void **state)
{
	(void)state;
	quire_destroy(q);
	return 0;
}

static uint64_t value_of(const char *module, const char *name)
{
	struct figure_values values;

	assert_int_equal(figures_read(q, &values), 0);
	for (unsigned i = 0; i < figures_nr; i++)
		if (strcmp(figure_module(&figures[i]), module) == 0 &&
		    strcmp(figures[i].name, name) == 0)
			return figure_value(&figures[i], &values);
	fail_msg("no figure %s.%s", module, name);
	return 0;
}

/* ---- the table ---- */

#define EXPLAINS(module, field)                                                                    \
	{                                                                                          \
		offsetof(struct figure_values, module.field),                                      \
			sizeof(((struct figure_values *)0)->module.field)                          \
	}

/* What only says how to read others. */
static const struct {
	size_t offset, bytes;
} explaining[] = {
	EXPLAINS(page, struct_bytes), EXPLAINS(page, zones_nr),	      EXPLAINS(vmap, struct_bytes),
	EXPLAINS(vmap, page_shift),   EXPLAINS(percpu, struct_bytes), EXPLAINS(percpu, page_shift),
	EXPLAINS(percpu, unit_pages), EXPLAINS(slab, struct_bytes),
};

static void every_field_is_in_the_table_once(void **state)
{
	uint8_t times[sizeof(struct figure_values)] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(explaining) / sizeof(explaining[0]); i++)
		for (size_t byte = 0; byte < explaining[i].bytes; byte++)
			times[explaining[i].offset + byte]++;
	for (unsigned i = 0; i < figures_nr; i++)
		for (size_t byte = 0; byte < figures[i].field_bytes; byte++)
			times[figures[i].offset + byte]++;
	for (size_t byte = 0; byte < sizeof(times); byte++)
		if (times[byte] != 1)
			fail_msg("byte %zu of the values is in %u rows", byte, times[byte]);
}

static void names_are_apart_and_have_no_unit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < figures_nr; i++) {
		assert_null(strstr(figures[i].name, "bytes"));
		assert_null(strstr(figures[i].name, "total"));
		assert_true(figures[i].meaning[0] != '\0' && figures[i].advice[0] != '\0');
		for (unsigned j = 0; j < i; j++)
			assert_true(figures[i].module != figures[j].module ||
				    strcmp(figures[i].name, figures[j].name) != 0);
	}
}

static void put_row(struct text *table, const struct figure *figure)
{
	text_put(table, "| ");
	text_put(table, figure_module(figure));
	text_put(table, " | `");
	text_put(table, figure->name);
	text_put(table, figure_suffix(figure));
	text_put(table, figure->kind == KIND_COUNTER ? "` | counter | " : "` | gauge | ");
	text_put(table, figure->meaning);
	text_put(table, " | ");
	text_put(table, figure->advice);
	text_put(table, " |\n");
}

static void the_documented_table_is_this_one(void **state)
{
	char *page = read_source("docs/stat.md");
	struct text table;

	(void)state;
	text_init(&table, text, sizeof(text));
	for (unsigned i = 0; i < figures_nr; i++)
		put_row(&table, &figures[i]);
	assert_in_range(table.bytes, 1, sizeof(text) - 1);
	if (strstr(page, text) == NULL)
		fail_msg("docs/stat.md does not hold this table:\n%s", text);
	free(page);
}

/* ---- values ---- */

static void allocated_pages_are_counted_and_add_up(void **state)
{
	void *pages[40];

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		assert_non_null(pages[i] = quire_alloc_pages(q, i % 4, 0));
	for (unsigned i = 0; i < 40; i += 2)
		quire_free_pages(q, pages[i], i % 4);
	/* 20 runs of order 1 and 3 are left, in turn. */
	assert_u64_eq(value_of("page", "allocated"), (10 * 2 + 10 * 8) * 4096);
	assert_u64_eq(value_of("page", "online"),
		      value_of("page", "free") + value_of("page", "cached") +
			      value_of("page", "allocated") + value_of("page", "deferred"));
	for (unsigned i = 1; i < 40; i += 2)
		quire_free_pages(q, pages[i], i % 4);
	assert_u64_eq(value_of("page", "allocated"), 0);
}

/* One page of a pageblock holds the rest of it; what is not sparse is not counted. */
static void sparse_blocks_are_those_below_a_20th(void **state)
{
	void *all[512];

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		assert_non_null(all[i] = quire_alloc_pages(q, 0, 0));
	assert_u64_eq(value_of("page", "sparse_blocks"), 0);
	for (unsigned i = 26; i < 512; i++) /* 26 of 512 are a 20th and more */
		quire_free_pages(q, all[i], 0);
	assert_u64_eq(value_of("page", "sparse_blocks"), 0);
	quire_free_pages(q, all[25], 0);
	assert_u64_eq(value_of("page", "sparse_blocks"), 1);
	assert_u64_eq(value_of("page", "sparse_used"), 25 * 4096);
	assert_u64_eq(value_of("page", "sparse_rest"), (512 - 25) * 4096);
	assert_u64_eq(value_of("page", "pinned"), 0);
	quire_release(q);
	assert_u64_eq(value_of("page", "pinned"), (512 - 25) * 4096);
	for (unsigned i = 0; i < 25; i++)
		quire_free_pages(q, all[i], 0);
	assert_u64_eq(value_of("page", "sparse_blocks"), 0);
	assert_u64_eq(value_of("page", "pinned"), 0);
}

static void slabs_are_summed_over_all_caches(void **state)
{
	struct quire_cache *small, *large;
	void *objects[100], *big;

	(void)state;
	assert_u64_eq(value_of("slab", "slab"), 0);
	assert_int_equal(quire_cache_create(q,
					    &(struct quire_cache_options)QUIRE_CACHE_OPTIONS_INIT(
							    .name = "small", .size = 64),
					    &small),
			 0);
	assert_int_equal(quire_cache_create(q,
					    &(struct quire_cache_options)QUIRE_CACHE_OPTIONS_INIT(
							    .name = "large", .size = 4096),
					    &large),
			 0);
	for (unsigned i = 0; i < 100; i++)
		assert_non_null(objects[i] = quire_cache_alloc(small, 0));
	assert_non_null(big = quire_cache_alloc(large, 0));
	assert_u64_eq(value_of("slab", "classes"), 2);
	assert_u64_eq(value_of("slab", "slabs"), 2);
	assert_u64_eq(value_of("slab", "used_objects"), 101);
	assert_u64_eq(value_of("slab", "used"), 100 * 64 + 4096);
	assert_u64_eq(value_of("slab", "slab"), value_of("slab", "used") +
							value_of("slab", "cached") +
							value_of("slab", "free"));
	assert_u64_eq(value_of("page", "allocated"), value_of("slab", "slab"));
	for (unsigned i = 0; i < 100; i++)
		quire_cache_free(small, objects[i]);
	quire_cache_free(large, big);
	assert_u64_eq(value_of("slab", "used"), 0);
	assert_int_equal(quire_cache_destroy(small), 0);
	assert_int_equal(quire_cache_destroy(large), 0);
}

/* ---- texts ---- */

static void a_part_of_json_is_whole_in_length(void **state)
{
	char part[8];
	size_t bytes = quire_stat_json(q, text, sizeof(text));

	(void)state;
	assert_int_equal(bytes, strlen(text));
	assert_int_equal(quire_stat_json(q, NULL, 0), bytes);
	assert_int_equal(quire_stat_json(q, part, sizeof(part)), bytes);
	assert_string_equal(part, "{\"schem");
	bytes = quire_stat_prometheus(q, text, sizeof(text));
	assert_int_equal(bytes, strlen(text));
}

static void json_has_every_figure_in_its_module(void **state)
{
	void *area = quire_vmalloc(q, 1 << 20, 0);
	struct figure_values values;

	(void)state;
	assert_non_null(area);
	quire_stat_json(q, text, sizeof(text));
	assert_int_equal(figures_read(q, &values), 0);
	for (unsigned i = 0; i < figures_nr; i++) {
		char key[64];

		snprintf(key, sizeof(key), "%s%s", figures[i].name, figure_suffix(&figures[i]));
		if (strcmp(figures[i].name, "zone_lock") != 0) /* reading takes it */
			assert_u64_eq(stat_json_number(text, figure_module(&figures[i]), key),
				      figure_value(&figures[i], &values));
	}
	assert_u64_eq(stat_json_number(text, "vmap", "busy_bytes"), 1 << 20);
	quire_vfree(q, area);
}

/* The text stays below its bound although every number has twenty digits. */
static void a_text_fits_whatever_the_numbers(void **state)
{
	(void)state;
	assert_true(quire_stat_json(q, text, sizeof(text)) + figures_nr * 20 < sizeof(text));
	assert_true(quire_stat_prometheus(q, text, sizeof(text)) + figures_nr * 20 < sizeof(text));
}

static void prometheus_has_each_family_once(void **state)
{
	unsigned helps = 0;

	(void)state;
	quire_stat_prometheus(q, text, sizeof(text));
	for (const char *at = text; (at = strstr(at, "# HELP ")) != NULL; at++)
		helps++;
	assert_int_equal(helps, figures_nr);
	assert_non_null(strstr(text, "# TYPE quire_page_limit_bytes gauge\n"
				     "quire_page_limit_bytes 268435456\n"));
	assert_non_null(strstr(text, "# TYPE quire_page_given_back_bytes_total counter\n"));
}

/* ---- who waits for whom ---- */

static void *read_all(void *arg)
{
	quire_stat_json(q, text, sizeof(text));
	return arg;
}

/* A reader that wants @lock waits for ever, and the test for ten seconds. */
static void read_while_held(struct lock *lock, const char *name)
{
	struct timespec end;
	lock_token token;
	pthread_t thread;
	int error;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	token = lock_acquire(lock);
	assert_int_equal(pthread_create(&thread, NULL, read_all, NULL), 0);
	error = pthread_timedjoin_np(thread, NULL, &end);
	lock_release(lock, token);
	if (error != 0) {
		pthread_join(thread, NULL);
		fail_msg("reading figures waits for %s", name);
	}
}

/* The locks behind which a CPU's stacks are: a fast path without sequences takes one, and a slow path that refills. */
static void reading_takes_no_lock_that_a_fast_path_takes(void **state)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "one", .size = 64);
	struct quire_cache *cache;
	void *object, *page = quire_alloc_pages(q, 0, 0), *area = quire_vmalloc(q, 8192, 0);
	void *percpu = quire_alloc_percpu(q, 64, 0, 0);

	(void)state;
	skip_if_sanitized(); /* ThreadSanitizer's own thread waits beside a lock that is held */
	assert_int_equal(quire_cache_create(q, &options, &cache), 0);
	object = quire_cache_alloc(cache, 0);
	assert_true(page != NULL && area != NULL && percpu != NULL && object != NULL);
	read_while_held(&page_pcp(pages_of(q), 0, 0)->door.lock, "a CPU's pages");
	read_while_held(&q->vmap->cpu[0].door.lock, "a CPU's areas");
	read_while_held(&q->percpu->cpu[0].door.lock, "a CPU's per-CPU objects");
	read_while_held(&q->slabs->cpu[0].lock, "a CPU's sheaves");
	quire_cache_free(cache, object);
	quire_cache_destroy(cache);
	quire_free_percpu(q, percpu);
	quire_vfree(q, area);
	quire_free_pages(q, page, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_in_the_table_once),
		cmocka_unit_test(names_are_apart_and_have_no_unit),
		cmocka_unit_test(the_documented_table_is_this_one),
		cmocka_unit_test_setup_teardown(allocated_pages_are_counted_and_add_up, begin, end),
		cmocka_unit_test_setup_teardown(sparse_blocks_are_those_below_a_20th, begin, end),
		cmocka_unit_test_setup_teardown(slabs_are_summed_over_all_caches, begin, end),
		cmocka_unit_test_setup_teardown(a_part_of_json_is_whole_in_length, begin, end),
		cmocka_unit_test_setup_teardown(json_has_every_figure_in_its_module, begin, end),
		cmocka_unit_test_setup_teardown(a_text_fits_whatever_the_numbers, begin, end),
		cmocka_unit_test_setup_teardown(prometheus_has_each_family_once, begin, end),
		cmocka_unit_test_setup_teardown(reading_takes_no_lock_that_a_fast_path_takes, begin,
						end),
	};

	return cmocka_run_group_tests_name("stat", tests, NULL, NULL);
}
