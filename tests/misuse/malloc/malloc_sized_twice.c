/* SPDX-License-Identifier: MIT */
/* free_sized() frees a block twice. */
#include "block.h"

int main(void)
{
	void *block = malloc(64);

	stay();
	free_sized(hidden(block), 64);
	free_sized(hidden(block), 64);
	return 0;
}
