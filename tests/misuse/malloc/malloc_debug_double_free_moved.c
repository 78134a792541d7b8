/* SPDX-License-Identifier: MIT */
/* realloc() always moves, so the old address is found where it would have worked by luck. */
#include "block.h"

int main(void)
{
	char *block = malloc(100), *other = realloc(hidden(block), 101);

	free(hidden(block));
	return other == NULL;
}
