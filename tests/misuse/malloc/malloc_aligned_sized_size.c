/* SPDX-License-Identifier: MIT */
/* free_aligned_sized() is told another size. */
#include "block.h"

int main(void)
{
	void *block = aligned_alloc(64, 192);

	free_aligned_sized(hidden(block), 64, 1024);
	return look();
}
