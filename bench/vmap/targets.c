/* SPDX-License-Identifier: MIT */
/* targets.c - see targets.h; ratios are to the best peer of the same run */
#include "vmap/targets.h"

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

/* A row with one thread is followed by the same with two: the second is compared with the first. */
#define BOTH(p, size, written, one, two)                                                           \
	{ p, size, 1, written, 0, one },                                                           \
	{                                                                                          \
		p, size, 2, written, 0, two                                                        \
	}

#define SMALL_ONE .net_max = 6, .wanted = "at most 6 net"
#define SMALL_TWO .net_max = 6, .flat_max = 1.2, .wanted = "at most 6 net, 1.2 of one thread's"
#define MID_ONE	  .net_max = 12, .wanted = "at most 12 net"
#define MID_TWO	  .net_max = 12, .flat_max = 1.2, .wanted = "at most 12 net, 1.2 of one thread's"
#define HUGE_ONE  .net_max = 25, .wanted = "at most 25 net"
#define HUGE_TWO  .net_max = 25, .flat_max = 1.2, .wanted = "at most 25 net, 1.2 of one thread's"
#define ANY_ONE	  .peer_max = 0.3, .wanted = "at most 0.3 of the best peer"
#define ANY_TWO	  .peer_max = 0.15, .wanted = "at most 0.15 of the best peer"
#define FIRST_TWO .peer_max = 0.8, .wanted = "at most 0.8 of the best peer"
#define PAIR_64K  .peer_max = 1.05, .wanted = "at most 1.05 of the best peer"
#define WRITTEN	  .peer_max = 1.1, .wanted = "at most 1.1 of the best peer"

/* Pairs of a thread that count as a cold start. */
#define FIRST_NR 4096u

#define UNTOUCHED(p)                                                                               \
	BOTH(p, KIB(64), 0, SMALL_ONE, SMALL_TWO), BOTH(p, KIB(256), 0, SMALL_ONE, SMALL_TWO),     \
		BOTH(p, MIB(1), 0, MID_ONE, MID_TWO), BOTH(p, MIB(4), 0, MID_ONE, MID_TWO),        \
		BOTH(p, MIB(16), 0, MID_ONE, MID_TWO), BOTH(p, MIB(64), 0, HUGE_ONE, HUGE_TWO)
#define LARGER_WRITTEN(p)                                                                          \
	BOTH(p, KIB(256), 1, WRITTEN, WRITTEN), BOTH(p, MIB(1), 1, WRITTEN, WRITTEN),              \
		BOTH(p, MIB(4), 1, WRITTEN, WRITTEN), BOTH(p, MIB(16), 1, WRITTEN, WRITTEN),       \
		BOTH(p, MIB(64), 1, WRITTEN, WRITTEN)

/* clang-format off */
const struct area_row area_rows[] = {
	UNTOUCHED(AREA_PAIR),
	UNTOUCHED(AREA_FIXED),
	BOTH(AREA_RANDOM, MIB(4), 0, ANY_ONE, ANY_TWO),
	BOTH(AREA_RANDOM, MIB(16), 0, ANY_ONE, ANY_TWO),
	BOTH(AREA_RANDOM, MIB(64), 0, ANY_ONE, ANY_TWO),
	{ AREA_RANDOM, MIB(1), 2, 0, FIRST_NR, FIRST_TWO },
	{ AREA_RANDOM, MIB(16), 2, 0, FIRST_NR, FIRST_TWO },
	BOTH(AREA_PAIR, KIB(64), 1, PAIR_64K, PAIR_64K),
	LARGER_WRITTEN(AREA_PAIR),
	BOTH(AREA_FIXED, KIB(64), 1, WRITTEN, WRITTEN),
	LARGER_WRITTEN(AREA_FIXED),
};
/* clang-format on */

const unsigned area_rows_nr = sizeof(area_rows) / sizeof(area_rows[0]);

const struct replace_row replace_rows[] = {
	{ MIB(4), "200", "0", .first_peer_max = 0.35,
	  .wanted = { "at most 0.35 of the best peer" } },
	{ MIB(16), "60", "1500", .first_peer_max = 0.15, .steady_peer_max = 0.7,
	  .worst_peer_max = 0.3,
	  .wanted = { "at most 0.15 of the best peer", "at most 0.7 of the best peer",
		      "at most 0.3 of the best peer" } },
	{ MIB(64), "24", "400", .first_peer_max = 0.15, .steady_peer_max = 0.3,
	  .worst_peer_max = 0.3,
	  .wanted = { "at most 0.15 of the best peer", "at most 0.3 of the best peer",
		      "at most 0.3 of the best peer" } },
};

const unsigned replace_rows_nr = sizeof(replace_rows) / sizeof(replace_rows[0]);

/* Replacements that are written whole take peers a millisecond each. */
const struct sparse_row sparse_rows[] = {
	{ MIB(16), "200", "20000", 0, .reps = 5, .peer_max = 1, .mib_max = 11.4,
	  .wanted = { "at most the best peer's", "at most 12 MB" } },
	{ MIB(16), "200", "1700", 1, .reps = 5, .peer_max = 0.19,
	  .wanted = { "at most 0.19 of the best peer", NULL } },
};

const unsigned sparse_rows_nr = sizeof(sparse_rows) / sizeof(sparse_rows[0]);
