/* SPDX-License-Identifier: MIT */
/* The first byte of what is in front of an aligned block. */
#include "block.h"

int main(void)
{
	char *block = aligned_alloc(256, 256);

	((char *)hidden(block))[-256] = 1;
	free(block);
	return 0;
}
