/* SPDX-License-Identifier: MIT */
/* null.h - an allocator that does nothing */
#ifndef BENCH_MALLOC_NULL_H
#define BENCH_MALLOC_NULL_H

#include <stddef.h>

/* Always the same object. */
void *bench_null_malloc(size_t bytes);
void bench_null_free(void *freed);

#endif
