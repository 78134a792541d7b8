/* SPDX-License-Identifier: MIT */
/* A word far behind a block, on the inaccessible page, is written. */
#include "sampled.h"

int main(void)
{
	volatile char *block = at_end(4096);

	block[4096 + 500] = 1;
	return 0;
}
