/* SPDX-License-Identifier: MIT */
/* free_sized() is told that a small block is large. */
#include "block.h"

int main(void)
{
	void *block = malloc(64);

	free_sized(hidden(block), 1 << 20);
	return look();
}
