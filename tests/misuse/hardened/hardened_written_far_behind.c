/* SPDX-License-Identifier: MIT */
/* A byte behind a block is written, but not the ones next to it. */
#include "../malloc/block.h"

int main(void)
{
	char *block = hidden(malloc(100));

	block[103] = 0;
	free(hidden(block));
	return 0;
}
