/* SPDX-License-Identifier: MIT */
/* A mapping of the program's own is freed. */
#include <sys/mman.h>
#include "block.h"

int main(void)
{
	void *mapping =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	heap_begin();
	free(hidden(mapping));
	return look();
}
