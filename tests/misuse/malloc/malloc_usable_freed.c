/* SPDX-License-Identifier: MIT */
/* The size of a freed block is asked for; its neighbour lives, so the memory is still there. */
#include "block.h"

int main(void)
{
	void *block = malloc(64), *neighbour = hidden(malloc(64));

	free(hidden(block));
	look();
	return malloc_usable_size(hidden(block)) == 1 || neighbour == NULL;
}
