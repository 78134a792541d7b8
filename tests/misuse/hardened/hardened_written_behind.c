/* SPDX-License-Identifier: MIT */
/* The end of a string is written one byte behind its block. */
#include "../malloc/block.h"

#include <string.h>

int main(void)
{
	char *block = hidden(malloc(24));

	memset(block, 'a', 24);
	block[24] = 0;
	free(hidden(block));
	return 0;
}
