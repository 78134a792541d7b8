/* SPDX-License-Identifier: MIT */
/* hook_say.h - a line of a hook's own, behind the library's: write() is what a handler may call */
#ifndef HOOK_SAY_H
#define HOOK_SAY_H

#include <string.h>
#include <unistd.h>

static inline void say(const char *line)
{
	(void)!write(STDERR_FILENO, line, strlen(line));
}

#endif
