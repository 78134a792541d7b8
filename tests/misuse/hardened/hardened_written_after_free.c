/* SPDX-License-Identifier: MIT */
/* A block is written to after it was freed. */
#include "../malloc/block.h"

int main(void)
{
	char *block = hidden(malloc(64));

	free(hidden(block));
	((char *)hidden(block))[20] = 1;
	for (int i = 0; i < 10000000; i++)
		free(hidden(malloc(64)));
	return 0;
}
