/* SPDX-License-Identifier: MIT */
/* targets.c - all wanted figures except those of page/pairs.c and vmap/targets.h */
#include "harness/bench.h"

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
TARGET(metadata_bytes, AT_MOST, 17, "at most 17 bytes a page of committed sections");
/* Rounding to pages may leave one page for each table, and a page of page table for each. */
TARGET(idle_kib, AT_MOST, 64, "nothing for the rest");
TARGET(light_kib, AT_MOST, 400, "at most 400 kB");
TARGET(light_us, AT_MOST, 60, "at most 60 us");
TARGET(light_calls, AT_MOST, 14, "at most 14");
TARGET(pieces_mib, AT_MOST, 1.5, "at most 1.5 MiB");
TARGET(pieces_mappings, AT_MOST, 1000, "at most 1,000");
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
