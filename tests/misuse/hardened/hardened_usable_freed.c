/* SPDX-License-Identifier: MIT */
/* The size of a freed block is asked for. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(64);

	free(hidden(block));
	return malloc_usable_size(hidden(block)) == 0;
}
