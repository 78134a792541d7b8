/* SPDX-License-Identifier: MIT */
/* free_aligned_sized() is given a static variable. */
#include "block.h"

static char variable[64] __attribute__((aligned(64))) = "x";

int main(void)
{
	heap_begin();
	free_aligned_sized(hidden(variable), 64, sizeof(variable));
	return look();
}
