/* SPDX-License-Identifier: MIT */
/* stdlib.h - memory for the tests' own records, and their end */
#ifndef BARE_STDLIB_H
#define BARE_STDLIB_H

#include <stddef.h>

void *malloc(size_t bytes);
void *calloc(size_t nr, size_t bytes);
void free(void *addr);
_Noreturn void abort(void);

#endif
