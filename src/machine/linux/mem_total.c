/* SPDX-License-Identifier: MIT */
/*
 * mem_total.c - how much memory is available to this process
 *
 * The machine's memory, or the smallest limit of the process's memory cgroup and its ancestors,
 * since each limit applies.  /proc/self/cgroup names the process's group:
 *
 *     version 2   0::/path             /sys/fs/cgroup/path/memory.max
 *     version 1   9:memory:/path       /sys/fs/cgroup/memory/path/memory.limit_in_bytes
 *
 * In a container the path may start outside the mounted hierarchy.  Then the named files do not
 * exist, and walking up ends at the mounted root, which is the container's own group.
 */
#include "machine/mem.h"

#include <string.h>
#include <sys/sysinfo.h>

#include "base/text.h"
#include "machine/linux/system.h"

#define PATH_BYTES 512

struct memory_group {
	const char *mount; /* of the hierarchy */
	const char *file;  /* contains the limit */
};

static const struct memory_group group_v2 = {
	.mount = "/sys/fs/cgroup",
	.file = "memory.max",
};
static const struct memory_group group_v1 = {
	.mount = "/sys/fs/cgroup/memory",
	.file = "memory.limit_in_bytes",
};

/* "4096\n" is 4096; "max\n" and anything else that is no number means no limit. */
static uint64_t read_limit(const char *path)
{
	char digits[32];
	uint64_t limit = 0;

	if (system_read_line(path, digits, sizeof(digits)) <= 0 || digits[0] < '0' ||
	    digits[0] > '9')
		return UINT64_MAX;
	for (const char *at = digits; *at >= '0' && *at <= '9'; at++) {
		if (limit > UINT64_MAX / 10 - 1)
			return UINT64_MAX;
		limit = limit * 10 + (uint64_t)(*at - '0');
	}
	return limit;
}

static uint64_t limit_at(const struct memory_group *group, const char *path, size_t path_bytes)
{
	char file[PATH_BYTES];
	struct text text;

	text_init(&text, file, sizeof(file));
	text_put(&text, group->mount);
	text_put_bytes(&text, path, path_bytes);
	text_put(&text, "/");
	text_put(&text, group->file);
	return text.bytes < sizeof(file) ? read_limit(file) : UINT64_MAX;
}

/* The smallest limit of the group at @path ("/a/b", ended by a newline) and its ancestors. */
static uint64_t limit_upwards(const struct memory_group *group, const char *path)
{
	size_t path_bytes = strcspn(path, "\n");
	uint64_t least = UINT64_MAX;

	for (;;) {
		uint64_t limit = limit_at(group, path, path_bytes);

		if (limit < least)
			least = limit;
		if (path_bytes == 0)
			return least;
		do
			path_bytes--;
		while (path_bytes != 0 && path[path_bytes] != '/');
	}
}

/* The limit of the group that one line names: "number:controllers:path". */
static uint64_t limit_of_line(const char *line)
{
	const char *controllers = strchr(line, ':');
	const char *path;

	if (controllers == NULL || (path = strchr(controllers + 1, ':')) == NULL)
		return UINT64_MAX;
	if (path == controllers + 1)
		return limit_upwards(&group_v2, path + 1);
	if (strncmp(controllers, ":memory:", 8) == 0)
		return limit_upwards(&group_v1, path + 1);
	return UINT64_MAX;
}

static uint64_t cgroup_limit_bytes(void)
{
	char *groups = system_file_text("/proc/self/cgroup");
	uint64_t least = UINT64_MAX;

	if (groups == NULL)
		return UINT64_MAX;
	for (const char *line = groups; line != NULL && *line != '\0';) {
		uint64_t limit = limit_of_line(line);

		if (limit < least)
			least = limit;
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	system_file_text_free(groups);
	return least;
}

uint64_t mem_machine_bytes(void)
{
	struct sysinfo info = { .mem_unit = 1 };

	if (SYSTEM_CALL(SYS_sysinfo, &info) != 0)
		return UINT64_MAX;
	return (uint64_t)info.totalram * info.mem_unit;
}

uint64_t mem_total_bytes(void)
{
	uint64_t limit = cgroup_limit_bytes(), machine = mem_machine_bytes();

	return limit < machine ? limit : machine;
}
