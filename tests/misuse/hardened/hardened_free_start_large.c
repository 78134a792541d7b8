/* SPDX-License-Identifier: MIT */
/* The page in which a large block begins is freed, and not the block. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(100000);

	free(hidden((void *)((uintptr_t)block & ~(uintptr_t)4095)));
	return 0;
}
