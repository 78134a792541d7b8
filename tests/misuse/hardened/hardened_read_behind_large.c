/* SPDX-License-Identifier: MIT */
/* Faults: what is behind a large block is read. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(100000);

	return *(volatile char *)hidden(block + 100000);
}
