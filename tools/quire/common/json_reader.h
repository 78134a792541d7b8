/* SPDX-License-Identifier: MIT */
/*
 * json_reader.h - checks that a text is JSON, and finds single values in it
 *
 * A value is named by a path of keys and indices: "traces.0.totals.allocs".
 */
#ifndef QUIRE_TOOL_JSON_READER_H
#define QUIRE_TOOL_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>

/* True if the whole text is one JSON value; otherwise *@offset is where it stops being one. */
bool json_is_right(const char *text, size_t *offset);

/* The number at a path; false if there is none. */
bool json_number(const char *text, const char *path, double *number);

#endif
