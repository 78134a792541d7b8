/* SPDX-License-Identifier: MIT */
/* The middle of a block is freed: seen at this call. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(200);

	free(hidden(block + 16));
	return 0;
}
