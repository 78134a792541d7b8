/* SPDX-License-Identifier: MIT */
/* json.h - writing single values of JSON */
#ifndef QUIRE_TOOL_JSON_H
#define QUIRE_TOOL_JSON_H

#include <stdint.h>
#include <stdio.h>

/* "string", escaped as need be; bytes beyond ASCII are written as they are. */
void json_put_text(FILE *file, const char *string);
/* "key": value, and the end of the line */
void json_put_u64(FILE *file, const char *indent, const char *key, uint64_t value);

#endif
