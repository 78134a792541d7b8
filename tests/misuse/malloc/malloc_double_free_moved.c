/* SPDX-License-Identifier: MIT */
/* realloc() has moved a block, and its old place is freed. */
#include "block.h"

int main(void)
{
	char *block = malloc(64), *wall = malloc(64);
	void *old = hidden(block);

	block = realloc(hidden(block), 20000);
	free(old);
	free(wall);
	return block == NULL ? 1 : look();
}
