/* SPDX-License-Identifier: MIT */
/*
 * growth.c - whether memory in use rises and does not fall back, and what of it
 *
 * The last minute is cut into parts.  If the least of each part is more than that of the part before, what comes goes
 * only partly: caches and peaks fall back to where they were, a leak does not.
 */
#include "top/top.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stats/stats.h"

#define PARTS	      4u
#define SECONDS_LEAST 8u
/* Less is not worth a word: a 16th of what is in use, and 4 MiB. */
#define GROWN_PARTS   16u
#define GROWN_BYTES   ((uint64_t)4 << 20)

/* The least of a part of the seconds that were seen; part 0 is the oldest. */
static uint64_t least_of(const struct top_state *state, unsigned seconds, unsigned part)
{
	unsigned first = state->used_nr - seconds + seconds * part / PARTS;
	unsigned end = state->used_nr - seconds + seconds * (part + 1) / PARTS;
	uint64_t least = UINT64_MAX;

	for (unsigned i = first; i < end; i++)
		if (state->used[i % HISTORY_NR] < least)
			least = state->used[i % HISTORY_NR];
	return least;
}

static bool rises(const struct top_state *state, unsigned seconds)
{
	uint64_t least[PARTS], grown;

	for (unsigned i = 0; i < PARTS; i++) {
		least[i] = least_of(state, seconds, i);
		if (i != 0 && least[i] <= least[i - 1])
			return false;
	}
	grown = least[PARTS - 1] - least[0];
	return grown > GROWN_BYTES && grown > least[PARTS - 1] / GROWN_PARTS;
}

static uint64_t more(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static uint64_t used_before(const struct size_row *rows, unsigned nr, const struct size_row *row)
{
	for (unsigned i = 0; i < nr; i++)
		if (strcmp(rows[i].name, row->name) == 0 && rows[i].bytes == row->bytes)
			return rows[i].used * rows[i].bytes;
	return 0;
}

/* What has grown most since the first look: objects of a size, or areas. */
static void say_most(const struct top_state *state, char line[160])
{
	static struct size_row now[SIZE_ROWS_MAX], first[SIZE_ROWS_MAX];
	unsigned nr = stats_read_sizes(&state->now, now),
		 first_nr = stats_read_sizes(&state->first, first);
	uint64_t most = more(seen_figure(&state->now, "vmap", "busy_bytes"),
			     seen_figure(&state->first, "vmap", "busy_bytes"));
	const struct size_row *size = NULL;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t grown =
			more(now[i].used * now[i].bytes, used_before(first, first_nr, &now[i]));

		if (grown > most) {
			most = grown;
			size = &now[i];
		}
	}
	if (size != NULL)
		snprintf(line, 160,
			 "most of it since the first look: %s in %s, objects of %" PRIu64 " bytes",
			 stats_bytes(most), size->name, size->bytes);
	else
		snprintf(line, 160,
			 "most of it since the first look: %s in areas, %" PRIu64 " now (key a)",
			 stats_bytes(most), seen_figure(&state->now, "vmap", "busy_areas"));
}

unsigned top_growth(const struct top_state *state, char lines[GROWTH_LINES_MAX][160])
{
	unsigned seconds = state->used_nr < HISTORY_NR ? state->used_nr : HISTORY_NR;

	if (seconds < SECONDS_LEAST || !rises(state, seconds))
		return 0;
	snprintf(lines[0], sizeof(lines[0]),
		 "memory in use rises and does not fall back: from %s to %s in %u s; if that goes "
		 "on, it is a leak",
		 stats_bytes(least_of(state, seconds, 0)), stats_bytes(state->used_bytes), seconds);
	say_most(state, lines[1]);
	return 2;
}
