/* SPDX-License-Identifier: MIT */
/* realloc() to no bytes has freed a block, and it is freed again. */
#include "block.h"

int main(void)
{
	void *block = malloc(64);

	stay();
	(void)!realloc(hidden(block), 0);
	free(hidden(block));
	return 0;
}
