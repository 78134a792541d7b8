/* SPDX-License-Identifier: MIT */
/* An address inside a block is freed. */
#include "block.h"

int main(void)
{
	char *block = malloc(256);

	free(hidden(block + 32));
	return look();
}
