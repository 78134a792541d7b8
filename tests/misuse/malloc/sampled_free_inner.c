/* SPDX-License-Identifier: MIT */
/* The middle of a block on a page of its own is freed. */
#include "sampled.h"

int main(void)
{
	char *block = at_end(64);

	free(hidden(block + 16));
	return 0;
}
