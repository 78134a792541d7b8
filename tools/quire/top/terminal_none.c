/* SPDX-License-Identifier: MIT */
/* terminal_none.c - a build without ncurses draws nothing */
#include "top/top.h"

#include <errno.h>
#include <stdio.h>

int top_terminal(const struct top_options *options, struct top_state *state)
{
	(void)options;
	(void)state;
	fprintf(stderr, "quire top: built without ncurses (libncurses-dev): --batch or --json\n");
	return -ENOTTY;
}
