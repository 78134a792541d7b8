/* SPDX-License-Identifier: MIT */
/* A byte that realloc() left behind a smaller block is written: seen when it is freed. */
#include "sampled.h"

int main(void)
{
	volatile char *block = hidden(realloc(at_end(100), 60));

	block[60] = 1;
	free(hidden((const void *)block));
	return 0;
}
