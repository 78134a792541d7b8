/* SPDX-License-Identifier: MIT */
/* The page of a block at its end is freed. */
#include "sampled.h"

int main(void)
{
	char *block = at_end(64);

	free(hidden(block + 64 - 4096));
	return 0;
}
