/* SPDX-License-Identifier: MIT */
/*
 * light.c - what does an instance cost that is hardly used?
 *
 * Method  A process that has made no instance makes the default one and takes 10 pages of each of the three
 *         types, and writes to each.  Resident memory is read before and after; the time is that of these
 *         calls; system calls are counted in another such process, under ptrace.
 * Read    The 30 pages are 120 kB of the memory, and their first touches a part of the time.
 * Refused System calls, where no process may be traced.
 * Not     Loading the library and ending the process.
 */
#include <sys/wait.h>
#include <unistd.h>

#include <quire/page.h>

#include "calls.h"
#include "harness/bench.h"
#include "harness/proc.h"

#define PAGES_A_TYPE 10u

struct light {
	double kib, us;
};

static bool use_little(void)
{
	static const unsigned types[] = { 0, QUIRE_MOVABLE, QUIRE_RECLAIMABLE };
	struct quire *q = quire_default();

	for (unsigned i = 0; i < 3 * PAGES_A_TYPE; i++) {
		char *page = q ? quire_alloc_pages(q, 0, types[i / PAGES_A_TYPE]) : NULL;

		if (!page)
			return false;
		*page = 1;
	}
	return true;
}

static _Noreturn void light_child(int out)
{
	uint64_t before, begin;
	struct light light;

	proc_rss_kib(); /* touches what it needs itself */
	before = proc_rss_kib();
	begin = proc_clock_ns(CLOCK_MONOTONIC);
	if (!use_little())
		_exit(1);
	light.us = (double)(proc_clock_ns(CLOCK_MONOTONIC) - begin) / 1000;
	light.kib = (double)proc_rss_kib() - (double)before;
	_exit(write(out, &light, sizeof(light)) == sizeof(light) ? 0 : 1);
}

/* One sample, in a process of its own; false if it got no pages. */
static bool light_sample(struct light *light)
{
	bool got = false;
	int ends[2];
	pid_t child;

	if (pipe(ends) != 0)
		return false;
	fflush(NULL);
	child = fork();
	if (child == 0)
		light_child(ends[1]);
	close(ends[1]);
	if (child > 0) {
		got = read(ends[0], light, sizeof(*light)) == sizeof(*light);
		waitpid(child, NULL, 0);
	}
	close(ends[0]);
	return got;
}

static void light_counted(void *arg)
{
	(void)arg;
	calls_mark();
	if (!use_little())
		_exit(1);
	calls_mark();
}

static void light_calls(const struct options *options)
{
	static const char what[] = "30 pages of three types: system calls";
	struct calls calls;

	if (!calls_count(light_counted, NULL, &calls) || calls.status != 0)
		report_refused(options, what, "no process may be traced");
	else
		report_figure(options,
			      &(struct figure){ .what = what, .value = calls.nr, .unit = "" },
			      &target_light_calls);
}

void bench_light(const struct options *options)
{
	double kib[REPS_MAX], us[REPS_MAX];
	struct light light;
	unsigned nr = 0;

	report_figures_begin("a light start");
	for (unsigned rep = 0; rep < options->reps; rep++) {
		if (!light_sample(&light))
			continue;
		kib[nr] = light.kib;
		us[nr++] = light.us;
	}
	if (nr == 0) {
		report_refused(options, "30 pages of three types", "no pages were to be had");
		return;
	}
	report_figure(options,
		      &(struct figure){ .what = "30 pages of three types: memory",
					.value = spread_of(kib, nr).median,
					.unit = "kB" },
		      &target_light_kib);
	report_figure(options,
		      &(struct figure){ .what = "30 pages of three types: time",
					.value = spread_of(us, nr).median,
					.unit = "us" },
		      &target_light_us);
	light_calls(options);
}
