/* SPDX-License-Identifier: MIT */
/*
 * large_child.c - the most memory that one large block needs
 *
 *	realloc	a block grows from 64 KiB to 512 MiB by a quarter each time, and is written as it grows
 *	calloc	1 GiB of zeros, of which nothing is touched
 *
 * Prints ms, and the largest resident memory over that of the beginning, in KiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/proc.h"
#include "malloc/command.h"

#define GROWN_FIRST ((size_t)64 << 10)
#define GROWN_BYTES ((size_t)512 << 20)
#define ZERO_BYTES  ((size_t)1 << 30)
#define PAGE	    4096u

/* The first word of each page is its number. */
static void words_write(char *block, size_t from, size_t to)
{
	for (size_t at = from; at < to; at += PAGE)
		*(size_t *)(void *)(block + at) = at;
}

static bool words_are_there(const char *block, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += PAGE)
		if (*(const size_t *)(const void *)(block + at) != at)
			return false;
	return true;
}

static const char *block_grow(void)
{
	char *block = NULL;
	size_t have = 0;

	while (have < GROWN_BYTES) {
		size_t want = have == 0 ? GROWN_FIRST : (have + have / 4) / PAGE * PAGE;
		char *grown;

		want = want < GROWN_BYTES ? want : GROWN_BYTES;
		grown = realloc(block, want);
		if (!grown)
			return "an allocation was refused";
		words_write(grown, have, want);
		block = grown;
		have = want;
	}
	if (!words_are_there(block, have))
		return "the content is not what was written";
	free(block);
	return NULL;
}

static const char *block_clear(void)
{
	char *block = calloc(ZERO_BYTES / 64, 64);

	if (!block)
		return "an allocation was refused";
	__asm__ volatile("" ::"r"(block) : "memory");
	free(block);
	return NULL;
}

int malloc_large(const struct subject *subject, char **arguments)
{
	uint64_t begin, peak, ns = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	const char *refused;

	(void)subject;
	begin = proc_rss_kib();
	if (strcmp(arguments[0], "realloc") == 0)
		refused = block_grow();
	else
		refused = block_clear();
	ns = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - ns;
	if (refused)
		return printf("refused %s\n", refused), 0;
	peak = proc_peak_rss_kib();
	printf("ok %.3f %llu\n", (double)ns / 1e6,
	       (unsigned long long)(peak > begin ? peak - begin : 0));
	return 0;
}
