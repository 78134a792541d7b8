/* SPDX-License-Identifier: MIT */
/* A large aligned block is freed twice in a row. */
#include "block.h"

int main(void)
{
	void *block = aligned_alloc(1 << 16, 1 << 18);

	free(hidden(block));
	free(hidden(block));
	return look();
}
