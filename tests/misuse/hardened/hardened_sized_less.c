/* SPDX-License-Identifier: MIT */
/* A block is freed with a size of one byte less, of the same class. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(100);

	free_sized(hidden(block), 99);
	return 0;
}
