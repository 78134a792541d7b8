/* SPDX-License-Identifier: MIT */
/* free_sized() is told more than a block on a page of its own has. */
#include "sampled.h"

int main(void)
{
	char *block = at_end(64);

	free_sized(hidden(block), 65);
	return 0;
}
