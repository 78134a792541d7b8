/* SPDX-License-Identifier: MIT */
/*
 * large_after.c - what does giving large blocks back cost the caller, others, and the system?
 *
 * Method  "half" and "areas": large_idle.c, all side by side in memory cgroups of their own, since
 *         sleeping disturbs nobody; what is timed, and the filling, they do one after the other.
 *         "tail" and "tlb": large_busy.c.
 * Read    MiB and ns; "tail" us of one call; "tlb" interrupts for a thousand frees.
 * Refused A peak that was not what was written.  Interrupts where the system counts none even for
 *         munmap(), or many that the run did not cause (the floor's row).  A tail in which no purge
 *         happened.
 * Not     Giving small blocks back: release.c.
 */
#include <string.h>
#include "vmap/large_table.h"
#include "vmap/large_targets.h"

#define KIB_TO_MIB (1.0 / 1024)
/* What the peak must be above the beginning: all that was written, less a little. */
#define PEAK_SHARE 0.97

/* Refuses what did not write what it was to write. */
static void peak_reject(struct large_table *table, unsigned begin, unsigned peak, double kib)
{
	for (unsigned who = 0; who < LARGE_NR; who++)
		for (unsigned rep = 0; rep < table->reps; rep++) {
			double *values = table->values[who][rep];

			if (values[begin] < 0 || values[peak] - values[begin] >= kib * PEAK_SHARE)
				continue;
			for (unsigned i = 0; i < LARGE_VALUES; i++)
				values[i] = -1;
			snprintf(table->refused[who], sizeof(table->refused[who]),
				 "the peak was not what was written");
			if (who != LARGE_QUIRE)
				fprintf(stderr, "quire-bench: %s: %s\n",
					large_contenders[who].as->name, table->refused[who]);
		}
}

static void half_lines(const struct options *options, size_t bytes, struct large_table *table)
{
	static const char *const words[] = { "ns a free", "MiB, cgroup, after 10 s",
					     "MiB, RSS, after 10 s", "MiB, cgroup, after 1 s",
					     "MiB, RSS, after 1 s" };
	static const unsigned values[] = { 0, 7, 8, 5, 6 };
	unsigned judged = table->has_group ? 1 : 2;
	char size[24];

	for (unsigned i = 0; i < 5; i++) {
		struct large_line line = { .value = values[i], .scale = i ? KIB_TO_MIB : 1 };

		if (i == 0) {
			line.max = LARGE_HALF_NS_MAX;
			line.wanted = "at most 100";
		} else if (i == judged) {
			line.max = LARGE_HALF_MIB_MAX;
			line.wanted = judged == 1 ? "at most 262" : "at most 262 (no cgroup: RSS)";
		}
		large_size_text(bytes, size, sizeof(size));
		snprintf(line.name, sizeof(line.name), "half/%zuk/%u", bytes / 1024, i);
		snprintf(line.what, sizeof(line.what), "%s blocks: %s", size, words[i]);
		large_print(options, &line, table);
	}
}

void bench_half(const struct options *options)
{
	static const size_t sizes[] = { (size_t)64 << 10, (size_t)1 << 20, (size_t)16 << 20 };
	static struct large_table table;
	bool there[LARGE_NR];

	large_probe(there);
	large_head("512 MiB written, every second block freed, idle");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char bytes[24], name[48];
		struct large_ask ask = { .argv = { "half", bytes },
					 .values_nr = 9,
					 .reps = 3,
					 .together = true,
					 .no_floor = true,
					 .keep = true };

		snprintf(bytes, sizeof(bytes), "%zu", sizes[i]);
		snprintf(name, sizeof(name), "half/%zuk", sizes[i] / 1024);
		if (!large_chosen(options, name))
			continue;
		large_measure(options, &ask, there, &table);
		peak_reject(&table, 2, 4, 512 * 1024);
		half_lines(options, sizes[i], &table);
	}
}

/* RSS less what is live: what is judged.  The cgroup's beside it. */
static void areas_lines(const struct options *options, const char *how, struct large_table *table)
{
	for (unsigned who = 0; who < LARGE_NR; who++)
		for (unsigned rep = 0; rep < table->reps; rep++) {
			double *values = table->values[who][rep];

			for (unsigned i = 5; i <= 6 && values[i] >= 0; i++)
				values[i] = values[i] > values[0] ? values[i] - values[0] : 0;
		}
	for (unsigned i = 0; i < 2; i++) {
		struct large_line line = { .value = 6 - i, .scale = KIB_TO_MIB };

		if (i == 0) {
			line.max = LARGE_RELEASE_MIB_MAX;
			line.wanted = "at most 8";
		}
		snprintf(line.name, sizeof(line.name), "areas/%s/%u", how, i);
		snprintf(line.what, sizeof(line.what), "%s: %s", how, i ? "cgroup" : "RSS");
		if (i == 0 || table->has_group)
			large_print(options, &line, table);
	}
}

void bench_areas(const struct options *options)
{
	static const char *const ways[][2] = {
		{ "ask", "areas/1 s after it was asked" },
		{ "idle", "areas/after 10 s of nothing at all" },
	};
	static struct large_table table;
	bool there[LARGE_NR];

	large_probe(there);
	large_head("MiB beyond the live, 4 threads took and freed 256 MiB of up to 4 MiB");
	for (unsigned i = 0; i < 2; i++) {
		struct large_ask ask = { .argv = { "release", "4194304", ways[i][0] },
					 .values_nr = 7,
					 .reps = 3,
					 .together = true,
					 .no_floor = true,
					 .keep = true };

		if (!large_chosen(options, ways[i][1]))
			continue;
		large_measure(options, &ask, there, &table);
		peak_reject(&table, 2, 4, 256 * 1024);
		areas_lines(options, strchr(ways[i][1], '/') + 1, &table);
	}
}

static void tail_lines(const struct options *options, bool judged, const struct large_table *table)
{
	static const char *const words[] = { "p50", "p99", "p99.99", "longest" };
	const char *how = judged ? "cache:off" : "default";

	for (unsigned i = 0; i < 4; i++) {
		struct large_line line = { .value = i + 1, .scale = 1e-3 };

		if (i == 2 && judged) {
			line.max = LARGE_TAIL_US_MAX;
			line.wanted = "at most 60";
		}
		snprintf(line.name, sizeof(line.name), "tail/%s/%s", how, words[i]);
		snprintf(line.what, sizeof(line.what), "%s: %s", how, words[i]);
		large_print(options, &line, table);
	}
	large_print(options,
		    &(struct large_line){ .name = "tail/purges", .what = "purges", .value = 6 },
		    table);
}

/*
 * With its caches, Quire reuses what the sibling frees and has nothing to purge.  So what is judged
 * is without: every free is lazy, and the limit is passed again and again.
 */
void bench_tail(const struct options *options)
{
	static struct large_table table;
	bool there[LARGE_NR];
	char ms[16];

	snprintf(ms, sizeof(ms), "%u", options->measure_ms * 5);
	large_probe(there);
	large_head("us a call, 8 KiB taken and freed, while a thread overflows the lazy limit");
	for (unsigned i = 0; i < 2; i++) {
		struct large_ask ask = { .argv = { "tail", ms, i == 0 ? "purging" : "any" },
					 .cache_off = i == 0,
					 .values_nr = 7,
					 .no_floor = true };

		large_measure(options, &ask, there, &table);
		tail_lines(options, i == 0, &table);
	}
}

static const char *tlb_reject(const struct large_table *table)
{
	struct spread floor = large_spread(table, LARGE_FLOOR, 1);
	struct spread mmap = large_spread(table, LARGE_NR - 1, 1);

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
	static struct large_table table;
	bool there[LARGE_NR];

	large_probe(there);
	large_head("a thousand frees of one size, 16 live, written, beside a busy thread");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char bytes[24], size[24];
		struct large_ask ask = { .argv = { "tlb", bytes, sizes[i].frees },
					 .values_nr = 3,
					 .reps = 5 };
		struct large_line line = { .value = 1,
					   .wanted = "at most 2",
					   .max = LARGE_TLB_MAX };
		struct large_line own = { .value = 2 };

		snprintf(bytes, sizeof(bytes), "%zu", sizes[i].bytes);
		large_size_text(sizes[i].bytes, size, sizeof(size));
		snprintf(line.name, sizeof(line.name), "tlb/%zuk", sizes[i].bytes / 1024);
		snprintf(line.what, sizeof(line.what), "%s: interrupts of row TLB", size);
		snprintf(own.name, sizeof(own.name), "tlb/%zuk/flushes", sizes[i].bytes / 1024);
		snprintf(own.what, sizeof(own.what), "%s: flushes, as Quire counts them", size);
		if (!large_chosen(options, line.name))
			continue;
		large_measure(options, &ask, there, &table);
		line.note = tlb_reject(&table);
		large_print(options, &line, &table);
		large_print(options, &own, &table);
	}
}
