/* SPDX-License-Identifier: MIT */
/* An aligned one. */
#include "block.h"

int main(void)
{
	char *block = aligned_alloc(4096, 100);

	free(hidden(block));
	((char *)hidden(block))[3] = 1;
	return look();
}
