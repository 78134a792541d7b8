/* SPDX-License-Identifier: MIT */
/*
 * output.h - output of the command: files that are written completely or not at all, and standard
 * output
 *
 * All output goes through here, so no failed write goes unnoticed.  A file's text is collected in
 * memory.  Links are followed.  A regular file with a single name is replaced, keeping mode and
 * owner, when the text is complete.  A file with other names, or one that cannot be replaced, is
 * overwritten after its space was reserved.  Anything else (a device, a pipe) is written in
 * place.
 */
#ifndef QUIRE_TOOL_OUTPUT_H
#define QUIRE_TOOL_OUTPUT_H

#include <stddef.h>
#include <stdio.h>

struct output {
	FILE *file;
	char *text;
	size_t bytes;
};

/* @output->file takes the text; NULL without memory.  Pair: output_end(). */
FILE *output_begin(struct output *output);
/* Writes it to @path: 0 or -errno.  On a refusal @path is as it was, unless it is a device or a
 * pipe. */
int output_end(struct output *output, const char *path);

/* write() until all is written: 0 or -errno. */
int output_write_all(int fd, const char *text, size_t bytes);

/* Before anything is printed. */
void output_init(void);
/* In a process that is about to become another program: takes back what the above changed for it. */
void output_before_exec(void);
/* Flushes standard output.  0, or EXIT_UNWRITTEN after a message that begins with @who; an earlier
 * failure counts too, even if later writes succeeded. */
int output_flush(const char *who);
/* The same at the end: closes it, too.  Returns @status if all was written. */
int output_exit(const char *who, int status);

#endif
