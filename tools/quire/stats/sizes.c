/* SPDX-License-Identifier: MIT */
/* sizes.c - objects by their size: the rows of slabinfo */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stats/stats.h"

unsigned stats_read_sizes(const struct seen *seen, struct size_row rows[SIZE_ROWS_MAX])
{
	const char *text = seen_section(seen, "slabinfo");
	unsigned nr = 0;

	while (text != NULL && *text != '\0' && nr < SIZE_ROWS_MAX) {
		struct size_row *row = &rows[nr];
		const char *end = strchr(text, '\n');

		nr += sscanf(text,
			     "%23s %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %" SCNu64
			     " : tunables %*u %*u %*u : slabdata %*u %" SCNu64 " %" SCNu64,
			     row->name, &row->used, &row->objects, &row->bytes, &row->slab_pages,
			     &row->slabs, &row->cached) == 7;
		text = end != NULL ? end + 1 : NULL;
	}
	return nr;
}
