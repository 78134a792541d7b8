/* SPDX-License-Identifier: MIT */
/*
 * explore.c - quire explore: runs quire-explore, the same core on the simulated machine
 *
 * The simulator replaces the machine layer, so it cannot be part of this program.  It is searched for
 * beside this program (in a build tree or an installed bin), then on the PATH.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/beside.h"
#include "common/command.h"
#include "common/output.h"
#include "explore/options.h"

#define PROGRAM "quire-explore"

static enum exit_status explore_run(int argc, char **argv)
{
	char path[PATH_MAX];

	(void)argc;
	output_before_exec();
	if (beside_path(path, sizeof(path), PROGRAM))
		execv(path, argv);
	execvp(PROGRAM, argv);
	fprintf(stderr, "quire explore: cannot run %s: %s\n", PROGRAM, strerror(errno));
	return EXIT_USAGE;
}

const struct command command_explore = {
	.name = "explore",
	.summary = "take scenarios of the simulated machine through many interleavings",
	.synopsis = EXPLORE_SYNOPSIS,
	.options = explore_rows,
	.exit_statuses = EXPLORE_STATUSES,
	.run = explore_run,
};
