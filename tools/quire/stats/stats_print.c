/* SPDX-License-Identifier: MIT */
/* stats_print.c - figures for people, and for Prometheus */
#include "stats/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
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

/* ---- where memory is ---- */

static void print_head(const struct seen *seen)
{
	printf("process %" PRIu32 ", %s%s, as it was %.1f s ago\n", seen->pid,
	       seen->header.process.command, seen->alive ? "" : ", which has ended",
	       seen->age_seconds);
}

static void print_where(const struct seen *seen)
{
	uint64_t slab_used = seen_figure(seen, "slab", "used_bytes");
	uint64_t slabs = seen_figure(seen, "slab", "slab_bytes");
	uint64_t allocated = seen_figure(seen, "page", "allocated_bytes");

	printf("in use: %s in slabs (%s of objects), %s in other pages, ", stats_bytes(slabs),
	       stats_bytes(slab_used), stats_bytes(allocated > slabs ? allocated - slabs : 0));
	printf("%s in areas, %s per-CPU\n", stats_bytes(seen_figure(seen, "vmap", "busy_bytes")),
	       stats_bytes(seen_figure(seen, "percpu", "populated_bytes")));
	printf("kept:   %s of free pages, %s of freed areas\n",
	       stats_bytes(seen_free_page_bytes(seen)),
	       stats_bytes(seen_figure(seen, "vmap", "cached_bytes") +
			   seen_figure(seen, "vmap", "lazy_bytes")));
}

/* Free memory that is worth a word: more than a quarter of what is in use, and 16 MiB. */
#define FREE_PARTS 4u
#define FREE_BYTES ((uint64_t)16 << 20)

static uint64_t above(uint64_t bytes, uint64_t less)
{
	return bytes > less ? bytes - less : 0;
}

static bool is_much(uint64_t bytes, uint64_t used)
{
	return bytes > FREE_BYTES && bytes > used / FREE_PARTS;
}

/* With the size that has the most of them. */
static void say_objects(const struct seen *seen, uint64_t bytes, char line[160])
{
	static struct size_row rows[SIZE_ROWS_MAX];
	unsigned nr = stats_read_sizes(seen, rows), most = 0;

	for (unsigned i = 1; i < nr; i++)
		if ((rows[i].objects - rows[i].used) * rows[i].bytes >
		    (rows[most].objects - rows[most].used) * rows[most].bytes)
			most = i;
	if (nr == 0)
		rows[most] = (struct size_row){ .name = "no size" };
	snprintf(line, 160,
		 "%s of free objects are held by used ones beside them, or cached; most in %s: "
		 "%" PRIu64 " of %" PRIu64 " are in use",
		 stats_bytes(bytes), rows[most].name, rows[most].used, rows[most].objects);
}

static unsigned find_free(const struct seen *seen, char lines[STATS_FINDINGS_MAX][160], unsigned nr)
{
	uint64_t used = seen_figure(seen, "page", "allocated_bytes") +
			seen_figure(seen, "vmap", "busy_bytes");
	uint64_t pages = seen_free_page_bytes(seen);
	uint64_t areas =
		seen_figure(seen, "vmap", "cached_bytes") + seen_figure(seen, "vmap", "lazy_bytes");
	uint64_t objects =
		seen_figure(seen, "slab", "free_bytes") + seen_figure(seen, "slab", "cached_bytes");

	if (is_much(pages, used))
		snprintf(lines[nr++], sizeof(lines[0]),
			 "%s of free pages still have their memory: a shorter decay gives it back "
			 "sooner",
			 stats_bytes(pages));
	if (is_much(areas, used))
		snprintf(lines[nr++], sizeof(lines[0]),
			 "%s of freed areas are kept for reuse: a shorter decay gives them back "
			 "sooner",
			 stats_bytes(areas));
	if (is_much(objects, seen_figure(seen, "slab", "used_bytes")))
		say_objects(seen, objects, lines[nr++]);
	return nr;
}

/* What has lost its memory in sparse pageblocks is held by nobody. */
static unsigned find_sparse(const struct seen *seen, char lines[STATS_FINDINGS_MAX][160],
			    unsigned nr)
{
	uint64_t blocks = seen_figure(seen, "page", "sparse_blocks");
	uint64_t block_bytes = seen_figure(seen, "page", "pageblock_bytes");
	uint64_t held = above(seen_figure(seen, "page", "sparse_rest_bytes"),
			      seen_figure(seen, "page", "pinned_bytes"));
	uint64_t used = seen_figure(seen, "page", "sparse_used_bytes");

	if (block_bytes != 0 && is_much(held, seen_figure(seen, "page", "allocated_bytes")))
		snprintf(lines[nr++], sizeof(lines[0]),
			 "%" PRIu64 " of %" PRIu64
			 " pageblocks are under 5 %% in use: %s are held beside %s",
			 blocks, seen_figure(seen, "page", "online_bytes") / block_bytes,
			 stats_bytes(held), stats_bytes(used));
	return nr;
}

unsigned stats_findings(const struct seen *seen, char lines[STATS_FINDINGS_MAX][160])
{
	uint64_t refusals = seen_figure(seen, "page", "refusals") +
			    seen_figure(seen, "vmap", "refusals") +
			    seen_figure(seen, "percpu", "refusals");
	unsigned nr = 0;

	if (refusals != 0)
		snprintf(lines[nr++], sizeof(lines[0]),
			 "%" PRIu64 " allocations were refused; the limit is %s", refusals,
			 stats_bytes(seen_figure(seen, "page", "limit_bytes")));
	nr = find_sparse(seen, lines, nr);
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
	unsigned module = MODULES_NR; /* of the last row */

	print_head(seen);
	print_where(seen);
	print_findings(seen);
	for (unsigned i = 0; i < figures_nr; i++) {
		uint64_t value = 0;

		if (!seen_row(seen, &figures[i], &value) || value == 0)
			continue;
		if (module != figures[i].module)
			printf("\n%s\n", figure_module(&figures[i]));
		module = figures[i].module;
		print_figure(&figures[i], value);
	}
}

/* ---- Prometheus ---- */

/* A value of a label: three bytes have a meaning of their own in it. */
static void put_label(const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '\n':
			printf("\\n");
			break;
		case '\\':
		case '"':
			putchar('\\'); /* fallthrough */
		default:
			putchar(*text);
		}
}

static void put_family(const struct seen *seen, const char *name, const char *kind,
		       const char *meaning)
{
	printf("# HELP %s %s\n# TYPE %s %s\n%s{pid=\"%" PRIu32 "\",command=\"", name, meaning, name,
	       kind, name, seen->pid);
	put_label(seen->header.process.command);
	printf("\",instance=\"%" PRIu32 "\"} ", seen->header.process.file);
}

/* A collector reads the text later, and does not see what has become of the process. */
static void put_process(const struct seen *seen)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	put_family(seen, "quire_process_alive", "gauge", "1 while the process lives, then 0");
	printf("%d\n", seen->alive);
	put_family(seen, "quire_updated_timestamp_seconds", "gauge",
		   "when the process wrote its figures");
	printf("%.3f\n", (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - seen->age_seconds);
}

void stats_print_prometheus(const struct seen *seen)
{
	put_process(seen);
	for (unsigned i = 0; i < figures_nr; i++) {
		const struct figure *figure = &figures[i];
		char name[96];
		struct text text;
		uint64_t value;

		if (!seen_row(seen, figure, &value))
			continue;
		text_init(&text, name, sizeof(name));
		figure_put_name(&text, figure);
		put_family(seen, name, figure_kind(figure), figure->meaning);
		printf("%" PRIu64 "\n", value);
	}
}
