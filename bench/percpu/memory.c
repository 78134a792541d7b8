/* SPDX-License-Identifier: MIT */
/*
 * memory.c - how much memory do a million counters take if 256 CPUs are configured and 2 are used?
 *
 * Method  A process of its own in a memory cgroup of its own creates an instance with units for 256
 *         CPUs and allocates a million objects of 8 bytes.  Memory is measured at four points:
 *           nothing      before any object was written
 *           written      a thread on each of two CPUs has added one to every counter there
 *           renewed      every other object was freed and allocated again, and all were added to again
 *           freed        1 s after all were freed
 * Read    MiB charged to the cgroup since before the instance was created, including page tables.  RSS
 *         and page tables are printed beside it.  Bitmaps: the metadata as Quire reports it.
 *         Without a cgroup (not root), RSS and page tables are judged.  Allocating again reads every
 *         CPU's copy; that takes memory only if the system has no shared zero page for pages that
 *         were never written.  The program tests this first and prints the result.
 * Refused A counter whose sum differs from the number of additions.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include "harness/bench.h"
#include "harness/cgroup.h"
#include "harness/pin.h"
#include "harness/proc.h"

#define COUNTERS   1000000u
#define UNITS	   256u
#define CPUS_USED  2u
#define COPIES_MIB (CPUS_USED * COUNTERS * 8 / 1048576.0)
#define OVER_PART  1.1
#define FREED_MS   1000u
#define READ_BYTES ((size_t)4 << 20)

enum moment {
	BEFORE,
	NOTHING,
	WRITTEN,
	RENEWED,
	FREED,
	MOMENTS_NR,
};

static const char *const moment_words[MOMENTS_NR] = {
	[NOTHING] = "allocated, not written",
	[WRITTEN] = "written on two CPUs",
	[RENEWED] = "every second one freed and allocated again, all written again",
	[FREED] = "1 s after all were freed",
};

/* Shared with the child that fills it. */
struct record {
	uint64_t cgroup_bytes[MOMENTS_NR];
	uint64_t rss_kib[MOMENTS_NR], tables_kib[MOMENTS_NR];
	uint64_t metadata_bytes[MOMENTS_NR];
	const char *refused; /* a constant string: the same in both */
	bool reads_take_memory;
	bool finished;
};

static uint64_t *counters[COUNTERS];

static void *adder_main(void *arg)
{
	if (!pin_self(*(const int *)arg))
		return NULL;
	for (uint32_t i = 0; i < COUNTERS; i++)
		quire_this_cpu_add(counters[i], 1);
	return arg;
}

/* Adds one to every counter on two CPUs; false if there are none. */
static bool add_on_cpus(void)
{
	bool all = true;

	for (unsigned i = 0; i < CPUS_USED; i++) {
		int cpu = pin_cpu(i);
		pthread_t thread;
		void *added = NULL;

		if (cpu < 0 || pthread_create(&thread, NULL, adder_main, &cpu) != 0)
			return false;
		pthread_join(thread, &added);
		all &= added != NULL;
	}
	return all;
}

static bool sums_are(uint64_t kept, uint64_t renewed)
{
	for (uint32_t i = 0; i < COUNTERS; i++) {
		uint64_t sum = 0;

		for (unsigned n = 0; n < CPUS_USED; n++)
			sum += *quire_per_cpu_ptr(counters[i], (unsigned)pin_cpu(n));
		if (sum != (i % 2 == 0 ? renewed : kept))
			return false;
	}
	return true;
}

static void note(struct record *record, enum moment moment, struct quire *q,
		 const struct cgroup *group)
{
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;

	if (q)
		quire_percpu_stat_read(q, &stat);
	record->metadata_bytes[moment] = stat.metadata_bytes;
	record->rss_kib[moment] = proc_rss_kib();
	record->tables_kib[moment] = proc_page_table_kib();
	record->cgroup_bytes[moment] = group ? proc_file_number(group->usage) : 0;
}

static bool allocate(struct quire *q, uint32_t first, uint32_t step)
{
	for (uint32_t i = first; i < COUNTERS; i += step) {
		counters[i] = quire_alloc_percpu(q, sizeof(uint64_t), 8, 0);
		if (!counters[i])
			return false;
	}
	return true;
}

/* Whether a mapping that was only read is charged for: then there is no shared page of zeroes. */
static bool reads_take_memory(void)
{
	volatile char *mapping =
		mmap(NULL, READ_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t before_kib = proc_rss_kib(), after_kib;

	if (mapping == MAP_FAILED)
		return false;
	for (size_t at = 0; at < READ_BYTES; at += 4096)
		(void)mapping[at];
	after_kib = proc_rss_kib();
	munmap((void *)(uintptr_t)mapping, READ_BYTES);
	return after_kib > before_kib + READ_BYTES / 2048;
}

static const char *life(struct record *record, const struct cgroup *group)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.units = UNITS);
	struct quire *q;

	for (uint32_t i = 0; i < COUNTERS; i++) /* the array itself is no part of the answer */
		((void *volatile *)counters)[i] = NULL;
	record->reads_take_memory = reads_take_memory();
	note(record, BEFORE, NULL, group);
	if (quire_create(&options, &q) != 0 || !allocate(q, 0, 1))
		return "no memory";
	note(record, NOTHING, q, group);
	if (!add_on_cpus())
		return "two CPUs are needed";
	note(record, WRITTEN, q, group);
	if (!sums_are(CPUS_USED, CPUS_USED))
		return "a counter is wrong";
	for (uint32_t i = 0; i < COUNTERS; i += 2)
		quire_free_percpu(q, counters[i]);
	if (!allocate(q, 0, 2))
		return "no memory";
	add_on_cpus();
	note(record, RENEWED, q, group);
	if (!sums_are(2 * CPUS_USED, CPUS_USED))
		return "a counter is wrong";
	for (uint32_t i = 0; i < COUNTERS; i++)
		quire_free_percpu(q, counters[i]);
	proc_sleep_ms(FREED_MS);
	note(record, FREED, q, group);
	return NULL;
}

static bool cgroup_join(const struct cgroup *group)
{
	FILE *file = fopen(group->procs, "we");

	return file && fputs("0", file) >= 0 && fclose(file) == 0;
}

/* In a child, so that the cgroup holds nothing else. */
static const char *record_take(struct record *record, const struct cgroup *group)
{
	int status;
	pid_t pid;

	pin_cpu(0); /* the set is known before a thread narrows its own */
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		record->refused = group && !cgroup_join(group) ? "the cgroup cannot be joined"
							       : life(record, group);
		record->finished = true;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !record->finished)
		return "the process died";
	return record->refused;
}

/* MiB beyond the beginning. */
static double mib_at(const struct record *record, enum moment moment, bool has_group)
{
	double kib = (double)(record->rss_kib[moment] + record->tables_kib[moment]) -
		     (double)(record->rss_kib[BEFORE] + record->tables_kib[BEFORE]);

	if (has_group)
		kib = ((double)record->cgroup_bytes[moment] -
		       (double)record->cgroup_bytes[BEFORE]) /
		      1024;
	return kib / 1024;
}

static void moment_report(const struct options *options, const struct record *record,
			  enum moment moment, bool has_group)
{
	double bitmaps_mib = (double)record->metadata_bytes[moment] / 1048576;
	bool is_written = moment == WRITTEN || moment == RENEWED;
	struct target target = is_written ? target_percpu_written_mib : target_percpu_idle_mib;
	char beside[128];

	if (is_written)
		target.limit = OVER_PART * COPIES_MIB + bitmaps_mib;
	snprintf(beside, sizeof(beside), "RSS %.1f, page tables %.1f; bitmaps %.1f%s%s",
		 ((double)record->rss_kib[moment] - (double)record->rss_kib[BEFORE]) / 1024,
		 ((double)record->tables_kib[moment] - (double)record->tables_kib[BEFORE]) / 1024,
		 bitmaps_mib, has_group ? "" : "; no cgroup",
		 record->reads_take_memory ? "; here a read takes memory" : "");
	report_figure(options,
		      &(struct figure){ .what = moment_words[moment],
					.value = mib_at(record, moment, has_group),
					.unit = "MiB",
					.note = beside },
		      &target);
}

void bench_percpu_memory(const struct options *options)
{
	struct record *record = mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct cgroup group;
	bool has_group = cgroup_make(&group, 0);
	const char *refused = "no memory";

	report_figures_begin("a million counters of 8 bytes, 256 CPUs configured, 2 used");
	if (record != MAP_FAILED)
		refused = record_take(record, has_group ? &group : NULL);
	for (unsigned moment = NOTHING; moment < MOMENTS_NR; moment++) {
		if (refused)
			report_refused(options, moment_words[moment], refused);
		else
			moment_report(options, record, (enum moment)moment, has_group);
	}
	if (has_group)
		cgroup_remove(&group);
}
