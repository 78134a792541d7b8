/* SPDX-License-Identifier: MIT */
/* A byte behind an area. */
#include "block.h"

int main(void)
{
	char *block = malloc(1000000);

	((char *)hidden(block))[1000000] = 1;
	free(block);
	return 0;
}
