/* SPDX-License-Identifier: MIT */
/* A byte behind an odd size is written: the block itself has room for it. */
#include "block.h"

int main(void)
{
	char *block = malloc(100);

	((char *)hidden(block))[100] = 1;
	free(block);
	return 0;
}
