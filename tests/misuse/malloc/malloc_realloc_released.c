/* SPDX-License-Identifier: MIT */
/* A block is freed, its memory is given back to the system, and it is resized. */
#include "block.h"

int main(void)
{
	void *block = malloc(64);

	free(hidden(block));
	look();
	return realloc(hidden(block), 200) == NULL;
}
