/* SPDX-License-Identifier: MIT */
/* group.h - the process's control group, the groups above it, and their files */
#ifndef MACHINE_LINUX_GROUP_H
#define MACHINE_LINUX_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a line of /proc/self/cgroup, and of a file's name.  What is longer counts as not there. */
#define GROUP_BYTES 512

#define GROUP_MOUNT "/sys/fs/cgroup" /* of the hierarchy of version 2 */

/* The path of the process's group of version 2, in @line (of GROUP_BYTES); NULL if it has none, or if that
 * cannot be found out. */
const char *group_path(char *line);
/*
 * A group is the beginning of a path, without a slash at its end, and the mounted root is the empty one:
 *
 *	size_t bytes = group_of(path);
 *
 *	for (; look(path, bytes) && bytes != 0; bytes = group_above(path, bytes))
 *		continue;
 */
size_t group_of(const char *path);
size_t group_above(const char *path, size_t bytes);
/* Writes the name of a group's file to @file (of GROUP_BYTES).  False: it is too long. */
bool group_file(char *file, const char *mount, const char *path, size_t bytes, const char *name);
/* The number at *@at, which moves behind it: 0 if there is none, at most UINT64_MAX. */
uint64_t group_number(const char **at);

#endif
