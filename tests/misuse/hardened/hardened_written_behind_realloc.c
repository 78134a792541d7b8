/* SPDX-License-Identifier: MIT */
/* What was written behind a block is seen when it grows. */
#include "../malloc/block.h"

int main(void)
{
	char *block = hidden(malloc(40));

	block[40] = 0;
	return realloc(block, 5000) == NULL;
}
