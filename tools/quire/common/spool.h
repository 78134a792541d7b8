/* SPDX-License-Identifier: MIT */
/* spool.h - input files that can be read only once; a trace is read once per kind of allocation */
#ifndef QUIRE_TOOL_SPOOL_H
#define QUIRE_TOOL_SPOOL_H

#include <stdio.h>

/* @path from its beginning, however often: a pipe, or "-" for standard input, is copied at the first
 * time and kept until the process ends.  NULL with errno set. */
FILE *spool_open(const char *path);

#endif
