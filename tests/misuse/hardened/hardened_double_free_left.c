/* SPDX-License-Identifier: MIT */
/* A block is freed, and again when it has left the quarantine and is free in its slab. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(64), *other = malloc(64);

	free(hidden(block));
	malloc_trim(0);
	free(hidden(block));
	return hidden(other) == NULL;
}
