/* SPDX-License-Identifier: MIT */
/* The same of a block that was zeroed. */
#include "block.h"

int main(void)
{
	char *block = calloc(13, 1);

	((char *)hidden(block))[13] = 0;
	free(block);
	return 0;
}
