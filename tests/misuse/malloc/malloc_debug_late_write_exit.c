/* SPDX-License-Identifier: MIT */
/* Nothing looks again before the end. */
#include "block.h"

int main(void)
{
	char *block = malloc(100);

	free(hidden(block));
	((char *)hidden(block))[0] = 1;
	return 0;
}
