/* SPDX-License-Identifier: MIT */
/* stats_print.c - figures for people, and for Prometheus */
#include "stats/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stat/figures.h"

const char *stats_bytes(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	static char texts[4][24];
	static unsigned next;
	char *text = texts[next++ % 4];
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1000 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(text, sizeof(texts[0]), "%.*f %s",
		 unit == 0 || value >= 100 ? 0
		 : value >= 10		   ? 1
					   : 2,
		 value, units[unit]);
	return text;
}

/* The figure's value on the page; false if the page's library does not know it. */
static bool value_on(const struct seen *seen, const struct figure *figure, uint64_t *value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", figure->name, figure_suffix(figure));
	return seen_number(seen, figure_module(figure), name, value);
}

static uint64_t number(const struct seen *seen, const char *module, const char *name)
{
	uint64_t value = 0;

	seen_number(seen, module, name, &value);
	return value;
}

/* ---- where memory is ---- */

static void print_head(const struct seen *seen)
{
	printf("process %" PRIu32 ", %s%s, as it was %.1f s ago\n", seen->pid,
	       seen->header.process.command, seen->alive ? "" : ", which has ended",
	       seen->age_seconds);
}

static void print_where(const struct seen *seen)
{
	uint64_t slab_used = number(seen, "slab", "used_bytes");
	uint64_t slabs = number(seen, "slab", "slab_bytes");
	uint64_t allocated = number(seen, "page", "allocated_bytes");
	uint64_t idle = number(seen, "page", "free_bytes") + number(seen, "page", "cached_bytes");
	uint64_t unbacked = number(seen, "page", "unbacked_bytes");

	printf("in use: %s in slabs (%s of objects), %s in other pages, ", stats_bytes(slabs),
	       stats_bytes(slab_used), stats_bytes(allocated > slabs ? allocated - slabs : 0));
	printf("%s in areas, %s per-CPU\n", stats_bytes(number(seen, "vmap", "busy_bytes")),
	       stats_bytes(number(seen, "percpu", "populated_bytes")));
	printf("kept:   %s of free pages, %s of freed areas\n",
	       stats_bytes(idle > unbacked ? idle - unbacked : 0),
	       stats_bytes(number(seen, "vmap", "cached_bytes") +
			   number(seen, "vmap", "lazy_bytes")));
}

/* Free memory that is worth a word: more than a quarter of what is in use, and 16 MiB. */
#define FREE_PARTS 4u
#define FREE_BYTES ((uint64_t)16 << 20)

static bool is_much(uint64_t bytes, uint64_t used)
{
	return bytes > FREE_BYTES && bytes > used / FREE_PARTS;
}

static unsigned find_free(const struct seen *seen, char lines[STATS_FINDINGS_MAX][160], unsigned nr)
{
	uint64_t used =
		number(seen, "page", "allocated_bytes") + number(seen, "vmap", "busy_bytes");
	uint64_t areas = number(seen, "vmap", "cached_bytes") + number(seen, "vmap", "lazy_bytes");
	uint64_t objects =
		number(seen, "slab", "free_bytes") + number(seen, "slab", "cached_bytes");

	if (is_much(areas, used))
		snprintf(lines[nr++], sizeof(lines[0]),
			 "%s of freed areas are kept for reuse: a shorter decay gives them back "
			 "sooner",
			 stats_bytes(areas));
	if (is_much(objects, number(seen, "slab", "used_bytes")))
		snprintf(lines[nr++], sizeof(lines[0]),
			 "%s of free objects are beside used ones, or cached: sizes that came and "
			 "went",
			 stats_bytes(objects));
	return nr;
}

unsigned stats_findings(const struct seen *seen, char lines[STATS_FINDINGS_MAX][160])
{
	uint64_t sparse = number(seen, "page", "sparse_blocks");
	uint64_t refusals = number(seen, "page", "refusals") + number(seen, "vmap", "refusals") +
			    number(seen, "percpu", "refusals");
	unsigned nr = 0;

	if (refusals != 0)
		snprintf(lines[nr++], sizeof(lines[0]),
			 "%" PRIu64 " allocations were refused; the limit is %s", refusals,
			 stats_bytes(number(seen, "page", "limit_bytes")));
	if (sparse != 0)
		snprintf(lines[nr++], sizeof(lines[0]),
			 "%" PRIu64 " of %" PRIu64 " pageblocks hold under 5 %%: %s pinned by %s",
			 sparse, number(seen, "page", "online_bytes") >> 21,
			 stats_bytes(number(seen, "page", "sparse_rest_bytes")),
			 stats_bytes(number(seen, "page", "sparse_used_bytes")));
	return find_free(seen, lines, nr);
}

static void print_findings(const struct seen *seen)
{
	char lines[STATS_FINDINGS_MAX][160];
	unsigned nr = stats_findings(seen, lines);

	for (unsigned i = 0; i < nr; i++)
		printf("%s\n", lines[i]);
}

/* ---- all of it ---- */

static void print_figure(const struct figure *figure, uint64_t value)
{
	if (figure->unit == UNIT_NUMBER)
		printf("  %-20s %14" PRIu64 "  %s\n", figure->name, value, figure->meaning);
	else
		printf("  %-20s %14s  %s\n", figure->name, stats_bytes(value), figure->meaning);
}

void stats_print_table(const struct seen *seen)
{
	print_head(seen);
	print_where(seen);
	print_findings(seen);
	for (unsigned module = 0; module < MODULES_NR; module++) {
		bool is_named = false;

		for (unsigned i = 0; i < figures_nr; i++) {
			uint64_t value = 0;

			if (figures[i].module != module || !value_on(seen, &figures[i], &value) ||
			    value == 0)
				continue;
			if (!is_named)
				printf("\n%s\n", figure_module(&figures[i]));
			is_named = true;
			print_figure(&figures[i], value);
		}
	}
}

void stats_print_prometheus(const struct seen *seen)
{
	for (unsigned i = 0; i < figures_nr; i++) {
		const struct figure *figure = &figures[i];
		const char *total = figure->kind == KIND_COUNTER ? "_total" : "";
		char name[96];
		uint64_t value;

		if (!value_on(seen, figure, &value))
			continue;
		snprintf(name, sizeof(name), "quire_%s_%s%s%s", figure_module(figure), figure->name,
			 figure_suffix(figure), total);
		printf("# HELP %s %s\n# TYPE %s %s\n", name, figure->meaning, name,
		       figure->kind == KIND_COUNTER ? "counter" : "gauge");
		printf("%s{pid=\"%" PRIu32 "\",command=\"%s\"} %" PRIu64 "\n", name, seen->pid,
		       seen->header.process.command, value);
	}
}
