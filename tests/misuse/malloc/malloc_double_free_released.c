/* SPDX-License-Identifier: MIT */
/* A block is freed, its memory is given back to the system, and it is freed again. */
#include "block.h"

int main(void)
{
	void *block = malloc(64);

	free(hidden(block));
	look();
	free(hidden(block));
	return look();
}
