/* SPDX-License-Identifier: MIT */
/* program_convert.h - makes a recording (traces/FORMAT.md) of a spool (malloc/recording.h) */
#ifndef QUIRE_TOOL_RECORD_PROGRAM_CONVERT_H
#define QUIRE_TOOL_RECORD_PROGRAM_CONVERT_H

#include <stdbool.h>

/*
 * Converts @spool and writes @output.  What is missing in it is said on stderr, and in the recording.  0, -1 if @spool is
 * refused or @output cannot be written, which is said; or 1 if it is written, but something is missing.
 */
int program_convert(const char *spool, const char *output);

#endif
