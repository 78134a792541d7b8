/* SPDX-License-Identifier: MIT */
/*
 * wrapper.c - a library that wraps malloc, as tools do that count calls: start_test.c preloads it beside Quire's
 *
 * Each call is handed to the next malloc.  It says at the end how many there were.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *(*next_malloc)(size_t bytes);
static void *(*next_calloc)(size_t count, size_t each);
static void *(*next_realloc)(void *block, size_t bytes);
static void (*next_free)(void *block);
static unsigned calls_nr;

/* What dlsym() itself may ask for. */
static char early[4096];
static size_t early_used;

static void *early_alloc(size_t bytes)
{
	void *block = early + early_used;

	early_used += (bytes + 15) & ~(size_t)15;
	if (early_used > sizeof(early))
		abort();
	return block;
}

static void find(void)
{
	static int finding;

	if (next_free != NULL || finding)
		return;
	finding = 1;
	next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
	next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
	next_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
	finding = 0;
}

static void count(void)
{
	__atomic_fetch_add(&calls_nr, 1, __ATOMIC_RELAXED);
}

/* libc's headers have names of their own for parameters.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

void *malloc(size_t bytes)
{
	find();
	count();
	return next_malloc != NULL ? next_malloc(bytes) : early_alloc(bytes);
}

void *calloc(size_t count_nr, size_t each)
{
	find();
	count();
	return next_calloc != NULL ? next_calloc(count_nr, each) : early_alloc(count_nr * each);
}

void *realloc(void *block, size_t bytes)
{
	find();
	count();
	return next_realloc(block, bytes);
}

void free(void *block)
{
	find();
	count();
	if ((char *)block < early || (char *)block >= early + sizeof(early))
		next_free(block);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

__attribute__((destructor)) static void say(void)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "wrapper: %s\n",
			 calls_nr > 20000 ? "many calls" : "few calls");

	if (write(2, line, (size_t)n) != n)
		_exit(1);
}
