/* SPDX-License-Identifier: MIT */
/* An address 8 bytes into a block is freed. */
#include "block.h"

int main(void)
{
	char *block = malloc(64);

	free(hidden(block + 8));
	return look();
}
