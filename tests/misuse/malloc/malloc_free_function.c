/* SPDX-License-Identifier: MIT */
/* A function is freed. */
#include "block.h"

int main(void);

int main(void)
{
	heap_begin();
	free(hidden((const void *)(uintptr_t)&main));
	return look();
}
