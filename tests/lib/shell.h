/* SPDX-License-Identifier: MIT */
/* shell.h - lines of the shell, what they answer, and the folder in which a test has them write */
#ifndef TESTS_LIB_SHELL_H
#define TESTS_LIB_SHELL_H

#include <stddef.h>

/* Runs @line.  Returns its exit status, or -1 if a signal ended the shell. */
int shell_status(const char *line);

/* The same; @text receives the beginning of what it writes to standard output. */
int shell_answer(const char *line, char *text, size_t bytes);

/* @text receives the beginning of a file. */
void shell_read(const char *path, char *text, size_t bytes);

/* Removes a folder with all that is in it.  Returns 0, or what `rm` said: the answer of a teardown. */
int shell_remove(const char *folder);

#endif
