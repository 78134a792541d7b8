/* SPDX-License-Identifier: MIT */
/* free_sized() is told less than a block on a page of its own has, though no less than realloc() would leave there. */
#include "sampled.h"

int main(void)
{
	char *block = at_end(100);

	free_sized(hidden(block), 60);
	return 0;
}
