/* SPDX-License-Identifier: MIT */
/* An aligned block is freed twice in a row. */
#include "block.h"

int main(void)
{
	void *block = aligned_alloc(256, 256);

	stay();
	free(hidden(block));
	free(hidden(block));
	return 0;
}
