/* SPDX-License-Identifier: MIT */
/* An odd address inside a block is resized. */
#include "block.h"

int main(void)
{
	char *block = malloc(256);

	return realloc(hidden(block + 3), 300) == NULL;
}
