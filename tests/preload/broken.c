/* SPDX-License-Identifier: MIT */
/* broken.c - a library that no program should behave with: its malloc() serves 100 calls of a process */
#include <errno.h>
#include <stddef.h>

#define SERVED_NR 100u

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t nr, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *malloc(size_t bytes);
void *calloc(size_t nr, size_t bytes);
void *realloc(void *block, size_t bytes);

static unsigned calls_nr;

static int is_refused(void)
{
	if (__atomic_fetch_add(&calls_nr, 1, __ATOMIC_RELAXED) < SERVED_NR)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t bytes)
{
	return is_refused() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t nr, size_t bytes)
{
	return is_refused() ? NULL : __libc_calloc(nr, bytes);
}

void *realloc(void *block, size_t bytes)
{
	return is_refused() ? NULL : __libc_realloc(block, bytes);
}
