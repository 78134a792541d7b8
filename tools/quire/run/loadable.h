/* SPDX-License-Identifier: MIT */
/* loadable.h - would the loader preload a library into a program? */
#ifndef QUIRE_TOOL_RUN_LOADABLE_H
#define QUIRE_TOOL_RUN_LOADABLE_H

#include <stdbool.h>

/* @library as it is written into LD_PRELOAD; the program at @path is not started. */
bool loadable(const char *path, char *const *arguments, const char *library);

#endif
