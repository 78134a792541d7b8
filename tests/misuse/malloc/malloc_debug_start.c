/* SPDX-License-Identifier: MIT */
/* What is in front of a block is freed: the heap has a block there. */
#include "block.h"

int main(void)
{
	char *block = malloc(64);

	free((char *)hidden(block) - 16);
	return 0;
}
