/* SPDX-License-Identifier: MIT */
/* The size of an address inside a block is asked for. */
#include "block.h"

int main(void)
{
	char *block = malloc(256);

	return malloc_usable_size(hidden(block + 16)) == 1;
}
