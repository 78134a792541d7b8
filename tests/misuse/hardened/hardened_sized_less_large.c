/* SPDX-License-Identifier: MIT */
/* A large block is freed with a size of one byte less. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(100000);

	free_sized(hidden(block), 99999);
	return 0;
}
