/* SPDX-License-Identifier: MIT */
/* free_aligned_sized() is told a larger alignment than the block has. */
#include "block.h"

int main(void)
{
	char *block = aligned_alloc(64, 64);

	/* Of two neighbours one is at an odd multiple. */
	if ((uintptr_t)block % 128 == 0)
		block = aligned_alloc(64, 64);
	while ((uintptr_t)block % 128 == 0)
		block = malloc(64);
	free_aligned_sized(hidden(block), 4096, 64);
	return look();
}
