/* SPDX-License-Identifier: MIT */
/* A block is freed twice. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(64);

	free(hidden(block));
	free(hidden(block));
	return 0;
}
