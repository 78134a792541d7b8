/* SPDX-License-Identifier: MIT */
/* The size of a freed block is asked for. */
#include "block.h"

int main(void)
{
	char *block = malloc(64);

	free(hidden(block));
	return malloc_usable_size(hidden(block)) == 64;
}
