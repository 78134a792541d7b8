/* SPDX-License-Identifier: MIT */
/* The middle of a large block is freed. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(100000);

	free(hidden(block + 16));
	return 0;
}
