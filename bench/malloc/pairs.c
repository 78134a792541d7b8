/* SPDX-License-Identifier: MIT */
/*
 * pairs.c - what does a malloc() and its free() cost, net of the harness?
 *
 * Method  page/patterns.inc.h with objects of one size, each sample in a process of its own in which the
 *         library is preloaded, contenders in turn (measure.h).  CPU time of the threads.  The column
 *         "null" is the same loop with functions that do nothing, in a library too.
 * Read    ns a pair.  "of best peer" is the median of the rounds' ratios, where "null" of the same round
 *         is subtracted from both.
 *         "linked" and "linked null" are a program with quire-malloc.o, and one with functions that do nothing, in
 *         it; no verdict, since calls across libraries hide part of what an allocation costs.
 * Refused As in page/pairs.c.
 * Not     Peers linked into the program: Debian has no such objects of all of them.
 */
#include "harness/measure.h"
#include "harness/runner.h"

#define CPU_NS 2u /* of the reply */

struct row {
	enum pattern pattern;
	unsigned bytes;
	unsigned threads_nr;
	unsigned touch;
	double peer_max;
	const char *wanted;
};

#define ROW(p, b, t, w, m)                                                                         \
	{                                                                                          \
		.pattern = PATTERN_##p, .bytes = b, .threads_nr = t, .touch = w, .peer_max = m,    \
		.wanted = "at most " #m " of the best peer, net"                                   \
	}
#define SIZE(b, lifo, bulk, shuffled, churn)                                                       \
	ROW(LIFO, b, 1, 0, lifo), ROW(LIFO, b, 2, 0, lifo), ROW(FIFO, b, 1, 0, bulk),              \
		ROW(FIFO, b, 2, 0, bulk), ROW(RAND, b, 1, 1, shuffled),                            \
		ROW(RAND, b, 2, 1, shuffled), ROW(CHURN, b, 1, 1, churn),                          \
		ROW(CHURN, b, 2, 1, churn)

static const struct row rows[] = {
	SIZE(64, 1.03, 1.0, 1.0, 0.9), SIZE(16, 1.1, 1.1, 1.1, 1.1),
	SIZE(512, 1.1, 1.1, 1.1, 1.1), SIZE(4096, 0.95, 0.7, 0.75, 0.6),
	ROW(REMOTE, 64, 2, 0, 0.5),    ROW(REMOTE, 4096, 2, 0, 0.2),
};

static const char *const words[PATTERNS_NR] = {
	[PATTERN_LIFO] = "freed at once",
	[PATTERN_FIFO] = "1,024 allocated, then freed",
	[PATTERN_RAND] = "1,024 allocated and written, freed in random order",
	[PATTERN_CHURN] = "32,768 live, a random one replaced and written",
	[PATTERN_REMOTE] = "one CPU allocates, the other frees",
};

static void row_measure(const struct options *options, const bool *there, const struct row *row,
			struct table *table)
{
	char bytes[16], threads[8], touch[8], ms[16];
	struct ask ask = {
		.argv = { "pairs", pattern_names[row->pattern], bytes, threads, touch, ms },
		.has_stolen = true,
		.values_nr = 6,
		.memory_bytes = row->pattern == PATTERN_CHURN
					? (size_t)row->threads_nr * CHURN_BLOCKS * row->bytes
					: 0,
	};

	snprintf(bytes, sizeof(bytes), "%u", row->bytes);
	snprintf(threads, sizeof(threads), "%u", row->threads_nr);
	snprintf(touch, sizeof(touch), "%u", row->touch);
	snprintf(ms, sizeof(ms), "%u", options->measure_ms);
	measure(options, &ask, there, table);
}

void bench_malloc(const struct options *options)
{
	static struct table table;
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head("ns a pair, CPU time", 0, FLOOR_NONE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct line line = { .value = CPU_NS,
				     .unit = "ns",
				     .is_net = true,
				     .peer_max = row->peer_max,
				     .wanted = row->wanted };

		/* "malloc64/lifo/2t" */
		snprintf(line.name, sizeof(line.name), "malloc%u/%s/%ut", row->bytes,
			 pattern_names[row->pattern], row->threads_nr);
		if (!row_chosen(options, line.name))
			continue;
		snprintf(line.what, sizeof(line.what), "%u B, %s, %u thread%s", row->bytes,
			 words[row->pattern], row->threads_nr, row->threads_nr == 1 ? "" : "s");
		row_measure(options, there, row, &table);
		line_print(options, &line, &table);
	}
}
