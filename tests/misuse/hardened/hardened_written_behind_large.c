/* SPDX-License-Identifier: MIT */
/* A byte between a large block and its guard is written. */
#include "../malloc/block.h"

int main(void)
{
	char *block = hidden(malloc(100001));

	block[100001] = 1;
	free(hidden(block));
	return 0;
}
