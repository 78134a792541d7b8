/* SPDX-License-Identifier: MIT */
/* Faults: a large block is read after it was freed, and after others came and went. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(100000);

	free(hidden(block));
	for (int i = 0; i < 16; i++)
		free(hidden(malloc(50000)));
	return *(volatile char *)hidden(block);
}
