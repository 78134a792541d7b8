/* SPDX-License-Identifier: MIT */
/* A byte behind a block at the start of its page is written: seen when it is freed. */
#include "sampled.h"

int main(void)
{
	volatile char *block = at_start(32);

	block[100] = 1;
	free(hidden((const void *)block));
	return 0;
}
