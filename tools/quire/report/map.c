/* SPDX-License-Identifier: MIT */
#include "report/map.h"

#include <stdlib.h>
#include <string.h>

void map_add(struct map *map, struct map_stretch stretch)
{
	if (map->nr == map->room) {
		size_t room = map->room * 2 + 1024;
		struct map_stretch *grown = realloc(map->stretches, room * sizeof(grown[0]));

		if (grown == NULL) {
			map->is_short = true;
			return;
		}
		map->stretches = grown;
		map->room = room;
	}
	map->stretches[map->nr++] = stretch;
}

static int compare_places(const void *a, const void *b)
{
	const struct map_stretch *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

/* The granules that were used, counted from the first, each once: @number[i] is that of the i-th stretch's first.  Stretches are
 * sorted by place; those of one granule may overlap in any way.  Returns how many there are. */
static uint64_t number_granules(const struct map *map, uint64_t granule, uint64_t *number)
{
	uint64_t nr = 0;   /* so far */
	uint64_t next = 0; /* the first granule that has no number yet */

	for (size_t i = 0; i < map->nr; i++) {
		const struct map_stretch *stretch = &map->stretches[i];
		uint64_t first = stretch->place / granule;
		uint64_t last = (stretch->place + stretch->length - 1) / granule;

		if (nr == 0 || first >= next) {
			number[i] = nr;
			nr += last - first + 1;
			next = last + 1;
			continue;
		}
		number[i] = nr - (next - first);
		if (last >= next) {
			nr += last + 1 - next;
			next = last + 1;
		}
	}
	return nr;
}

/* Adds what a stretch has in each of its granules to the changes from column to column. */
static void add_changes(const struct map *map, const struct map_stretch *stretch, uint64_t number,
			int64_t (*change)[MAP_COLUMNS + 1])
{
	uint64_t place = stretch->place, left = stretch->length;

	for (; left > 0; number++) {
		uint64_t room = map->granule - place % map->granule;
		uint64_t part = left < room ? left : room;
		int64_t *row = change[number / map->row_granules];

		row[stretch->begin] += (int64_t)part;
		row[stretch->end + 1] -= (int64_t)part;
		place += part;
		left -= part;
	}
}

static void fill_cells(struct map *map, int64_t (*change)[MAP_COLUMNS + 1])
{
	uint64_t room = map->row_granules * map->capacity;

	for (unsigned row = 0; row < map->rows_nr; row++) {
		int64_t used = 0;

		for (unsigned column = 0; column < MAP_COLUMNS; column++) {
			uint64_t eighths;

			used += change[row][column];
			eighths = ((uint64_t)used * MAP_SHADES + room - 1) / room;
			map->cells[row][column] =
				(uint8_t)(eighths < MAP_SHADES ? eighths : MAP_SHADES);
		}
	}
}

static void fold(struct map *map, const uint64_t *number)
{
	int64_t(*change)[MAP_COLUMNS + 1];

	map->row_granules = (map->granules_nr + MAP_ROWS - 1) / MAP_ROWS;
	map->rows_nr = (unsigned)((map->granules_nr + map->row_granules - 1) / map->row_granules);
	map->cells = calloc(map->rows_nr, sizeof(map->cells[0]));
	change = calloc(map->rows_nr, sizeof(change[0]));
	if (map->cells != NULL && change != NULL) {
		for (size_t i = 0; i < map->nr; i++)
			add_changes(map, &map->stretches[i], number[i], change);
		fill_cells(map, change);
	} else {
		map->rows_nr = 0;
	}
	free(change);
}

void map_end(struct map *map, uint64_t granule, uint64_t capacity)
{
	uint64_t *number = malloc((map->nr + 1) * sizeof(number[0]));

	map->granule = granule;
	map->capacity = capacity;
	if (number != NULL && map->nr > 0) {
		qsort(map->stretches, map->nr, sizeof(map->stretches[0]), compare_places);
		map->granules_nr = number_granules(map, granule, number);
		fold(map, number);
	}
	free(number);
	free(map->stretches);
	map->stretches = NULL;
	map->nr = map->room = 0;
}

unsigned map_shade(const struct map *map, unsigned row, unsigned column, unsigned nr)
{
	unsigned most = 0;

	for (unsigned i = column; i < column + nr; i++)
		if (map->cells[row][i] > most)
			most = map->cells[row][i];
	return most;
}

void map_fini(struct map *map)
{
	free(map->stretches);
	free(map->cells);
	*map = (struct map){ .nr = 0 };
}
