/* SPDX-License-Identifier: MIT */
/* A block of no bytes is written to. */
#include "../malloc/block.h"

int main(void)
{
	char *block = hidden(malloc(0));

	block[0] = 0;
	free(hidden(block));
	return 0;
}
