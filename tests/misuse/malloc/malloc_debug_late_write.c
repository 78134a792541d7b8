/* SPDX-License-Identifier: MIT */
/* A freed block is written to, while it waits. */
#include "block.h"

int main(void)
{
	char *block = malloc(100);

	free(hidden(block));
	((char *)hidden(block))[99] = 1;
	return look();
}
