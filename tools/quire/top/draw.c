/* SPDX-License-Identifier: MIT */
/* draw.c - views of a process as lines of text */
#include "top/top.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/buddyinfo.h"
#include "stat/figures.h"
#include "stats/stats.h"

/* ---- lines ---- */

/* Cuts a UTF-8 text after so many characters. */
static void cut(char *text, unsigned columns)
{
	unsigned n = 0;

	for (char *at = text; *at != '\0'; at++) {
		n += ((unsigned char)*at & 0xc0) != 0x80;
		if (n > columns) {
			*at = '\0';
			return;
		}
	}
}

/* False if the screen does not show the line. */
__attribute__((format(printf, 2, 3))) static bool put(struct top_screen *screen, const char *format,
						      ...)
{
	char *line = screen->line[screen->used < TOP_LINES_MAX ? screen->used : 0];
	va_list args;

	if (screen->body++ < screen->skip || screen->used == screen->lines)
		return false;
	va_start(args, format);
	vsnprintf(line, sizeof(screen->line[0]), format, args);
	va_end(args);
	line[strcspn(line, "\n")] = '\0';
	cut(line, screen->columns);
	screen->is_bold[screen->used++] = false;
	return true;
}

static void put_head(struct top_screen *screen, const char *text)
{
	if (put(screen, "%s", text))
		screen->is_bold[screen->used - 1] = true;
}

/* ---- the first lines of every view ---- */

static void put_process(const struct top_state *state, struct top_screen *screen)
{
	const struct seen *seen = &state->now;
	char text[200];

	if (seen->alive)
		snprintf(text, sizeof(text), "quire top - %s, process %" PRIu32 ", %.1f s ago",
			 seen->header.process.command, seen->pid, seen->age_seconds);
	else
		snprintf(text, sizeof(text),
			 "quire top - %s, process %" PRIu32 ", HAS ENDED, last seen %.0f s ago",
			 seen->header.process.command, seen->pid, seen->age_seconds);
	put_head(screen, text);
}

/* ---- main view ---- */

static void put_memory(const struct top_state *state, struct top_screen *screen)
{
	const struct seen *seen = &state->now;

	put(screen, "used %s   resident %s   limit %s", stats_bytes(state->used_bytes),
	    state->resident_bytes != 0 ? stats_bytes(state->resident_bytes) : "-",
	    stats_bytes(seen_figure(seen, "page", "limit_bytes")));
	put(screen, "kept: free pages %s   freed areas %s   lazy %s",
	    stats_bytes(seen_free_page_bytes(seen)),
	    stats_bytes(seen_figure(seen, "vmap", "cached_bytes")),
	    stats_bytes(seen_figure(seen, "vmap", "lazy_bytes")));
	if (state->given_back_at_ns == 0)
		put(screen, "given back: nothing since the first look");
	else
		put(screen, "given back: %s since the first look, last %.0f s ago",
		    stats_bytes(state->given_back), state->given_back_ago);
}

/* A character for each second, the latest on the right, of the most that was used. */
static void put_curve(const struct top_state *state, struct top_screen *screen)
{
	static const char *const ascii[] = { " ", ".", ":", "-", "=", "+", "*", "#", "@" };
	static const char *const blocks[] = { " ",	"\u2581", "\u2582", "\u2583", "\u2584",
					      "\u2585", "\u2586", "\u2587", "\u2588" };
	unsigned nr = state->used_nr < HISTORY_NR ? state->used_nr : HISTORY_NR;
	char curve[HISTORY_NR * 4 + 1] = "";
	uint64_t most = 1;

	for (unsigned i = 0; i < nr; i++)
		if (state->used[i] > most)
			most = state->used[i];
	for (unsigned i = HISTORY_NR; i-- != 0;) {
		uint64_t used = i < nr ? state->used[(state->used_nr - 1 - i) % HISTORY_NR] : 0;
		unsigned level = (unsigned)((double)used / (double)most * 8 + 0.5);

		strcat(curve, screen->utf8 ? blocks[level] : ascii[level]);
	}
	put(screen, "|%s| of %s", curve, stats_bytes(most));
}

/* What a module's row consists of; a name may be NULL. */
struct row {
	const char *module, *title, *used, *cached, *slow[4], *back;
};

static uint64_t sum(const struct seen *seen, const struct row *row)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 4 && row->slow[i] != NULL; i++)
		value += seen_figure(seen, row->module, row->slow[i]);
	return value;
}

static void put_rows(const struct top_state *state, struct top_screen *screen)
{
	static const struct row rows[] = {
		{ "page",
		  "pages",
		  "allocated_bytes",
		  "cached_bytes",
		  { "refills", "spills", "list_allocs", "buddy_allocs" },
		  "given_back_bytes" },
		{ "slab", "slabs", "used_bytes", "cached_bytes", { "refills", "spills" }, NULL },
		{ "vmap",
		  "areas",
		  "busy_bytes",
		  "cached_bytes",
		  { "tree_allocs", "purges" },
		  "given_back_bytes" },
		{ "percpu", "per-CPU", "populated_bytes", NULL, { "allocs", "frees" }, NULL },
	};

	put_head(screen, "             in use      cached    metadata  slow paths/s  given back/s");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		double slow = 0, back = 0;

		if (state->has_before && state->seconds > 0) {
			slow = (double)(sum(&state->now, row) - sum(&state->before, row)) /
			       state->seconds;
			if (row->back != NULL)
				back = (double)(seen_figure(&state->now, row->module, row->back) -
						seen_figure(&state->before, row->module,
							    row->back)) /
				       state->seconds;
		}
		put(screen, "%-8s %10s  %10s  %10s  %12.0f  %12s", row->title,
		    stats_bytes(seen_figure(&state->now, row->module, row->used)),
		    row->cached != NULL
			    ? stats_bytes(seen_figure(&state->now, row->module, row->cached))
			    : "-",
		    stats_bytes(seen_figure(&state->now, row->module, "metadata_bytes")), slow,
		    row->back != NULL ? stats_bytes((uint64_t)back) : "-");
	}
	put(screen, "slabs are made of pages, so pages in use contain them");
}

static void put_orders(const struct seen *seen, struct top_screen *screen)
{
	const char *text = seen_section(seen, "buddyinfo");
	uint64_t runs[BUDDYINFO_ORDERS_NR];
	/* A blank and 20 digits each: whatever the page says. */
	char line[BUDDYINFO_ORDERS_NR * 21 + 1] = "";
	size_t used = 0;

	buddyinfo_sum(text != NULL ? text : "", runs);
	for (unsigned order = 0; order < BUDDYINFO_ORDERS_NR; order++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, " %5" PRIu64,
					 runs[order]);
	put_head(screen,
		 "free runs     0     1     2     3     4     5     6     7     8     9    10");
	put(screen, "of order %s", line);
}

/* Breaks a sentence at blanks, and begins each further line with two. */
static void put_sentence(struct top_screen *screen, const char *text)
{
	const char *indent = "";

	while (*text != '\0') {
		size_t taken = strlen(indent), bytes = strlen(text);
		size_t room = screen->columns > taken ? screen->columns - taken : 1;
		char line[TOP_COLUMNS_MAX + 1];

		if (bytes > room) {
			bytes = room;
			while (bytes > 1 && text[bytes] != ' ')
				bytes--;
		}
		snprintf(line, sizeof(line), "%s%.*s", indent, (int)bytes, text);
		put_head(screen, line);
		text += bytes;
		text += strspn(text, " ");
		indent = "  ";
	}
}

static void put_findings(const struct top_state *state, struct top_screen *screen)
{
	char growth[GROWTH_LINES_MAX][160], lines[STATS_FINDINGS_MAX][160];
	unsigned grown = top_growth(state, growth), nr = stats_findings(&state->now, lines);

	for (unsigned i = 0; i < grown; i++)
		put_sentence(screen, growth[i]);
	for (unsigned i = 0; i < nr; i++)
		put_sentence(screen, lines[i]);
	if (nr + grown == 0)
		put(screen, "nothing stands out");
}

static void draw_main(const struct top_state *state, struct top_screen *screen)
{
	put_memory(state, screen);
	put_curve(state, screen);
	put(screen, " ");
	put_rows(state, screen);
	put(screen, " ");
	put_orders(&state->now, screen);
	put(screen, " ");
	put_findings(state, screen);
}

/* ---- other views ---- */

static void put_text(struct top_screen *screen, const char *text)
{
	while (text != NULL && *text != '\0') {
		const char *end = strchr(text, '\n');

		put(screen, "%.*s", (int)(end != NULL ? end - text : (long)strlen(text)), text);
		text = end != NULL ? end + 1 : NULL;
	}
}

static void draw_maps(const struct seen *seen, struct top_screen *screen)
{
	put_head(screen, "pageblocks");
	put_text(screen, seen_section(seen, "blocks"));
	put(screen, " ");
	put_head(screen, "chunks of per-CPU memory");
	put_text(screen, seen_section(seen, "chunks"));
}

/* By memory, the most first; a selection sort of at most SIZE_ROWS_MAX rows. */
static void draw_sizes(const struct top_state *state, struct top_screen *screen)
{
	static struct size_row rows[SIZE_ROWS_MAX];
	uint64_t page_bytes = seen_figure(&state->now, "page", "page_bytes");
	unsigned nr = stats_read_sizes(&state->now, rows);

	put_head(screen,
		 "cache                  memory      in use    free  objects of   in use   cached");
	for (unsigned i = 0; i < nr; i++) {
		unsigned most = i;
		struct size_row row;
		uint64_t memory, used;

		for (unsigned j = i + 1; j < nr; j++)
			if (rows[j].slabs * rows[j].slab_pages >
			    rows[most].slabs * rows[most].slab_pages)
				most = j;
		row = rows[most];
		rows[most] = rows[i];
		memory = row.slabs * row.slab_pages * page_bytes;
		used = row.used * row.bytes;
		put(screen, "%-18s %10s  %10s  %4.0f %%  %10" PRIu64 " %8" PRIu64 " %8" PRIu64,
		    row.name, stats_bytes(memory), stats_bytes(used),
		    memory != 0 ? 100 - 100 * (double)used / (double)memory : 0, row.bytes,
		    row.used, row.cached);
	}
}

static void draw_figures(const struct top_state *state, struct top_screen *screen)
{
	for (unsigned i = 0; i < figures_nr; i++) {
		const struct figure *figure = &figures[i];
		uint64_t value = 0;

		if (seen_row(&state->now, figure, &value) && value != 0)
			put(screen, "%-7s %-20s %12" PRIu64 "  %s", figure_module(figure),
			    figure->name, value, figure->meaning);
	}
}

static void draw_help(struct top_screen *screen)
{
	put(screen, "m  main: what is in use, kept and given back, a minute of it, by module");
	put(screen, "s  sizes of objects, by the memory of their slabs");
	put(screen, "o  free pages by type and order");
	put(screen, "c  every CPU's lists, and watermarks");
	put(screen, "b  blocks and chunks: how much of each is in use, beside its address");
	put(screen, "a  areas in use");
	put(screen, "f  all figures; docs/stat.md says what to do about each");
	put(screen, "q  quit");
	put(screen,
	    "arrows, page up and down, home and end move in what is longer than the screen");
	put(screen, " ");
	put(screen, "slow paths/s counts what left the fast path: refills, spills, locks taken.");
	put(screen, "The process writes its figures four times a second.");
}

void top_draw(const struct top_state *state, enum top_view view, struct top_screen *screen)
{
	unsigned skip = screen->skip;

	screen->used = 0;
	screen->skip = 0;
	put_process(state, screen);
	screen->body = 0;
	screen->skip = skip;
	switch (view) {
	case VIEW_SIZES:
		draw_sizes(state, screen);
		break;
	case VIEW_ORDERS:
		put_text(screen, seen_section(&state->now, "pagetypeinfo"));
		break;
	case VIEW_CPUS:
		put_text(screen, seen_section(&state->now, "zoneinfo"));
		break;
	case VIEW_BLOCKS:
		draw_maps(&state->now, screen);
		break;
	case VIEW_AREAS:
		put_text(screen, seen_section(&state->now, "vmallocinfo"));
		break;
	case VIEW_FIGURES:
		draw_figures(state, screen);
		break;
	case VIEW_HELP:
		draw_help(screen);
		break;
	case VIEW_MAIN:
	case VIEWS_NR:
		draw_main(state, screen);
		break;
	}
}
