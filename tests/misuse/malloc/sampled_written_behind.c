/* SPDX-License-Identifier: MIT */
/* A byte behind a block on a page of its own is written. */
#include "sampled.h"

int main(void)
{
	volatile char *block = at_end(64);

	block[64] = 1;
	return 0;
}
