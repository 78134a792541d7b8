/* SPDX-License-Identifier: MIT */
/* A freed block is resized. */
#include "block.h"

int main(void)
{
	char *block = malloc(64);

	free(hidden(block));
	return realloc(hidden(block), 100) == NULL;
}
