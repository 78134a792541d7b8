/* SPDX-License-Identifier: MIT */
/* A block is freed, thousands of others come and go, and it is freed again while it waits. */
#include "../malloc/block.h"

int main(void)
{
	void *block = malloc(64), *others[4000];

	free(hidden(block));
	for (int i = 0; i < 4000; i++)
		others[i] = malloc(400);
	for (int i = 0; i < 4000; i++)
		free(others[i]);
	free(hidden(block));
	return 0;
}
