/* SPDX-License-Identifier: MIT */
/*
 * early_library.c - a library whose function is chosen by a resolver that allocates: for early.c
 *
 * Libraries are relocated from the last one needed to the first, so malloc's, which is preloaded or the
 * program itself, is not relocated yet when the resolver runs.
 */
#include <stdlib.h>
#include <string.h>

void *early_library_block(void);
int early_library_call(void);

static void *block;

static int answer(void)
{
	return 7;
}

static int no_memory(void)
{
	return 0;
}

__attribute__((used)) static int (*choose(void))(void)
{
	void *other = malloc(1000);

	block = calloc(1, 100);
	other = realloc(other, 2000);
	if (block == NULL || other == NULL)
		return no_memory;
	memset(other, 1, 2000);
	memset(block, 2, 100);
	free(other);
	free(NULL);
	return answer;
}

int early_library_call(void) __attribute__((ifunc("choose")));

void *early_library_block(void)
{
	return block;
}
