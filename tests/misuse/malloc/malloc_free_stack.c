/* SPDX-License-Identifier: MIT */
/* A variable of the stack is freed. */
#include "block.h"

int main(void)
{
	char variable[64] = "x";

	heap_begin();
	free(hidden(variable));
	return look();
}
