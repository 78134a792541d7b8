/* SPDX-License-Identifier: MIT */
/* A variable is freed. */
#include "../malloc/block.h"

int main(void)
{
	int variable = 0;

	heap_begin();
	free(hidden(&variable));
	return 0;
}
