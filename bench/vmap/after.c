/* SPDX-License-Identifier: MIT */
/*
 * after.c - what does giving large blocks back cost the caller, other threads, and the system?
 *
 * Method  "half": half_child.c, all at the same time in memory cgroups of their own, since a sleeping
 *         process disturbs no other; they take turns for the filling and for what is timed.
 *         "tail" and "tlb": busy_child.c.
 * Read    MiB and ns; for "tail" us of one call; for "tlb" interrupts per thousand frees.
 * Refused A peak that differs from what was written.  Interrupts if the system counts none even for
 *         munmap(), or if the floor's row shows many that the run did not cause.  A tail in which no
 *         purge happened.
 * Not     Giving everything back: harness/release.c.
 */
#include <string.h>
#include "harness/measure.h"
#include "vmap/targets.h"

#define KIB_TO_MIB (1.0 / 1024)

static void half_lines(const struct options *options, size_t bytes, struct table *table)
{
	static const char *const words[] = { "ns a free", "MiB, cgroup, after 10 s",
					     "MiB, RSS, after 10 s", "MiB, cgroup, after 1 s",
					     "MiB, RSS, after 1 s" };
	static const unsigned values[] = { 0, 7, 8, 5, 6 };
	unsigned judged = table->has_group ? 1 : 2;
	char size[24];

	for (unsigned i = 0; i < 5; i++) {
		struct line line = { .value = values[i], .scale = i ? KIB_TO_MIB : 1 };

		if (i == 0) {
			line.max = AREAS_HALF_NS_MAX;
			line.wanted = "at most 100";
		} else if (i == judged) {
			line.max = AREAS_HALF_MIB_MAX;
			line.wanted = judged == 1 ? "at most 262" : "at most 262 (no cgroup: RSS)";
		}
		size_text(bytes, size, sizeof(size));
		snprintf(line.name, sizeof(line.name), "half/%zuk/%u", bytes / 1024, i);
		snprintf(line.what, sizeof(line.what), "%s blocks: %s", size, words[i]);
		line_print(options, &line, table);
	}
}

void bench_half(const struct options *options)
{
	static const size_t sizes[] = { (size_t)64 << 10, (size_t)1 << 20, (size_t)16 << 20 };
	static struct table table;
	bool there[CONTENDERS_NR];

	contenders_probe(there);
	table_head("512 MiB written, every second block freed, idle", BIT(CONTENDER_FLOOR),
		   FLOOR_NONE);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char bytes[24], name[48];
		struct ask ask = { .argv = { "area_half", bytes },
				   .values_nr = 9,
				   .reps = 3,
				   .together = true,
				   .left_out = BIT(CONTENDER_FLOOR) };

		snprintf(bytes, sizeof(bytes), "%zu", sizes[i]);
		snprintf(name, sizeof(name), "half/%zuk", sizes[i] / 1024);
		if (!row_chosen(options, name))
			continue;
		measure(options, &ask, there, &table);
		peak_reject(&table, 2, 4, 512 * 1024);
		half_lines(options, sizes[i], &table);
	}
}

static void tail_lines(const struct options *options, bool judged, const struct table *table)
{
	static const char *const words[] = { "p50", "p99", "p99.99", "longest" };
	const char *how = judged ? "cache:off" : "default";

	for (unsigned i = 0; i < 4; i++) {
		struct line line = { .value = i + 1, .scale = 1e-3 };

		if (i == 2 && judged) {
			line.max = AREAS_TAIL_US_MAX;
			line.wanted = "at most 60";
		}
		snprintf(line.name, sizeof(line.name), "tail/%s/%s", how, words[i]);
		snprintf(line.what, sizeof(line.what), "%s: %s", how, words[i]);
		line_print(options, &line, table);
	}
	line_print(options, &(struct line){ .name = "tail/purges", .what = "purges", .value = 6 },
		   table);
}

/*
 * With its caches, Quire reuses what the sibling frees and has nothing to purge.  So the verdict is
 * on a run without them: every free is lazy, and the limit is passed again and again.
 */
void bench_tail(const struct options *options)
{
	static struct table table;
	bool there[CONTENDERS_NR];
	char ms[16];

	snprintf(ms, sizeof(ms), "%u", options->measure_ms * 5);
	contenders_probe(there);
	table_head("us a call, 8 KiB taken and freed, while a thread overflows the lazy limit",
		   BIT(CONTENDER_FLOOR), FLOOR_NONE);
	for (unsigned i = 0; i < 2; i++) {
		struct ask ask = { .argv = { "area_tail", ms, i == 0 ? "purging" : "any" },
				   .options = i == 0 ? "cache:off" : NULL,
				   .has_stolen = true,
				   .values_nr = 7,
				   .left_out = BIT(CONTENDER_FLOOR) };

		measure(options, &ask, there, &table);
		tail_lines(options, i == 0, &table);
	}
}

static const char *tlb_reject(const struct table *table)
{
	struct spread floor = table_spread(table, CONTENDER_FLOOR, 1);
	struct spread mmap = table_spread(table, CONTENDER_MMAP, 1);

	if (mmap.nr == 0 || mmap.median < 500)
		return "the system counts no interrupts for munmap()";
	if (floor.nr == 0 || floor.median >= 1)
		return "others cause interrupts";
	return NULL;
}

void bench_tlb(const struct options *options)
{
	static const struct {
		size_t bytes;
		const char *frees;
	} sizes[] = { { (size_t)64 << 10, "4000" },
		      { (size_t)1 << 20, "1000" },
		      { (size_t)16 << 20, "200" } };
	static struct table table;
	bool there[CONTENDERS_NR];

	contenders_probe(there);
	table_head("a thousand frees of one size, 16 live, written, beside a busy thread", 0,
		   FLOOR_NONE);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char bytes[24], size[24];
		struct ask ask = { .argv = { "area_tlb", bytes, sizes[i].frees },
				   .has_stolen = true,
				   .values_nr = 3,
				   .reps = 5 };
		struct line line = { .value = 1, .wanted = "at most 2", .max = AREAS_TLB_MAX };
		struct line own = { .value = 2 };

		snprintf(bytes, sizeof(bytes), "%zu", sizes[i].bytes);
		size_text(sizes[i].bytes, size, sizeof(size));
		snprintf(line.name, sizeof(line.name), "tlb/%zuk", sizes[i].bytes / 1024);
		snprintf(line.what, sizeof(line.what), "%s: interrupts of row TLB", size);
		snprintf(own.name, sizeof(own.name), "tlb/%zuk/flushes", sizes[i].bytes / 1024);
		snprintf(own.what, sizeof(own.what), "%s: flushes, as Quire counts them", size);
		if (!row_chosen(options, line.name))
			continue;
		measure(options, &ask, there, &table);
		line.note = tlb_reject(&table);
		line_print(options, &line, &table);
		line_print(options, &own, &table);
	}
}
