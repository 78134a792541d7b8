/* SPDX-License-Identifier: MIT */
/* A freed block is resized; its neighbour lives, so the memory is still there. */
#include "block.h"

int main(void)
{
	void *block = malloc(64), *neighbour = hidden(malloc(64));

	free(hidden(block));
	look();
	block = realloc(hidden(block), 200);
	return block == neighbour;
}
