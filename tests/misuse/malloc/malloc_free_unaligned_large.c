/* SPDX-License-Identifier: MIT */
/* An address 16 bytes into a large block is freed. */
#include "block.h"

int main(void)
{
	char *block = malloc(1 << 20);

	free(hidden(block + 16));
	return look();
}
