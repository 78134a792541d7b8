/* SPDX-License-Identifier: MIT */
/* program.h - finding a program as execvp() does, and telling whether it can run on Quire */
#ifndef QUIRE_TOOL_RUN_PROGRAM_H
#define QUIRE_TOOL_RUN_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

/* As shells and env(1) have it. */
#define EXIT_NOT_FOUND	    127
#define EXIT_NOT_EXECUTABLE 126

struct program {
	char path[PATH_MAX];
	bool becomes_another;	    /* it, or its interpreter, is env or the like */
	char error[PATH_MAX + 256]; /* one line without an end, if it cannot be run */
};

/* 0, or the exit status with which the command ends: not found, not executable, or EXIT_USAGE if it would not
 * run on Quire; then @program->error says why. */
int program_find(struct program *program, const char *name);

#endif
