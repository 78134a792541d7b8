/* SPDX-License-Identifier: MIT */
/* report.c - Markdown on stdout, CSV in a file, and the tally of verdicts */
#include <gnu/libc-version.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "harness/bench.h"
#include "harness/crossing.h"

static struct tally {
	unsigned met;
	unsigned missed;
} * tally;

void report_csv(const struct options *options, const char *format, ...)
{
	va_list args;

	if (!options->csv)
		return;
	va_start(args, format);
	vfprintf(options->csv, format, args);
	va_end(args);
	fflush(options->csv);
}

/* The rest of the first line of a file that begins with @key, or "unknown". */
static void file_value(const char *path, const char *key, char *value, size_t bytes)
{
	FILE *file = fopen(path, "re");
	char line[512];

	snprintf(value, bytes, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		char *at = line + strlen(key);

		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		at += strspn(at, " \t:");
		at[strcspn(at, "\n")] = '\0';
		snprintf(value, bytes, "%s", at);
		break;
	}
	if (file)
		fclose(file);
}

void report_machine(const struct options *options, int argc, char **argv)
{
	char cpu[128], thp[64], crossing[32];
	struct utsname system;
	char text[1024];

	file_value("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
	file_value("/sys/kernel/mm/transparent_hugepage/enabled", "", thp, sizeof(thp));
	uname(&system);
	snprintf(text, sizeof(text),
		 "%s, %ld CPUs online, %s %s, glibc %s, huge pages %s; a cache line goes to the "
		 "next CPU and back in %s ns; %s; %u samples of %u ms each",
		 cpu, sysconf(_SC_NPROCESSORS_ONLN), system.sysname, system.release,
		 gnu_get_libc_version(), thp,
		 report_number(crossing_round_trip_ns(), crossing, sizeof(crossing)), BENCH_BUILD,
		 options->reps, options->measure_ms);
	printf("Measured with `quire-bench");
	report_csv(options, "# quire-bench");
	for (int i = 1; i < argc; i++) {
		printf(" %s", argv[i]);
		report_csv(options, " %s", argv[i]);
	}
	printf("` on: %s.\n", text);
	report_csv(options, "\n# %s\n", text);
}

const char *report_number(double value, char *text, size_t bytes)
{
	if (value >= 10000)
		snprintf(text, bytes, "%.1fk", value / 1000);
	else if (value >= 100)
		snprintf(text, bytes, "%.0f", value);
	else if (value >= 10)
		snprintf(text, bytes, "%.1f", value);
	else
		snprintf(text, bytes, "%.2f", value);
	return text;
}

void report_figures_begin(const char *title)
{
	printf("\n| %s | measured | wanted | verdict |\n|---|---|---|---|\n", title);
}

void report_figure(const struct options *options, const struct figure *figure,
		   const struct target *target)
{
	bool met = target->kind == AT_MOST ? figure->value <= target->limit
					   : figure->value >= target->limit;
	const char *verdict = target->kind == LIMIT_NONE ? "-" : met ? "met" : "missed";
	char number[32];

	printf("| %s | %s %s%s%s%s | %s | %s |\n", figure->what,
	       report_number(figure->value, number, sizeof(number)), figure->unit,
	       figure->note ? " (" : "", figure->note ? figure->note : "", figure->note ? ")" : "",
	       target->wanted, verdict);
	fflush(stdout);
	report_csv(options, "figure,\"%s\",,,%.4f,,,,,%s\n", figure->what, figure->value, verdict);
	if (target->kind != LIMIT_NONE)
		report_tally(met);
}

void report_refused(const struct options *options, const char *what, const char *reason)
{
	printf("| %s | - | - | refused: %s |\n", what, reason);
	fflush(stdout);
	report_csv(options, "figure,\"%s\",,,,,,,,refused: %s\n", what, reason);
	report_tally(false);
}

void report_tally_begin(void)
{
	void *shared = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	tally = shared == MAP_FAILED ? NULL : shared;
}

void report_tally(bool met)
{
	if (tally)
		__atomic_fetch_add(met ? &tally->met : &tally->missed, 1, __ATOMIC_RELAXED);
}

void report_tally_print(void)
{
	if (tally)
		printf("\n%u of %u figures met.\n", tally->met, tally->met + tally->missed);
}
