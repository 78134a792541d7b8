/* SPDX-License-Identifier: MIT */
/* free_sized() is told that a large block is small. */
#include "block.h"

int main(void)
{
	void *block = malloc(1 << 20);

	free_sized(hidden(block), 64);
	return look();
}
