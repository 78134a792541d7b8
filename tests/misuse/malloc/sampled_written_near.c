/* SPDX-License-Identifier: MIT */
/* A byte that alignment leaves behind a block is written: seen when it is freed. */
#include "sampled.h"

int main(void)
{
	volatile char *block = at_end(60);

	block[60] = 1;
	free(hidden((const void *)block));
	return 0;
}
