/* SPDX-License-Identifier: MIT */
/* The byte in front of a block on a page of its own is written. */
#include "sampled.h"

int main(void)
{
	volatile char *block = at_start(64);

	block[-1] = 1;
	return 0;
}
