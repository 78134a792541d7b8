/* SPDX-License-Identifier: MIT */
/* An address inside a block of pages is freed, at the start of a page. */
#include "block.h"

int main(void)
{
	char *block = aligned_alloc(4096, 16384);

	free(hidden(block + 4096));
	return look();
}
