/* SPDX-License-Identifier: MIT */
/* An address that no block begins at is freed. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(200);

	free(hidden(block + 1));
	return 0;
}
