/* SPDX-License-Identifier: MIT */
/* A byte behind a block on a page of its own is read. */
#include "sampled.h"

int main(void)
{
	const volatile char *block = at_end(64);

	return block[64];
}
