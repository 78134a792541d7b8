/* SPDX-License-Identifier: MIT */
/*
 * meta.c - how much memory does metadata take?
 *
 * Method  Committed: an instance with a limit of 1 GiB is filled with untouched 2 MiB blocks, and
 *         its metadata divided by its pages.  Idle: the resident memory and page tables that an instance
 *         with a limit of 1 TiB adds to a process, less those that one of 1 GiB adds; one page of each
 *         is allocated and freed, so that the instances are in use.
 * Refused A terabyte that the system did not reserve.
 * Not     The shared library's own code and data.
 */
#include <quire/page.h>
#include "harness/bench.h"
#include "harness/proc.h"

#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

static void meta_committed(const struct options *options)
{
	static const char what[] = "metadata of a full instance, a page";
	const struct quire_options limit = QUIRE_OPTIONS_INIT(.limit_bytes = GIB);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	struct quire *q;

	if (quire_create(&limit, &q) != 0) {
		report_refused(options, what, "quire_create() was refused");
		return;
	}
	while (quire_alloc_pages(q, 9, 0))
		;
	quire_page_stat_read(q, &stat);
	if (stat.online_pages < GIB / 4096 / 100 * 99)
		report_refused(options, what, "less than 99 % of the limit was committed");
	else
		report_figure(options,
			      &(struct figure){ .what = what,
						.value = (double)stat.metadata_bytes /
							 (double)stat.online_pages,
						.unit = "bytes" },
			      &target_metadata_bytes);
	quire_destroy(q);
}

static uint64_t resident_kib(void)
{
	return proc_rss_kib() + proc_page_table_kib();
}

/* KiB that an instance in light use adds; UINT64_MAX if it could not be created with that limit. */
static uint64_t idle_kib(uint64_t limit_bytes)
{
	const struct quire_options limit = QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes);
	uint64_t before = resident_kib(), after;
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	struct quire *q;

	if (quire_create(&limit, &q) != 0)
		return UINT64_MAX;
	quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
	after = resident_kib();
	quire_page_stat_read(q, &stat);
	quire_destroy(q);
	if (stat.limit_pages < limit_bytes / 4096)
		return UINT64_MAX;
	return after > before ? after - before : 0;
}

static void meta_idle(const struct options *options)
{
	static const char what[] = "idle: limit 1 TiB less limit 1 GiB";
	uint64_t warm = idle_kib(GIB); /* the first instance also pays for the process */
	uint64_t small = idle_kib(GIB);
	uint64_t large = idle_kib(TIB);
	char note[64];

	if (warm == UINT64_MAX || small == UINT64_MAX || large == UINT64_MAX) {
		report_refused(options, what, "the limit could not be reserved");
		return;
	}
	snprintf(note, sizeof(note), "%llu less %llu", (unsigned long long)large,
		 (unsigned long long)small);
	report_figure(options,
		      &(struct figure){ .what = what,
					.value = large > small ? (double)(large - small) : 0,
					.unit = "KiB",
					.note = note },
		      &target_idle_kib);
}

void bench_meta(const struct options *options)
{
	report_figures_begin("metadata");
	meta_committed(options);
	meta_idle(options);
}
