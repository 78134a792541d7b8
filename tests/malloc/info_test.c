/* SPDX-License-Identifier: MIT */
/* malloc_stats(), malloc_info() and mallinfo2() say what the table of figures says.  QUIRE_CONF has worker:off. */
#include "quire_test.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quire/stat.h>

#include "machine/atomic.h"
#include "malloc/heap.h"
#include "stat/figures.h"
#include "stat_json.h"

/* Nothing here may allocate between two questions, so what is read is in static memory. */
static char json[QUIRE_STAT_TEXT_MAX], said[65536];
static void *held[400];

/* Blocks of many sizes, small and large, of which half are free again. */
static int use_heap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++)
		held[i] = malloc(i % 10 == 0 ? KIB(200 + i) : 16 + i * 7);
	for (unsigned i = 0; i < 400; i++)
		if (i % 4 < 2) {
			free(held[i]);
			held[i] = NULL;
		}
	return 0;
}

static int leave_heap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++)
		free(held[i]);
	return 0;
}

static uint64_t number_of(const char *module, const char *name)
{
	return stat_json_number(json, module, name);
}

static void mallinfo2_is_made_of_figures(void **state)
{
	struct mallinfo2 info = mallinfo2();
	uint64_t runs = load_relaxed(&malloc_heap.run_bytes), idle, kept;

	(void)state;
	assert_true(quire_stat_json(malloc_heap.q, json, sizeof(json)) < sizeof(json));
	idle = number_of("page", "free_bytes") + number_of("page", "cached_bytes") -
	       number_of("page", "unbacked_bytes");
	kept = number_of("vmap", "cached_bytes") + number_of("vmap", "lazy_bytes");
	assert_u64_eq(info.arena, number_of("page", "allocated_bytes") + idle - runs);
	assert_u64_eq(info.hblks,
		      number_of("vmap", "busy_areas") + load_relaxed(&malloc_heap.run_blocks));
	assert_u64_eq(info.hblkhd, number_of("vmap", "busy_bytes") + runs);
	assert_u64_eq(info.uordblks, number_of("slab", "used_bytes") + info.hblkhd);
	assert_u64_eq(info.fsmblks,
		      number_of("slab", "cached_bytes") + number_of("slab", "free_bytes"));
	assert_u64_eq(info.smblks, info.fsmblks);
	assert_u64_eq(info.keepcost, idle + kept);
	assert_u64_eq(info.fordblks, info.fsmblks + idle + kept);
	assert_true(info.hblks > 10 && info.uordblks > KIB(200) * 10 && info.fsmblks > 0);
}

/* Reading them takes this lock. */
static bool is_changed_by_reading(const struct figure *figure)
{
	return strcmp(figure->name, "zone_lock") == 0;
}

typedef void put_line_fn(char line[160], const struct figure *figure, uint64_t value);

static void put_stats_line(char line[160], const struct figure *figure, uint64_t value)
{
	snprintf(line, 160, "quire: malloc: %s.%s%s %" PRIu64 "\n", figure_module(figure),
		 figure->name, figure_suffix(figure), value);
}

static void put_info_line(char line[160], const struct figure *figure, uint64_t value)
{
	snprintf(line, 160, "  <figure name=\"%s.%s%s\" kind=\"%s\" value=\"%" PRIu64 "\"/>\n",
		 figure_module(figure), figure->name, figure_suffix(figure), figure_kind(figure),
		 value);
}

/* What was said has a line for each figure, with the value that JSON has. */
static void expect_all(put_line_fn *put_line, bool zeroes_too)
{
	unsigned found = 0;

	for (unsigned i = 0; i < figures_nr; i++) {
		const struct figure *figure = &figures[i];
		char key[64], line[160];
		uint64_t value;

		snprintf(key, sizeof(key), "%s%s", figure->name, figure_suffix(figure));
		value = number_of(figure_module(figure), key);
		if (is_changed_by_reading(figure) || (value == 0 && !zeroes_too))
			continue;
		put_line(line, figure, value);
		if (strstr(said, line) == NULL)
			fail_msg("\"%s\" is not in:\n%s", line, said);
		found++;
	}
	assert_true(found > 20);
}

static void malloc_stats_prints_every_figure(void **state)
{
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);

	(void)state;
	assert_non_null(file);
	assert_true(before >= 0);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	malloc_stats();
	dup2(before, STDERR_FILENO);
	quire_stat_json(malloc_heap.q, json, sizeof(json));
	assert_true(pread(fileno(file), said, sizeof(said) - 1, 0) > 0);
	fclose(file);
	close(before);
	assert_memory_equal(said, "quire: malloc: small blocks: ", 29);
	expect_all(put_stats_line, false);
}

static void malloc_info_has_every_figure(void **state)
{
	FILE *file = fmemopen(said, sizeof(said), "w");

	(void)state;
	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	assert_int_equal(malloc_info(0, file), 0);
	quire_stat_json(malloc_heap.q, json, sizeof(json));
	fclose(file);
	expect_all(put_info_line, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mallinfo2_is_made_of_figures),
		cmocka_unit_test(malloc_stats_prints_every_figure),
		cmocka_unit_test(malloc_info_has_every_figure),
	};

	return cmocka_run_group_tests_name("malloc_info", tests, use_heap, leave_heap);
}
