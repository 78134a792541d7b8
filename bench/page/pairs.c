/* SPDX-License-Identifier: MIT */
/*
 * pairs.c - what does a pair of pages cost, compared with the peers and the floor?
 *
 * Method  patterns.inc.h, each sample in a process of its own, contenders in turn (measure.h).  A row
 *         shows the medians of its rounds.  A ratio is the median of the rounds' ratios, since on a
 *         shared machine two samples of one round have more in common than two medians.
 * Read    ns per pair and thread, with all checks on.  `*`: the quartiles are more than 15 % of the
 *         median apart.
 * Refused A sample is discarded and repeated if it measured something else: an allocation was
 *         refused, a thread left its CPU, or other processes took more than 2 % of its time.
 * Not     Refaulting, giving memory back and fragmentation have files of their own.
 */
#include "harness/measure.h"
#include "harness/runner.h"

/* The wanted figures; "floor" and "best peer" are those of the same run. */
struct row {
	struct run run;
	double ns_max;	  /* 0: no limit */
	double floor_max; /* times the floor in the same run; 0: no limit */
	double peer_max;  /* times the best peer in the same run; 0: no limit */
	const char *what;
	const char *wanted;
};

#define RUN(p, o, t, w) .run = { .pattern = PATTERN_##p, .order = o, .threads_nr = t, .touch = w }

/* The names of the rows, then their wanted figures, untouched and touched. */
#define LIFO0	"order 0, LIFO"
#define FIFO0	"order 0, 1,024 allocated then freed in order"
#define RAND0	"order 0, 1,024 allocated, freed in random order"
#define CHURN0	"order 0, churn, 32,768 live"
#define REMOTE0 "order 0, one CPU allocates, the other frees"

#define NS(name, ns, words) .ns_max = ns, .what = name, .wanted = words
#define NS_FLOOR(name, ns, floor, words)                                                           \
	.ns_max = ns, .floor_max = floor, .what = name, .wanted = words
#define TOUCHED(name, peer)                                                                        \
	.peer_max = peer, .what = name ", one byte written",                                       \
	.wanted = "at most " #peer " of the best peer in the run"

#define LIFO(name)                                                                                 \
	.peer_max = 0.85, .what = name, .wanted = "at most 0.85 of the best peer in the run"

#define FIFO0_WANTED   NS_FLOOR(FIFO0, 5.0, 1.3, "at most 5.0, 1.3 of floor")
#define RAND0_WANTED   NS_FLOOR(RAND0, 5.5, 1.35, "at most 5.5, 1.35 of floor")
#define CHURN0_WANTED  NS_FLOOR(CHURN0, 4.7, 1.8, "at most 4.7, 1.8 of floor")
#define REMOTE0_WANTED NS_FLOOR(REMOTE0, 5.0, 1.4, "at most 5.0, 1.4 of floor")

static const struct row rows[] = {
	{ RUN(LIFO, 0, 1, 0), LIFO(LIFO0) },
	{ RUN(LIFO, 0, 2, 0), LIFO(LIFO0) },
	{ RUN(FIFO, 0, 1, 0), FIFO0_WANTED },
	{ RUN(FIFO, 0, 2, 0), FIFO0_WANTED },
	{ RUN(RAND, 0, 1, 0), RAND0_WANTED },
	{ RUN(RAND, 0, 2, 0), RAND0_WANTED },
	{ RUN(CHURN, 0, 1, 0), CHURN0_WANTED },
	{ RUN(CHURN, 0, 2, 0), CHURN0_WANTED },
	{ RUN(REMOTE, 0, 2, 0), REMOTE0_WANTED },

	{ RUN(LIFO, 0, 1, 1), TOUCHED(LIFO0, 0.7) },
	{ RUN(LIFO, 0, 2, 1), TOUCHED(LIFO0, 0.7) },
	{ RUN(FIFO, 0, 1, 1), TOUCHED(FIFO0, 0.95) },
	{ RUN(FIFO, 0, 2, 1), TOUCHED(FIFO0, 0.95) },
	{ RUN(RAND, 0, 1, 1), TOUCHED(RAND0, 0.95) },
	{ RUN(RAND, 0, 2, 1), TOUCHED(RAND0, 0.95) },
	{ RUN(CHURN, 0, 1, 1), TOUCHED(CHURN0, 0.75) },
	{ RUN(CHURN, 0, 2, 1), TOUCHED(CHURN0, 0.75) },
	{ RUN(REMOTE, 0, 2, 1), TOUCHED(REMOTE0, 1.15) },

	{ RUN(LIFO, 2, 1, 0), LIFO("order 2, LIFO") },
	{ RUN(LIFO, 2, 2, 0), LIFO("order 2, LIFO") },
	{ RUN(RAND, 2, 1, 0), NS("order 2, random", 5.5, "at most 5.5") },
	{ RUN(RAND, 2, 2, 0), NS("order 2, random", 5.5, "at most 5.5") },
	{ RUN(CHURN, 2, 1, 0), NS("order 2, churn", 5.5, "at most 5.5") },
	{ RUN(CHURN, 2, 2, 0), NS("order 2, churn", 5.5, "at most 5.5") },

	{ RUN(LIFO, 4, 1, 0), LIFO("order 4, LIFO") },
	{ RUN(LIFO, 4, 2, 0), LIFO("order 4, LIFO") },
	{ RUN(RAND, 4, 2, 0), NS("order 4, random", 20, "at most 20") },
	{ RUN(CHURN, 4, 2, 0), NS("order 4, churn", 15, "at most 15") },

	{ RUN(LIFO, 9, 1, 0), LIFO("order 9, LIFO") },
	{ RUN(LIFO, 9, 2, 0), LIFO("order 9, LIFO") },
	{ RUN(RAND, 9, 1, 0), NS("order 9, random", 40, "at most 40") },
	{ RUN(RAND, 9, 2, 0), NS("order 9, random", 40, "at most 40") },
	{ RUN(CHURN, 9, 1, 0), NS("order 9, churn", 40, "at most 40") },
	{ RUN(CHURN, 9, 2, 0), NS("order 9, churn", 40, "at most 40") },
};

#define ROWS_NR (sizeof(rows) / sizeof(rows[0]))

static void row_measure(const struct options *options, const bool *there, const struct row *row,
			struct table *table)
{
	char order[8], threads[8], touch[8], ms[16];
	struct ask ask = {
		.argv = { "page_pairs", pattern_names[row->run.pattern], order, threads, touch,
			  ms },
		.left_out = BIT(CONTENDER_GUARDED),
		.has_stolen = true,
		.values_nr = 6,
	};

	snprintf(order, sizeof(order), "%u", row->run.order);
	snprintf(threads, sizeof(threads), "%u", row->run.threads_nr);
	snprintf(touch, sizeof(touch), "%u", row->run.touch);
	snprintf(ms, sizeof(ms), "%u", options->measure_ms);
	if (row->run.order > 0)
		ask.left_out |= BIT(CONTENDER_FLOOR);
	measure(options, &ask, there, table);
}

void bench_rows(const struct options *options)
{
	static struct table table;
	bool there[CONTENDERS_NR];

	contenders_probe(there);
	table_head("ns a pair", BIT(CONTENDER_GUARDED), FLOOR_RATIO);
	for (unsigned i = 0; i < ROWS_NR; i++) {
		const struct row *row = &rows[i];
		struct line line = { .value = 1,
				     .unit = "ns",
				     .max = row->ns_max,
				     .floor_max = row->floor_max,
				     .peer_max = row->peer_max,
				     .wanted = row->wanted };

		/* "order0/lifo/2t" or "order0/lifo/2t/touch" */
		snprintf(line.name, sizeof(line.name), "order%u/%s/%ut%s", row->run.order,
			 pattern_names[row->run.pattern], row->run.threads_nr,
			 row->run.touch ? "/touch" : "");
		if (!row_chosen(options, line.name))
			continue;
		snprintf(line.what, sizeof(line.what), "%s, %u thread%s", row->what,
			 row->run.threads_nr, row->run.threads_nr == 1 ? "" : "s");
		row_measure(options, there, row, &table);
		line_print(options, &line, &table);
	}
}
