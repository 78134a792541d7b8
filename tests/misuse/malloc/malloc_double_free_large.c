/* SPDX-License-Identifier: MIT */
/* A large block is freed twice in a row. */
#include "block.h"

int main(void)
{
	void *block = malloc(1 << 20);

	free(hidden(block));
	free(hidden(block));
	return look();
}
