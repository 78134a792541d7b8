/* SPDX-License-Identifier: MIT */
/* A block of a page is freed twice in a row. */
#include "block.h"

int main(void)
{
	void *block = malloc(4096);

	stay();
	free(hidden(block));
	free(hidden(block));
	return 0;
}
