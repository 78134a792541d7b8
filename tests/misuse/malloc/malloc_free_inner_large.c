/* SPDX-License-Identifier: MIT */
/* The second page of a large block is freed. */
#include "block.h"

int main(void)
{
	char *block = malloc(1 << 20);

	free(hidden(block + 4096));
	return look();
}
