/* SPDX-License-Identifier: MIT */
/* free_sized() is told far less than the block has. */
#include "block.h"

int main(void)
{
	void *block = malloc(1000);

	free_sized(hidden(block), 100);
	return look();
}
