/* SPDX-License-Identifier: MIT */
/* Faults: a block that is too large to wait is written to after it was freed. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(5000000);

	free(hidden(block));
	*(volatile char *)hidden(block + 2500000) = 1;
	return 0;
}
