/* SPDX-License-Identifier: MIT */
/* A freed block is written to when its memory is free again, and nobody has it yet. */
#include "block.h"

int main(void)
{
	char *neighbour = hidden(malloc(100)), *block = malloc(100);
	int nr = 0;

	free(hidden(block));
	look();
	((char *)hidden(block))[20] = 1;
	while (nr < 1000 && hidden(malloc(100)) != NULL)
		nr++;
	return neighbour == NULL;
}
