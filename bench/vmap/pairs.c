/* SPDX-License-Identifier: MIT */
/*
 * pairs.c - what does a large block cost, by size, pattern and threads?
 *
 * Method  "large": patterns.inc.h, each sample in a process of its own, contenders in turn.
 *         Rows of "the first" pairs begin when the first blocks are live, all others after a warm-up.
 *         "replace": written blocks of random sizes, counted from the fill on, so that the time before
 *         caches have settled, which a program sees too, has a figure of its own.
 * Read    ns per pair and thread (large), us per replacement (replace).  Quire's second column is with
 *         guard pages, which no peer has.  The floor is one warm block of 4 KiB pages.  Untouched, it
 *         shows the harness, which "net" leaves out; written, it shows the cost of writing alone.
 *         `*`: the quartiles are more than 15 % of the median apart.
 * Refused A sample from which other processes took more than 2 % of its time, or that was refused memory.
 * Not     Giving memory back: after.c.
 */
#include "harness/measure.h"
#include "vmap/targets.h"

static const char *const pattern_words[AREA_PATTERNS_NR] = {
	[AREA_PAIR] = "one of",
	[AREA_FIXED] = "16 live of",
	[AREA_RANDOM] = "16 live of random sizes up to",
};

static void row_ask(const struct options *options, const bool *there, const struct area_row *row,
		    struct line *line, struct table *table)
{
	char bytes[24], threads[8], written[8], ms[16], first[16], cold[32] = "";
	struct ask ask = {
		.argv = { "area_pairs", area_pattern_names[row->pattern], bytes, threads, written,
			  ms, first },
		.has_stolen = true,
		.values_nr = 6,
		.memory_bytes = 2 * AREAS_LIVE * row->bytes * row->threads_nr,
	};
	char size[24];

	snprintf(bytes, sizeof(bytes), "%zu", row->bytes);
	snprintf(threads, sizeof(threads), "%u", row->threads_nr);
	snprintf(written, sizeof(written), "%u", row->written);
	snprintf(ms, sizeof(ms), "%u", options->measure_ms);
	snprintf(first, sizeof(first), "%u", row->first_nr);
	if (row->first_nr != 0)
		snprintf(cold, sizeof(cold), ", the first %u", row->first_nr);
	size_text(row->bytes, size, sizeof(size));
	snprintf(line->what, sizeof(line->what), "%s %s%s%s, %u thread%s",
		 pattern_words[row->pattern], size, row->written ? ", written" : "", cold,
		 row->threads_nr, row->threads_nr == 1 ? "" : "s");
	measure(options, &ask, there, table);
}

void bench_large(const struct options *options)
{
	static struct table table;
	bool there[CONTENDERS_NR];
	double one_thread = 0;

	contenders_probe(there);
	table_head("ns a pair", 0, FLOOR_NET);
	for (unsigned i = 0; i < area_rows_nr; i++) {
		const struct area_row *row = &area_rows[i];
		struct line line = { .value = 1,
				     .net_max = row->net_max,
				     .flat_max = row->flat_max,
				     .peer_max = row->peer_max,
				     .wanted = row->wanted };
		double net;

		snprintf(line.name, sizeof(line.name), "large/%s/%zuk/%ut%s%s",
			 area_pattern_names[row->pattern], row->bytes / 1024, row->threads_nr,
			 row->written ? "/written" : "", row->first_nr ? "/first" : "");
		if (row->threads_nr == 1)
			one_thread = 0;
		if (!row_chosen(options, line.name))
			continue;
		row_ask(options, there, row, &line, &table);
		line.flat_base = one_thread;
		net = line_print(options, &line, &table);
		one_thread = row->threads_nr == 1 ? net : 0;
	}
}

static void ops_lines(const struct options *options, const struct replace_row *row,
		      const struct table *table)
{
	const double peer_max[3] = { row->first_peer_max, row->steady_peer_max,
				     row->worst_peer_max };
	char size[24], words[3][64];

	size_text(row->bytes, size, sizeof(size));
	snprintf(words[0], sizeof(words[0]), "the first %s: mean", row->first_nr);
	snprintf(words[1], sizeof(words[1]), "the next %s: mean", row->steady_nr);
	snprintf(words[2], sizeof(words[2]), "the next %s: worst", row->steady_nr);
	for (unsigned i = 0; i < 3; i++) {
		struct line line = { .value = i + 1,
				     .scale = 1e-3,
				     .peer_max = peer_max[i],
				     .wanted = row->wanted[i] };

		if (peer_max[i] <= 0)
			continue;
		snprintf(line.name, sizeof(line.name), "replace/%zuk/%u", row->bytes / 1024, i);
		snprintf(line.what, sizeof(line.what), "up to %s, %s", size, words[i]);
		line_print(options, &line, table);
	}
}

void bench_replace(const struct options *options)
{
	static struct table table;
	bool there[CONTENDERS_NR];

	contenders_probe(there);
	table_head("us a replacement, 16 live, random sizes, written, 1 thread", 0, FLOOR_NONE);
	for (unsigned i = 0; i < replace_rows_nr; i++) {
		const struct replace_row *row = &replace_rows[i];
		char bytes[24], name[48];
		struct ask ask = {
			.argv = { "area_replace", bytes, row->first_nr, row->steady_nr },
			.has_stolen = true,
			.values_nr = 4,
			.memory_bytes = 2 * AREAS_LIVE * row->bytes,
			.reps = 7, /* a second and more for those that fault everything in again */
		};

		snprintf(bytes, sizeof(bytes), "%zu", row->bytes);
		snprintf(name, sizeof(name), "replace/%zuk", row->bytes / 1024);
		if (!row_chosen(options, name))
			continue;
		measure(options, &ask, there, &table);
		ops_lines(options, row, &table);
	}
}
