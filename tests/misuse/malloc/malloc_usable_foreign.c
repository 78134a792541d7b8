/* SPDX-License-Identifier: MIT */
/* The size of a variable of the stack is asked for. */
#include "block.h"

int main(void)
{
	char variable[64] = "x";

	heap_begin();
	return malloc_usable_size(hidden(variable)) == 1;
}
