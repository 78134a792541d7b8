/* SPDX-License-Identifier: MIT */
/* A place in a slab that no call has returned is freed. */
#include "../malloc/block.h"

int main(void)
{
	char *block = malloc(64);
	char *slab = (char *)((uintptr_t)block & ~(uintptr_t)0xffff);

	free(hidden(block == slab ? slab + 80 : slab));
	return 0;
}
