/* SPDX-License-Identifier: MIT */
/* An address inside a block. */
#include "block.h"

int main(void)
{
	char *block = malloc(100);

	free((char *)hidden(block) + 16);
	return 0;
}
