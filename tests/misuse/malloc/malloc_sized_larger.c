/* SPDX-License-Identifier: MIT */
/* free_sized() is told more than the block has. */
#include "block.h"

int main(void)
{
	void *block = malloc(64);

	free_sized(hidden(block), 200);
	return look();
}
