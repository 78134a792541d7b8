/* SPDX-License-Identifier: MIT */
/* free_aligned_sized() is told an alignment that is no power of two. */
#include "block.h"

int main(void)
{
	void *block = aligned_alloc(64, 192);

	free_aligned_sized(hidden(block), 48, 192);
	return look();
}
