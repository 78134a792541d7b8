/* SPDX-License-Identifier: MIT */
/* A static variable is freed. */
#include "block.h"

static char variable[64] = "x";

int main(void)
{
	heap_begin();
	free(hidden(variable));
	return look();
}
