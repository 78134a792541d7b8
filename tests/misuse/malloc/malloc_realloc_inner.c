/* SPDX-License-Identifier: MIT */
/* An address inside a block is resized. */
#include "block.h"

int main(void)
{
	char *block = malloc(256);

	return realloc(hidden(block + 16), 300) == NULL;
}
