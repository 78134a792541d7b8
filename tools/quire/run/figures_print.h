/* SPDX-License-Identifier: MIT */
/* figures_print.h - the figures of a run, for people and for machines */
#ifndef QUIRE_TOOL_RUN_FIGURES_PRINT_H
#define QUIRE_TOOL_RUN_FIGURES_PRINT_H

#include <stdio.h>

#include "run/figures.h"

/* Four lines; one more for processes that were not counted. */
void figures_print(FILE *file, const struct figures *figures);
/* 0 or -errno; @arguments are the program's. */
int figures_write_json(const char *path, const struct figures *figures, char *const *arguments,
		       const struct child *child, const struct child_end *end);

/* "0 bytes", "999 bytes", "1.00 KiB", "12.3 MiB", "456 GiB": three digits.  Returns @text. */
#define BYTES_TEXT 16
char *bytes_text(char text[BYTES_TEXT], uint64_t bytes);

#endif
