/* SPDX-License-Identifier: MIT */
/*
 * cpus.c - how many CPUs the process can keep busy
 *
 * The CPUs on which its main thread may run, as taskset and cpusets leave them, or what cpu.max of its cgroup of
 * version 2, or of one above, permits if that is less: "200000 100000" is the time of two CPUs.  Threads still run on
 * more CPUs at once, for a part of each period, so this bounds what should be kept, not what is numbered.
 */
#include "machine/process.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "machine/linux/system.h"

#define PATH_BYTES 512
#define CPUS_WORDS 128u /* 8,192 CPUs, Linux's most */

static unsigned count_allowed(void)
{
	uint64_t cpus[CPUS_WORDS] = { 0 };
	long bytes = SYSTEM_CALL(SYS_sched_getaffinity, (long)getpid(), sizeof(cpus), cpus);
	unsigned nr = 0;

	for (unsigned i = 0; bytes > 0 && i < CPUS_WORDS; i++)
		nr += (unsigned)__builtin_popcountll(cpus[i]);
	return nr != 0 ? nr : UINT32_MAX;
}

static uint64_t read_number(const char **at)
{
	uint64_t number = 0;

	while (**at >= '0' && **at <= '9' && number < UINT64_MAX / 10 - 1)
		number = number * 10 + (uint64_t)(*(*at)++ - '0');
	return number;
}

/* "200000 100000" -> 2, "50000 100000" -> 1, "max 100000" -> UINT32_MAX. */
static unsigned quota_of(const char *line)
{
	uint64_t quota = read_number(&line), period, cpus;

	if (*line != ' ' || quota == 0)
		return UINT32_MAX;
	line++;
	period = read_number(&line);
	if (period == 0)
		return UINT32_MAX;
	cpus = (quota + period - 1) / period;
	return cpus < UINT32_MAX ? (unsigned)cpus : UINT32_MAX;
}

static unsigned quota_at(const char *path, size_t path_bytes)
{
	char file[PATH_BYTES], line[64];
	struct text text;

	text_init(&text, file, sizeof(file));
	text_put(&text, "/sys/fs/cgroup");
	text_put_bytes(&text, path, path_bytes);
	text_put(&text, "/cpu.max");
	if (text.bytes >= sizeof(file) || system_read_line(file, line, sizeof(line)) <= 0)
		return UINT32_MAX;
	return quota_of(line);
}

static unsigned quota_upwards(const char *path)
{
	size_t path_bytes = strlen(path);
	unsigned least = UINT32_MAX;

	for (;;) {
		unsigned quota;

		while (path_bytes != 0 && path[path_bytes - 1] == '/')
			path_bytes--;
		quota = quota_at(path, path_bytes);
		least = quota < least ? quota : least;
		if (path_bytes == 0)
			return least;
		while (path_bytes != 0 && path[path_bytes - 1] != '/')
			path_bytes--;
	}
}

static unsigned read_quota(void)
{
	struct system_lines lines;
	char line[PATH_BYTES];
	long got = system_lines_open(&lines, "/proc/self/cgroup", line, sizeof(line));
	unsigned quota = UINT32_MAX;

	while (got > 0 && strncmp(line, "0::", 3) != 0)
		got = system_lines_next(&lines);
	system_lines_close(&lines);
	if (got > 0)
		quota = quota_upwards(line + 3);
	return quota;
}

struct process_cpus process_cpus_read(void)
{
	struct process_cpus cpus = { .nr = process_cpus_possible(), .source = CPUS_POSSIBLE };
	unsigned allowed = count_allowed(), quota = read_quota();

	if (allowed < cpus.nr)
		cpus = (struct process_cpus){ .nr = allowed, .source = CPUS_ALLOWED };
	if (quota < cpus.nr)
		cpus = (struct process_cpus){ .nr = quota, .source = CPUS_QUOTA };
	return cpus;
}
