/* SPDX-License-Identifier: MIT */
#include "doctor/doctor.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#define RUNS   5
#define RUN_NS 2e6

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double run_ns(void (*function)(void *arg), void *arg, unsigned calls)
{
	double begin = now_ns();

	for (unsigned i = 0; i < calls; i++)
		function(arg);
	return now_ns() - begin;
}

/* The least: whatever disturbs a run makes it longer. */
double measure_ns(void (*function)(void *arg), void *arg)
{
	unsigned calls = 1;
	double least, took;

	while ((took = run_ns(function, arg, calls)) < RUN_NS && calls < 1u << 24)
		calls *= 2;
	least = took / calls;
	for (unsigned i = 1; i < RUNS; i++) {
		took = run_ns(function, arg, calls) / calls;
		if (took < least)
			least = took;
	}
	return least;
}

void found(struct finding *finding, enum finding_state state, const char *format, ...)
{
	va_list args;

	finding->state = state;
	va_start(args, format);
	vsnprintf(finding->what, sizeof(finding->what), format, args);
	va_end(args);
}

void mend(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->mend, sizeof(finding->mend), format, args);
	va_end(args);
}

bool read_line(const char *path, char *line, size_t bytes)
{
	FILE *file = fopen(path, "re");
	bool is_read = file != NULL && fgets(line, (int)bytes, file) != NULL;

	if (file != NULL)
		fclose(file);
	if (is_read)
		line[strcspn(line, "\n")] = '\0';
	return is_read;
}
