/* SPDX-License-Identifier: MIT */
/* A string of the program is freed. */
#include "block.h"

int main(void)
{
	heap_begin();
	free(hidden("a string"));
	return look();
}
