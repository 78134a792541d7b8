/* SPDX-License-Identifier: MIT */
/* Faults: all that follows a small block is written, up to the end of its slab. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(64);
	char *end = (char *)((uintptr_t)block | 0xffff);

	for (volatile char *at = hidden(block); at <= (volatile char *)end; at++)
		*at = 1;
	return 0;
}
