/* SPDX-License-Identifier: MIT */
/* The size differs by one, which the class does not tell. */
#include "block.h"

int main(void)
{
	free_sized(malloc(100), 101);
	return 0;
}
