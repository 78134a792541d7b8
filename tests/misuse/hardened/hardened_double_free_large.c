/* SPDX-License-Identifier: MIT */
/* A large block is freed twice. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(100000);

	free(hidden(block));
	free(hidden(block));
	return 0;
}
