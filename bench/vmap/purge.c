/* SPDX-License-Identifier: MIT */
/*
 * purge.c - how long does it take to give 512 scattered pages back while another thread is busy?
 *
 * Method  PAGES areas of one page are allocated and written, and every other one is freed and purged.
 *         In turn the same pages of a plain mapping are given back, by one madvise() per page and by
 *         one process_madvise() for all.  A sibling thread computes on the other CPU, so each flush
 *         interrupts it.
 * Read    ms for all 512, medians.
 * Refused A purge of more or fewer than 512 areas; a sample from which other processes took time.
 * Not     The age rule, since the purge is requested explicitly.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <quire/vmap.h>
#include "harness/bench.h"
#include "harness/span.h"
#include "vmap/areas.h"
#include "harness/pin.h"
#include "harness/proc.h"

#define PAGES	    1024u
#define SCATTERED   (PAGES / 2)
#define SAMPLES_MIN 15u
#define STOLEN_MAX  0.02

enum way {
	WAY_AREAS,
	WAY_AREAS_GUARDED,
	WAY_EACH,
	WAY_ONE,
	WAYS_NR,
};

static const char *const way_words[WAYS_NR] = {
	[WAY_AREAS] = "quire_vmap_purge(), guard:off",
	[WAY_AREAS_GUARDED] = "quire_vmap_purge(), guard:on",
	[WAY_EACH] = "512 calls of madvise()",
	[WAY_ONE] = "one call of process_madvise()",
};

static struct quire *instances[2]; /* guard:off, guard:on */
static char *areas[2][PAGES];
static char *mapping;
static int self_fd;
static int sibling_clock;
static uint64_t areas_flushes[2]; /* of the last purge */

/* NULL, or why not. */
static const char *areas_purge(unsigned which, double *ms, double *stolen)
{
	struct quire_vmap_stat before = QUIRE_VMAP_STAT_INIT, after = before;
	struct quire *q = instances[which];
	struct span span;

	for (unsigned i = 0; i < PAGES; i++) {
		if (!areas[which][i])
			areas[which][i] = quire_vmalloc(q, AREA_PAGE, 0);
		if (!areas[which][i])
			return "an allocation was refused";
		area_touch(areas[which][i], AREA_PAGE, 1);
	}
	quire_vmap_purge(q);
	for (unsigned i = 0; i < PAGES; i += 2) {
		quire_vfree(q, areas[which][i]);
		areas[which][i] = NULL;
	}
	quire_vmap_stat_read(q, &before);
	span_begin(&span, sibling_clock);
	quire_vmap_purge(q);
	span_end(&span, sibling_clock);
	quire_vmap_stat_read(q, &after);
	if (after.purged_areas - before.purged_areas != SCATTERED)
		return "the purge took other than 512 areas";
	areas_flushes[which] = after.flushes - before.flushes;
	*ms = (double)span.wall_ns / 1e6;
	*stolen = span_stolen(&span);
	return NULL;
}

static const char *mapping_purge(bool each, double *ms, double *stolen)
{
	struct iovec parts[SCATTERED];
	struct span span;
	bool done = true;

	area_touch(mapping, PAGES * AREA_PAGE, 1);
	for (unsigned i = 0; i < SCATTERED; i++)
		parts[i] = (struct iovec){ .iov_base = mapping + 2 * i * AREA_PAGE,
					   .iov_len = AREA_PAGE };
	span_begin(&span, sibling_clock);
	if (each)
		for (unsigned i = 0; i < SCATTERED; i++)
			done &= madvise(parts[i].iov_base, AREA_PAGE, MADV_DONTNEED) == 0;
	else
		done = syscall(SYS_process_madvise, self_fd, parts, SCATTERED, MADV_DONTNEED, 0) ==
		       (long)(SCATTERED * AREA_PAGE);
	span_end(&span, sibling_clock);
	*ms = (double)span.wall_ns / 1e6;
	*stolen = span_stolen(&span);
	return done ? NULL : "the system refused";
}

static const char *way_sample(enum way way, double *ms, double *stolen)
{
	if (way <= WAY_AREAS_GUARDED)
		return areas_purge(way, ms, stolen);
	return mapping_purge(way == WAY_EACH, ms, stolen);
}

static const char *purge_setup(void)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.guard = QUIRE_GUARD_OFF);

	pin_cpu(0);
	sibling_clock = sibling_start(sibling_spin, NULL);
	if (sibling_clock == -1 || !pin_self(pin_cpu(0)))
		return "two CPUs are needed";
	self_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	mapping = mmap(NULL, PAGES * AREA_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (self_fd < 0 || mapping == MAP_FAILED)
		return "the system refused";
	for (unsigned i = 0; i < 2; i++) {
		options.guard = i ? QUIRE_GUARD_ON : QUIRE_GUARD_OFF;
		if (quire_create(&options, &instances[i]) != 0)
			return "quire_create() was refused";
	}
	return NULL;
}

static void way_report(const struct options *options, enum way way, const double *ms, unsigned nr,
		       const char *refused)
{
	char note[64];
	struct figure figure = { .what = way_words[way], .unit = "ms" };

	if (nr == 0 && way <= WAY_AREAS_GUARDED) {
		report_refused(options, way_words[way], refused);
		return;
	}
	if (nr == 0) {
		fprintf(stderr, "quire-bench: %s: %s\n", way_words[way], refused);
		return;
	}
	figure.value = spread_of(ms, nr).median;
	if (way <= WAY_AREAS_GUARDED) {
		snprintf(note, sizeof(note), "%llu flushes",
			 (unsigned long long)areas_flushes[way]);
		figure.note = note;
	}
	report_figure(options, &figure, way == WAY_AREAS ? &target_purge_ms : &target_none);
}

void bench_purge(const struct options *options)
{
	static double ms[WAYS_NR][REPS_MAX];
	unsigned nr[WAYS_NR] = { 0 };
	unsigned reps = options->reps < SAMPLES_MIN ? SAMPLES_MIN : options->reps;
	const char *refused[WAYS_NR] = { NULL };
	const char *unable;

	report_figures_begin("512 scattered pages given back, beside a busy thread");
	unable = purge_setup();
	for (unsigned rep = 0; rep < reps && !unable; rep++)
		for (unsigned turn = 0; turn < WAYS_NR; turn++) {
			enum way way = (enum way)((turn + rep) % WAYS_NR);
			double stolen = 0;
			const char *reason = way_sample(way, &ms[way][nr[way]], &stolen);

			if (!reason && stolen > STOLEN_MAX && !options->keep)
				reason = "time was taken by others";
			if (reason)
				refused[way] = reason;
			else
				nr[way]++;
		}
	for (unsigned way = 0; way < WAYS_NR; way++)
		way_report(options, (enum way)way, ms[way], nr[way],
			   unable ? unable : refused[way]);
}
