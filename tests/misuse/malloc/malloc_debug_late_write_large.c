/* SPDX-License-Identifier: MIT */
/* A freed area that waits. */
#include "block.h"

int main(void)
{
	char *block = malloc(100000);

	free(hidden(block));
	((char *)hidden(block))[50000] = 1;
	return look();
}
