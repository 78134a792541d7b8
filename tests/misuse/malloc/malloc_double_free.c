/* SPDX-License-Identifier: MIT */
/* A block is freed twice in a row. */
#include "block.h"

int main(void)
{
	void *block = malloc(64);

	stay();
	free(hidden(block));
	free(hidden(block));
	return 0;
}
