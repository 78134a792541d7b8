/* SPDX-License-Identifier: MIT */
/* cgroup.c - see cgroup.h; tries version 1 below the process's own group, version 1 at its root,
 * version 2 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "harness/cgroup.h"
#include "harness/proc.h"

#define V1_ROOT "/sys/fs/cgroup/memory"
#define V2_ROOT "/sys/fs/cgroup"

/* This process's group in the version 1 memory hierarchy ("/a/b"), or an empty text. */
static void own_group(char *path, size_t bytes)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX];

	path[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		char *at = strstr(line, ":memory:");

		if (!at)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(path, bytes, "%s", at + strlen(":memory:"));
	}
	if (file)
		fclose(file);
}

static bool make_at(struct cgroup *group, const char *parent, unsigned n, const char *usage)
{
	int length = snprintf(group->path, sizeof(group->path), "%s/quire-bench-%d-%u", parent,
			      (int)getpid(), n);

	if (length < 0 || (size_t)length >= sizeof(group->path) || mkdir(group->path, 0755) != 0)
		return false;
	snprintf(group->procs, sizeof(group->procs), "%s/cgroup.procs", group->path);
	snprintf(group->usage, sizeof(group->usage), "%s/%s", group->path, usage);
	if (access(group->procs, W_OK) == 0 && proc_file_number(group->usage) != UINT64_MAX)
		return true;
	rmdir(group->path);
	return false;
}

bool cgroup_make(struct cgroup *group, unsigned n)
{
	char own[PATH_MAX], parent[PATH_MAX + sizeof(V1_ROOT)];

	own_group(own, sizeof(own));
	snprintf(parent, sizeof(parent), V1_ROOT "%s", own);
	return make_at(group, parent, n, "memory.usage_in_bytes") ||
	       make_at(group, V1_ROOT, n, "memory.usage_in_bytes") ||
	       make_at(group, V2_ROOT, n, "memory.current");
}

void cgroup_remove(struct cgroup *group)
{
	rmdir(group->path);
}
