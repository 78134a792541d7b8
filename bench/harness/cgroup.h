/* SPDX-License-Identifier: MIT */
/* cgroup.h - a memory cgroup of one's own, of version 1 or 2, where the system lets us make one */
#ifndef BENCH_CGROUP_H
#define BENCH_CGROUP_H

#include <limits.h>
#include <stdbool.h>

struct cgroup {
	char path[PATH_MAX];
	char procs[PATH_MAX + 16]; /* a process joins by writing 0 */
	char usage[PATH_MAX + 32]; /* bytes charged */
};

/* Makes the @n-th group of this process.  False: not allowed, or no memory controller. */
bool cgroup_make(struct cgroup *group, unsigned n);
/* After its last process has ended. */
void cgroup_remove(struct cgroup *group);

#endif
