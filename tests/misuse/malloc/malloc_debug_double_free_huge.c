/* SPDX-License-Identifier: MIT */
/* What is too large to wait. */
#include "block.h"

int main(void)
{
	char *block = malloc((size_t)8 << 20);

	free(hidden(block));
	free(hidden(block));
	return 0;
}
