/* SPDX-License-Identifier: MIT */
/* A freed large block is resized. */
#include "block.h"

int main(void)
{
	void *block = malloc(1 << 20);

	free(hidden(block));
	block = realloc(hidden(block), 1 << 21);
	return block == NULL;
}
