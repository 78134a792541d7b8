/* SPDX-License-Identifier: MIT */
/* The place that realloc() has moved a block from is written. */
#include "sampled.h"

int main(void)
{
	volatile char *block = at_end(48);
	char *moved = realloc(hidden((const void *)block), 3000);

	block[1] = 1;
	free(hidden(moved)); /* else clang leaves both calls out */
	return 0;
}
