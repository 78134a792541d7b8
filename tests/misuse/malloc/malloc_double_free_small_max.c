/* SPDX-License-Identifier: MIT */
/* One of the largest small blocks is freed twice in a row. */
#include "block.h"

int main(void)
{
	void *block = malloc(32768);

	stay();
	free(hidden(block));
	free(hidden(block));
	return 0;
}
