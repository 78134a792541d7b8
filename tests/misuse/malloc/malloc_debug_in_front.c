/* SPDX-License-Identifier: MIT */
/* A byte in front of a block is written. */
#include "block.h"

int main(void)
{
	char *block = malloc(100);

	((char *)hidden(block))[-1] = 1;
	free(block);
	return 0;
}
