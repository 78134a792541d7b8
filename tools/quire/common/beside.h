/* SPDX-License-Identifier: MIT */
/* beside.h - programs that are installed, or built, together with this one */
#ifndef QUIRE_TOOL_BESIDE_H
#define QUIRE_TOOL_BESIDE_H

#include <stdbool.h>
#include <stddef.h>

/* The path of @program in this program's own directory; false if that cannot be told. */
bool beside_path(char *path, size_t bytes, const char *program);

#endif
