/* SPDX-License-Identifier: MIT */
/* A static array is resized. */
#include "block.h"

static int variable[64] = { 1 };

int main(void)
{
	heap_begin();
	return reallocarray(hidden(variable), 300, 4) == NULL;
}
