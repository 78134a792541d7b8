/* SPDX-License-Identifier: MIT */
/* A second free is seen at once, whatever was freed since. */
#include "block.h"

int main(void)
{
	char *block = malloc(64);

	free(hidden(block));
	free(malloc(64));
	free(hidden(block));
	return 0;
}
