/* SPDX-License-Identifier: MIT */
/* A byte behind is found by realloc(), too. */
#include "block.h"

int main(void)
{
	char *block = malloc(64);

	((char *)hidden(block))[70] = 1;
	return realloc(block, 128) == NULL;
}
