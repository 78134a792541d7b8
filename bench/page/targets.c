/* SPDX-License-Identifier: MIT */
/*
 * targets.c - every figure that is wanted, once
 *
 * ns are for a pair, all checks on, same build and options in every row.  "floor" and "best peer"
 * are those of the same run.
 */
#include "harness/bench.h"

#define RUN(p, o, t, w) .run = { .pattern = PATTERN_##p, .order = o, .threads_nr = t, .touch = w }

/* What is measured, untouched and touched; then what is wanted of it. */
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

#define LIFO0_WANTED   NS_FLOOR(LIFO0, 3.8, 1.5, "at most 3.8, and 1.5 of floor in the run")
#define FIFO0_WANTED   NS_FLOOR(FIFO0, 5.0, 1.3, "at most 5.0, 1.3 of floor")
#define RAND0_WANTED   NS_FLOOR(RAND0, 5.5, 1.35, "at most 5.5, 1.35 of floor")
#define CHURN0_WANTED  NS_FLOOR(CHURN0, 4.7, 1.8, "at most 4.7, 1.8 of floor")
#define REMOTE0_WANTED NS_FLOOR(REMOTE0, 5.0, 1.4, "at most 5.0, 1.4 of floor")

const struct row rows[] = {
	{ RUN(LIFO, 0, 1, 0), LIFO0_WANTED },
	{ RUN(LIFO, 0, 2, 0), LIFO0_WANTED },
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

	{ RUN(LIFO, 2, 1, 0), NS("order 2, LIFO", 3.8, "at most 3.8") },
	{ RUN(LIFO, 2, 2, 0), NS("order 2, LIFO", 3.8, "at most 3.8") },
	{ RUN(RAND, 2, 1, 0), NS("order 2, random", 5.5, "at most 5.5") },
	{ RUN(RAND, 2, 2, 0), NS("order 2, random", 5.5, "at most 5.5") },
	{ RUN(CHURN, 2, 1, 0), NS("order 2, churn", 5.5, "at most 5.5") },
	{ RUN(CHURN, 2, 2, 0), NS("order 2, churn", 5.5, "at most 5.5") },

	{ RUN(LIFO, 4, 2, 0), NS("order 4, LIFO", 4.2, "at most 4.2") },
	{ RUN(RAND, 4, 2, 0), NS("order 4, random", 20, "at most 20") },
	{ RUN(CHURN, 4, 2, 0), NS("order 4, churn", 15, "at most 15") },

	{ RUN(LIFO, 9, 1, 0), NS("order 9, LIFO", 6, "at most 6") },
	{ RUN(LIFO, 9, 2, 0), NS("order 9, LIFO", 6, "at most 6") },
	{ RUN(RAND, 9, 1, 0), NS("order 9, random", 40, "at most 40") },
	{ RUN(RAND, 9, 2, 0), NS("order 9, random", 40, "at most 40") },
	{ RUN(CHURN, 9, 1, 0), NS("order 9, churn", 40, "at most 40") },
	{ RUN(CHURN, 9, 2, 0), NS("order 9, churn", 40, "at most 40") },
};

const unsigned rows_nr = sizeof(rows) / sizeof(rows[0]);

#define TARGET(name, k, value, words)                                                              \
	const struct target target_##name = { .kind = k, .limit = value, .wanted = words }

TARGET(none, LIMIT_NONE, 0, "-");
TARGET(frag_random_blocks, AT_LEAST, 245, "at least 245 (ideal 256)");
TARGET(frag_random_ns, AT_MOST, 10, "at most 10 ns a pair");
TARGET(frag_rounds_blocks, AT_LEAST, 250, "at least 250");
TARGET(frag_mixed_blocks, AT_LEAST, 250, "at least 250");
TARGET(build_end, AT_MOST, 8, "at most 1.5 x ceil(live pages / 512) + 8");
TARGET(build_removed, AT_MOST, 40, "at most 40");
TARGET(build_mixed, AT_MOST, 0, "0");
TARGET(fallback_ns, AT_MOST, 60, "at most 60 ns");
TARGET(drain_idle_us, AT_MOST, 2, "at most 2 us");
TARGET(drain_page_ns, AT_MOST, 30, "at most 30 ns");
TARGET(drain_over_fence_us, AT_MOST, 5, "at most the fence in the same run + 5 us");
TARGET(drain_gap_us, AT_MOST, 50, "below 50 us");
TARGET(release_asked_mib, AT_MOST, 8, "at most 8 MiB within 1 s of quire_release()");
TARGET(release_idle_mib, AT_MOST, 8, "at most 8 MiB within 10 s of nothing at all");
TARGET(metadata_bytes, AT_MOST, 17, "at most 17 bytes a page of committed sections");
/* What rounding to pages may leave: one page a table, a page table page for each. */
TARGET(idle_kib, AT_MOST, 64, "nothing for the rest");
TARGET(purge_ms, AT_MOST, 0.35, "at most 0.35 ms");
TARGET(tree_ratio, AT_MOST, 4, "at most 4");
TARGET(tree_compares, AT_MOST, 1.5, "at most 1.5");
TARGET(vmas, AT_MOST, 64, "at most 64");
TARGET(policy_spurious, AT_MOST, 0, "0");
TARGET(percpu_pair_ns, AT_MOST, 7, "at most 7 ns");
TARGET(percpu_pair_both_ns, AT_MOST, 8, "at most 8 ns");
TARGET(percpu_written_mib, AT_MOST, 0, "at most 1.1 x 2 x 8 MB + bitmaps");
TARGET(percpu_idle_mib, AT_MOST, 1, "at most 1 MiB");
TARGET(percpu_atomic, AT_MOST, 0, "0");

void row_name(const struct row *row, char *name, size_t bytes)
{
	snprintf(name, bytes, "order%u/%s/%ut%s", row->run.order, pattern_names[row->run.pattern],
		 row->run.threads_nr, row->run.touch ? "/touch" : "");
}
