/* SPDX-License-Identifier: MIT */
/* A freed block is resized. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(64);

	free(hidden(block));
	return realloc(hidden(block), 100) == NULL;
}
