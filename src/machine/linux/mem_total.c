/* SPDX-License-Identifier: MIT */
/*
 * mem_total.c - how much memory is available to this process
 *
 * The least of the machine's memory, of the limits of the process's memory cgroup and of its ancestors,
 * since each limit applies, and of half of RLIMIT_AS, the half that reservations may take
 * (addresses.c).  /proc/self/cgroup names the process's group:
 *
 *     version 2   0::/path             /sys/fs/cgroup/path/memory.max, memory.high
 *     version 1   9:memory:/path       /sys/fs/cgroup/memory/path/memory.limit_in_bytes
 *
 * In a container the path may start outside the mounted hierarchy.  Then the named files do not
 * exist, and walking up ends at the mounted root, which is the container's own group.
 *
 * Nothing is kept open and nothing is remembered: the files, the groups' limits and the process's group
 * may change at any time.
 */
#include "machine/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "machine/linux/addresses.h"
#include "machine/linux/group.h"
#include "machine/linux/system.h"

struct memory_group {
	const char *mount; /* of the hierarchy */
	const char *most;  /* the file that contains the limit */
	const char *high;  /* where the process is slowed down; NULL: there is no such file */
};

static const struct memory_group group_v2 = {
	.mount = GROUP_MOUNT,
	.most = "memory.max",
	.high = "memory.high",
};
static const struct memory_group group_v1 = {
	.mount = GROUP_MOUNT "/memory",
	.most = "memory.limit_in_bytes",
};

/* A file that is not there or not ours to read sets no limit.  Any other failure (no descriptor, no memory)
 * tells nothing. */
static bool says_nothing(long error)
{
	return error != -ENOENT && error != -ENOTDIR && error != -EACCES && error != -EPERM;
}

static void lower(struct mem_limit *limit, uint64_t bytes, enum mem_limit_source source)
{
	if (bytes < limit->bytes)
		*limit = (struct mem_limit){ .bytes = bytes, .source = source };
}

/* "4096\n" is 4096; "max\n" and anything else that is no number means no limit.  0: it could not be read. */
static uint64_t read_limit(const char *path)
{
	char digits[32];
	const char *at = digits;
	uint64_t limit;
	long got = system_read_line(path, digits, sizeof(digits));

	if (got < 0 && says_nothing(got))
		return 0;
	if (got <= 0 || digits[0] < '0' || digits[0] > '9')
		return UINT64_MAX;
	limit = group_number(&at);
	return limit != 0 ? limit : 1;
}

static uint64_t limit_at(const char *mount, const char *path, size_t bytes, const char *name)
{
	char file[GROUP_BYTES];

	return group_file(file, mount, path, bytes, name) ? read_limit(file) : UINT64_MAX;
}

/* The limits of the group at @path and of those above it. */
static void lower_upwards(struct mem_limit *limit, const struct memory_group *group,
			  const char *path)
{
	size_t bytes = group_of(path);

	for (;;) {
		lower(limit, limit_at(group->mount, path, bytes, group->most), MEM_LIMIT_MAX);
		if (group->high != NULL)
			lower(limit, limit_at(group->mount, path, bytes, group->high),
			      MEM_LIMIT_HIGH);
		if (bytes == 0)
			return;
		bytes = group_above(path, bytes);
	}
}

/* The limits of the group that one line names: "number:controllers:path". */
static void lower_by_line(struct mem_limit *limit, const char *line)
{
	const char *controllers = strchr(line, ':');
	const char *path;

	if (controllers == NULL || (path = strchr(controllers + 1, ':')) == NULL)
		return;
	if (path == controllers + 1)
		lower_upwards(limit, &group_v2, path + 1);
	else if (strncmp(controllers, ":memory:", 8) == 0)
		lower_upwards(limit, &group_v1, path + 1);
}

/* Line by line, since a buffer for all of them would need a mapping, which RLIMIT_AS may refuse.  A line that does
 * not fit has a path too long for its files' names, and is passed over. */
static void lower_by_groups(struct mem_limit *limit)
{
	struct system_lines lines;
	char line[GROUP_BYTES];
	long got = system_lines_open(&lines, "/proc/self/cgroup", line, sizeof(line));

	while (got > 0) {
		lower_by_line(limit, line);
		got = system_lines_next(&lines);
	}
	system_lines_close(&lines);
	if (got < 0 && says_nothing(got))
		limit->bytes = 0;
}

uint64_t mem_machine_bytes(void)
{
	struct sysinfo info = { .mem_unit = 1 };

	if (SYSTEM_CALL(SYS_sysinfo, &info) != 0)
		return UINT64_MAX;
	return (uint64_t)info.totalram * info.mem_unit;
}

struct mem_limit mem_limit_read(void)
{
	struct mem_limit limit = { .bytes = mem_machine_bytes(), .source = MEM_LIMIT_MACHINE };
	uint64_t addresses = addresses_limit_bytes();

	if (addresses != UINT64_MAX)
		lower(&limit, addresses / 2, MEM_LIMIT_ADDRESSES);
	lower_by_groups(&limit);
	return limit;
}
