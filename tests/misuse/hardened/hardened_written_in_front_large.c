/* SPDX-License-Identifier: MIT */
/* The byte in front of a large block is written. */
#include "../malloc/block.h"

int main(void)
{
	char *block = hidden(malloc(100000));

	block[-1] = 1;
	free(hidden(block));
	return 0;
}
