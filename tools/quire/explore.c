/* SPDX-License-Identifier: MIT */
/*
 * explore.c - quire explore: runs quire-explore, the same core on the simulated machine
 *
 * The simulator takes the place of the machine, so it cannot live in this program.  It is looked
 * for beside this one (a build tree, an installed bin), then on the PATH.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/command.h"

#define PROGRAM "quire-explore"

/* The path of PROGRAM in this program's own directory; false if that cannot be told. */
static bool path_beside(char *path, size_t bytes)
{
	ssize_t length = readlink("/proc/self/exe", path, bytes - 1);
	char *name;

	if (length <= 0)
		return false;
	path[length] = '\0';
	name = strrchr(path, '/') + 1;
	if ((size_t)(name - path) + sizeof(PROGRAM) > bytes)
		return false;
	memcpy(name, PROGRAM, sizeof(PROGRAM));
	return true;
}

static enum exit_status explore_run(int argc, char **argv)
{
	char path[PATH_MAX];

	(void)argc;
	if (path_beside(path, sizeof(path)))
		execv(path, argv);
	execvp(PROGRAM, argv);
	fprintf(stderr, "quire explore: cannot run %s: %s\n", PROGRAM, strerror(errno));
	return EXIT_USAGE;
}

const struct command command_explore = {
	.name = "explore",
	.summary = "take scenarios of the simulated machine through many interleavings",
	.run = explore_run,
};
