/* SPDX-License-Identifier: MIT */
/* realloc() of a block on a page of its own that is free. */
#include "sampled.h"

int main(void)
{
	char *block = at_end(64);

	free(hidden(block));
	return realloc(hidden(block), 128) == NULL;
}
