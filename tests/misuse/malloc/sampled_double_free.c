/* SPDX-License-Identifier: MIT */
/* A block on a page of its own is freed twice, with others in between. */
#include "sampled.h"

int main(void)
{
	void *block = at_end(64), *others[50];

	free(hidden(block));
	for (int i = 0; i < 50; i++)
		others[i] = malloc(64);
	for (int i = 0; i < 50; i++)
		free(others[i]);
	free(hidden(block));
	return 0;
}
