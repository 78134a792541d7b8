/* SPDX-License-Identifier: MIT */
/* A static variable is resized. */
#include "block.h"

static char variable[64] = "x";

int main(void)
{
	heap_begin();
	return realloc(hidden(variable), 300) == NULL;
}
