/* SPDX-License-Identifier: MIT */
/* An odd address inside a block is freed. */
#include "block.h"

int main(void)
{
	char *block = malloc(64);

	free(hidden(block + 1));
	return look();
}
