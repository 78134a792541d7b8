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

#include "machine/linux/group.h"
#include "machine/linux/system.h"

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

/* "200000 100000" -> 2, "50000 100000" -> 1, "max 100000" -> UINT32_MAX. */
static unsigned quota_of(const char *line)
{
	uint64_t quota = group_number(&line), period, cpus;

	if (*line != ' ' || quota == 0)
		return UINT32_MAX;
	line++;
	period = group_number(&line);
	if (period == 0)
		return UINT32_MAX;
	cpus = quota / period + (quota % period != 0);
	return cpus < UINT32_MAX ? (unsigned)cpus : UINT32_MAX;
}

static unsigned quota_at(const char *path, size_t bytes)
{
	char file[GROUP_BYTES], line[64];

	if (!group_file(file, GROUP_MOUNT, path, bytes, "cpu.max") ||
	    system_read_line(file, line, sizeof(line)) <= 0)
		return UINT32_MAX;
	return quota_of(line);
}

static unsigned read_quota(void)
{
	char line[GROUP_BYTES];
	const char *path = group_path(line);
	size_t bytes = path != NULL ? group_of(path) : 0;
	unsigned quota = UINT32_MAX, here;

	while (path != NULL) {
		here = quota_at(path, bytes);
		quota = here < quota ? here : quota;
		if (bytes == 0)
			break;
		bytes = group_above(path, bytes);
	}
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
