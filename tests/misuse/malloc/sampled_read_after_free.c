/* SPDX-License-Identifier: MIT */
/* A block on a page of its own is read after it was freed. */
#include "sampled.h"

int main(void)
{
	const volatile char *block = at_end(48);

	free(hidden((const void *)block));
	return block[5];
}
