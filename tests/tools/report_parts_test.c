/* SPDX-License-Identifier: MIT */
/* report_parts_test.c - what a report's figures are made of, against values that are counted one by one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buddyinfo.h"
#include "report/curve.h"
#include "report/map.h"
#include "report/spread.h"

static uint64_t random_next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* ---- spreads ---- */

static void a_percentile_is_a_value_at_most_an_eighth_above_the_true_one(void **state)
{
	static uint64_t values[5000];
	struct spread spread = { .nr = 0 };
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		values[i] = random_next(&seed) >> (random_next(&seed) % 31);
		spread_add(&spread, values[i]);
	}
	qsort(values, 5000, sizeof(values[0]), compare);
	for (unsigned percent = 1; percent <= 100; percent++) {
		uint64_t wanted = values[percent * 50 - 1];
		uint64_t found = spread_at(&spread, percent / 100.0);

		assert_true(found >= wanted);
		assert_true(found <= wanted + wanted / 8 + (wanted == 0)); /* 0 counts as 1 */
		assert_non_null(bsearch(&found, values, 5000, sizeof(found), compare));
	}
	assert_int_equal(spread_at(&spread, 1), values[4999]);
}

static void every_value_is_of_its_power(void **state)
{
	static const uint64_t values[] = { 0, 1, 2, 3, 7, 8, 4095, 4096, UINT64_MAX };
	static const unsigned powers[] = { 0, 0, 1, 1, 2, 3, 11, 12, 63 };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct spread spread = { .nr = 0 };

		spread_add(&spread, values[i]);
		assert_int_equal(spread_of_power(&spread, powers[i]), 1);
		assert_int_equal(spread_at(&spread, 0.5), values[i]);
	}
}

/* ---- curves ---- */

/* Each bucket against all values that were put in its time, and the one before. */
static void a_bucket_has_the_least_and_the_most_of_its_time(void **state)
{
	enum {
		VALUES_NR = 60000
	};
	static double values[VALUES_NR];
	static float min[CURVE_BUCKETS], max[CURVE_BUCKETS];
	struct curve *curve = curve_new(VALUES_NR);
	uint64_t seed = 2;
	unsigned before = 0;

	(void)state;
	assert_non_null(curve);
	for (unsigned i = 0; i < VALUES_NR; i++) {
		unsigned bucket = time_part(i, VALUES_NR, CURVE_BUCKETS);

		values[i] = (double)(random_next(&seed) % 1000);
		curve_put(curve, i, values[i]);
		if (i == 0 || bucket != before)
			min[bucket] = max[bucket] = (float)values[i > 0 ? i - 1 : 0];
		if ((float)values[i] < min[bucket])
			min[bucket] = (float)values[i];
		if ((float)values[i] > max[bucket])
			max[bucket] = (float)values[i];
		before = bucket;
	}
	curve_end(curve);
	assert_int_equal(curve->at, CURVE_BUCKETS - 1);
	assert_memory_equal(curve->min, min, sizeof(min));
	assert_memory_equal(curve->max, max, sizeof(max));
	free(curve);
}

static void a_value_holds_until_the_next_one(void **state)
{
	struct curve *curve = curve_new(100);
	float min, max;

	(void)state;
	assert_non_null(curve);
	curve_put(curve, 25, 7);
	curve_put(curve, 75, 9);
	curve_end(curve);
	assert_int_equal(curve->first, CURVE_BUCKETS / 4);
	curve_range(curve, CURVE_BUCKETS / 4, CURVE_BUCKETS / 4, &min, &max);
	assert_true(min == 7 && max == 7);
	curve_range(curve, CURVE_BUCKETS / 2, CURVE_BUCKETS / 2, &min, &max);
	assert_true(min == 7 && max == 9);
	curve_range(curve, CURVE_BUCKETS / 4 - 4, 8, &min, &max); /* nothing is before the first */
	assert_true(min == 7 && max == 7);
	assert_true(curve->last == 9 && curve->peak == 9 && curve->peak_seconds == 75);
	free(curve);
}

/* ---- maps ---- */

#define PLACES	640u
#define GRANULE 10u

/* Stretches anywhere in a space of 64 granules, of which every third is left out: each cell against a count of its places. */
static void a_map_counts_what_was_used_of_each_granule(void **state)
{
	static unsigned used[64][MAP_COLUMNS];
	struct map map = { .nr = 0 };
	uint64_t seed = 3;
	unsigned row = 0;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		struct map_stretch stretch = { .place = random_next(&seed) % PLACES,
					       .begin = (uint16_t)(random_next(&seed) %
								   MAP_COLUMNS) };
		unsigned granule = (unsigned)stretch.place / GRANULE;

		stretch.length = 1 + random_next(&seed) % (GRANULE - stretch.place % GRANULE);
		stretch.end = (uint16_t)(stretch.begin +
					 random_next(&seed) % (MAP_COLUMNS - stretch.begin));
		if (granule % 3 == 2)
			continue;
		map_add(&map, stretch);
		for (unsigned column = stretch.begin; column <= stretch.end; column++)
			used[granule][column] += (unsigned)stretch.length;
	}
	map_end(&map, GRANULE, GRANULE);
	assert_int_equal(map.granules_nr, 43);
	assert_int_equal(map.rows_nr, 43);
	for (unsigned granule = 0; granule < 64; granule++) {
		if (granule % 3 == 2)
			continue;
		for (unsigned column = 0; column < MAP_COLUMNS; column++) {
			unsigned eighths = (used[granule][column] * 8 + GRANULE - 1) / GRANULE;

			assert_int_equal(map_shade(&map, row, column, 1),
					 eighths < 8 ? eighths : 8);
		}
		row++;
	}
	map_fini(&map);
}

/* One stretch over many granules, one within it, one that begins in its last one. */
static void a_stretch_may_span_granules(void **state)
{
	struct map map = { .nr = 0 };

	(void)state;
	map_add(&map, (struct map_stretch){ .place = 15, .length = 20, .begin = 0, .end = 9 });
	map_add(&map, (struct map_stretch){ .place = 21, .length = 1, .begin = 5, .end = 5 });
	map_add(&map, (struct map_stretch){ .place = 38, .length = 4, .begin = 9, .end = 20 });
	map_end(&map, 10, 10);
	assert_int_equal(map.rows_nr, 4); /* 10, 20, 30, 40 */
	assert_int_equal(map_shade(&map, 0, 0, 1), 4);
	assert_int_equal(map_shade(&map, 1, 0, 1), 8);
	assert_int_equal(map_shade(&map, 2, 8, 1), 4);
	assert_int_equal(map_shade(&map, 2, 9, 1), 6);
	assert_int_equal(map_shade(&map, 3, 20, 1), 2);
	assert_int_equal(map_shade(&map, 3, 21, 1), 0);
	map_fini(&map);
}

/* ---- free blocks ---- */

/* The last line is cut, as in a section that has no room for more. */
static void free_blocks_of_all_zones_are_added_up(void **state)
{
	static const uint64_t wanted[BUDDYINFO_ORDERS_NR] = { 111, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
	uint64_t blocks[BUDDYINFO_ORDERS_NR];

	(void)state;
	buddyinfo_sum(
		"Node 0, zone      DMA      1      0      0      0      0      0      0      0"
		"      0      0      1\n"
		"Node 0, zone   Normal     10      2      3      4      5      6      7      8"
		"      9     10     10\n"
		"Node 1, zone  Movable    100",
		blocks);
	assert_memory_equal(blocks, wanted, sizeof(wanted));
	buddyinfo_sum("", blocks);
	assert_int_equal(blocks[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_percentile_is_a_value_at_most_an_eighth_above_the_true_one),
		cmocka_unit_test(every_value_is_of_its_power),
		cmocka_unit_test(a_bucket_has_the_least_and_the_most_of_its_time),
		cmocka_unit_test(a_value_holds_until_the_next_one),
		cmocka_unit_test(a_map_counts_what_was_used_of_each_granule),
		cmocka_unit_test(a_stretch_may_span_granules),
		cmocka_unit_test(free_blocks_of_all_zones_are_added_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
