/* SPDX-License-Identifier: MIT */
/* cgroup.h - a separate memory cgroup, of version 1 or 2, if the system allows one */
#ifndef BENCH_CGROUP_H
#define BENCH_CGROUP_H

#include <limits.h>
#include <stdbool.h>

struct cgroup {
	char path[PATH_MAX];
	char procs[PATH_MAX + 16]; /* a process joins by writing 0 */
	char usage[PATH_MAX + 32]; /* bytes charged */
};

/* Creates group number @n of this process.  False if not allowed, or if there is no memory
 * controller. */
bool cgroup_make(struct cgroup *group, unsigned n);
/* Removes it; its last process must have ended. */
void cgroup_remove(struct cgroup *group);

#endif
