/* SPDX-License-Identifier: MIT */
/* A block on a page of its own is written after it was freed. */
#include "sampled.h"

int main(void)
{
	volatile char *block = at_end(48);

	free(hidden((const void *)block));
	block[0] = 1;
	return 0;
}
