/* SPDX-License-Identifier: MIT */
/* A member of a structure at NULL is freed. */
#include "block.h"

int main(void)
{
	heap_begin();
	free(hidden((void *)(uintptr_t)64));
	return look();
}
