/* SPDX-License-Identifier: MIT */
/* The same, and calloc() finds it. */
#include "../malloc/block.h"

int main(void)
{
	char *block = hidden(malloc(1000));

	free(hidden(block));
	((char *)hidden(block))[999] = 1;
	for (int i = 0; i < 10000000; i++)
		free(hidden(calloc(10, 100)));
	return 0;
}
