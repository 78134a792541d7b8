/* SPDX-License-Identifier: MIT */
/* A block that is too large to wait is freed twice. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(5000000);

	free(hidden(block));
	free(hidden(block));
	return 0;
}
