/* SPDX-License-Identifier: MIT */
/*
 * light.c - what does an instance cost that is hardly used?
 *
 * Method  A program of its own, started afresh for each sample (light_child.c), makes the default instance,
 *         takes 10 pages of each of the three types, and writes to each.  Memory: resident memory after
 *         that over what it was in main().  Time: CPU time of the whole process, from its exec to its end,
 *         over that of a program that loads an empty library and ends; both are started in turn.  System
 *         calls are counted under ptrace, in main() alone.
 * Read    The 30 pages are 120 kB of the memory.  The last two figures are parts of the time: what an empty
 *         program pays that writes to 30 pages of a mapping, and what loading the library costs.  A child of
 *         fork() instead would count the files of libc and Quire, whose page tables it does not inherit:
 *         180 kB.
 * Refused What could not be started; system calls, where no process may be traced.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "harness/bench.h"

#define LIGHT "quire-bench-light"
#define EMPTY "quire-bench-empty"

/* Starts of each program in one sample, of which the median counts. */
#define STARTS 41u

static const char what_memory[] = "30 pages of three types: memory";
static const char what_time[] = "30 pages of three types: time over an empty library";
static const char what_calls[] = "30 pages of three types: system calls";

static void report_one(const struct options *options, const char *what, double value,
		       const char *unit, const struct target *target)
{
	report_figure(options, &(struct figure){ .what = what, .value = value, .unit = unit },
		      target);
}

/* ---- memory ---- */

static void light_memory(const struct options *options)
{
	const struct child_order order = { .program = LIGHT, .argv = { "memory" } };
	double kib[REPS_MAX];
	char reply[64];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < options->reps; rep++)
		if (child_run(&order, reply, sizeof(reply)) && strncmp(reply, "ok ", 3) == 0)
			kib[nr++] = strtod(reply + 3, NULL);
	if (nr == 0)
		report_refused(options, what_memory, "no pages were to be had");
	else
		report_one(options, what_memory, spread_of(kib, nr).median, "kB",
			   &target_light_kib);
}

/* ---- time ---- */

static double us_of(const struct timeval *time)
{
	return (double)time->tv_sec * 1000000 + (double)time->tv_usec;
}

/* CPU time of one process from its exec, or 0 if it failed. */
static double started_us(const char *program, const char *what)
{
	const struct child_order order = { .program = program, .argv = { what } };
	struct rusage usage;
	struct child child;
	int status;

	if (!child_start(&order, &child))
		return 0;
	close(child.fd);
	if (wait4(child.pid, &status, 0, &usage) != child.pid || status != 0)
		return 0;
	return us_of(&usage.ru_utime) + us_of(&usage.ru_stime);
}

enum {
	EMPTY_NOTHING,
	EMPTY_USE,
	LIGHT_NOTHING,
	LIGHT_USE,
	PROGRAMS_NR
};

/* The medians of one sample; false if a process failed. */
static bool light_sample(double *us)
{
	static const char *const programs[][2] = {
		[EMPTY_NOTHING] = { EMPTY, "nothing" },
		[EMPTY_USE] = { EMPTY, "use" },
		[LIGHT_NOTHING] = { LIGHT, "nothing" },
		[LIGHT_USE] = { LIGHT, "use" },
	};
	double starts[PROGRAMS_NR][STARTS];

	for (unsigned i = 0; i < STARTS; i++) {
		for (unsigned p = 0; p < PROGRAMS_NR; p++) {
			starts[p][i] = started_us(programs[p][0], programs[p][1]);
			if (starts[p][i] <= 0)
				return false;
		}
	}
	for (unsigned p = 0; p < PROGRAMS_NR; p++)
		us[p] = spread_of(starts[p], STARTS).median;
	return true;
}

static void light_time(const struct options *options)
{
	double used[REPS_MAX], touched[REPS_MAX], loaded[REPS_MAX];
	double us[PROGRAMS_NR];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < options->reps; rep++) {
		if (!light_sample(us))
			continue;
		used[nr] = us[LIGHT_USE] - us[EMPTY_NOTHING];
		touched[nr] = us[EMPTY_USE] - us[EMPTY_NOTHING];
		loaded[nr++] = us[LIGHT_NOTHING] - us[EMPTY_NOTHING];
	}
	if (nr == 0) {
		report_refused(options, what_time, "a program could not be started");
		return;
	}
	report_one(options, what_time, spread_of(used, nr).median, "us", &target_light_us);
	report_one(options, "of which: 30 pages of a mapping of an empty program",
		   spread_of(touched, nr).median, "us", &target_none);
	report_one(options, "of which: loading the library", spread_of(loaded, nr).median, "us",
		   &target_none);
}

/* ---- system calls ---- */

static void light_counted(void *arg)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(LIGHT));
	char *slash = NULL;

	(void)arg;
	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
	}
	if (slash) {
		strcpy(slash + 1, LIGHT);
		execl(path, LIGHT, "calls", (char *)NULL);
	}
	_exit(1);
}

static void light_calls(const struct options *options)
{
	struct calls calls;

	if (!calls_count(light_counted, NULL, &calls) || calls.status != 0)
		report_refused(options, what_calls, "no process may be traced");
	else
		report_one(options, what_calls, calls.nr, "", &target_light_calls);
}

void bench_light(const struct options *options)
{
	report_figures_begin("a light start");
	light_memory(options);
	light_time(options);
	light_calls(options);
}
