/* SPDX-License-Identifier: MIT */
/* null.c - see null.h */
#include "malloc/null.h"

static char object[4096] __attribute__((aligned(4096)));

void *bench_null_malloc(size_t bytes)
{
	(void)bytes;
	return object;
}

void bench_null_free(void *freed)
{
	(void)freed;
}
