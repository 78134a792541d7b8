/* SPDX-License-Identifier: MIT */
/* free_sized() is given a static variable. */
#include "block.h"

static char variable[64] = "x";

int main(void)
{
	heap_begin();
	free_sized(hidden(variable), sizeof(variable));
	return look();
}
