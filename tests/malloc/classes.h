/* SPDX-License-Identifier: MIT */
/*
 * classes.h - blocks by which malloc's classes change, and claims about them
 *
 * What has changed stays so: each claim runs in a child of its own.
 */
#ifndef TESTS_MALLOC_CLASSES_H
#define TESTS_MALLOC_CLASSES_H

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quire_test.h"

#include "chain.h"

/* Not there where the library is preloaded. */
extern void free_sized(void *block, size_t bytes) __attribute__((weak));
extern void free_aligned_sized(void *block, size_t align, size_t bytes) __attribute__((weak));

/* Blocks of @bytes that take @total together, in front of @chain. */
static inline struct link *hold(struct link *chain, size_t bytes, size_t total)
{
	for (size_t held = 0; held < total; held += bytes) {
		struct link *block = malloc(bytes);

		assert_non_null(block);
		block->next = chain;
		chain = block;
	}
	return chain;
}

static inline size_t usable_of(size_t bytes)
{
	void *block = malloc(bytes);
	size_t usable = malloc_usable_size(block);

	free(block);
	return usable;
}

/* Memory of pages in slabs. */
static inline uint64_t slab_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks - m.hblkhd + m.fsmblks;
}

/* How many classes of @bytes malloc_info() has.  It has all by rising size. */
static inline unsigned classes_told(unsigned bytes)
{
	char *text = NULL;
	size_t length = 0;
	unsigned last = 0, seen = 0;
	FILE *file = open_memstream(&text, &length);

	assert_int_equal(malloc_info(0, file), 0);
	fclose(file);
	for (const char *at = text; (at = strstr(at, "<size bytes=\"")) != NULL; at++) {
		unsigned size = (unsigned)strtoul(at + 13, NULL, 10);

		assert_true(size > last);
		last = size;
		seen += size == bytes;
	}
	free(text);
	return seen;
}

struct claim {
	void (*body)(void);
};

static inline void run_claim(void *arg)
{
	((const struct claim *)arg)->body();
}

static inline void in_child(void **state)
{
	expect_life(run_claim, *state);
}

#define IN_CHILD(claim_body)                                                                       \
	{                                                                                          \
		.name = #claim_body, .test_func = in_child, .initial_state = &(struct claim)       \
		{                                                                                  \
			.body = claim_body                                                         \
		}                                                                                  \
	}

#endif
