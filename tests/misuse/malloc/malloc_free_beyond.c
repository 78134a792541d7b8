/* SPDX-License-Identifier: MIT */
/* An address that no process has is freed. */
#include "block.h"

int main(void)
{
	heap_begin();
	free(hidden((void *)(uintptr_t)0xdead000000000000));
	return look();
}
