/* SPDX-License-Identifier: MIT */
/* A block of zeros is freed twice in a row. */
#include "block.h"

int main(void)
{
	void *block = calloc(3, 33);

	stay();
	free(hidden(block));
	free(hidden(block));
	return 0;
}
