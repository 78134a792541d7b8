/* SPDX-License-Identifier: MIT */
/* A block is freed, then another, then the first again. */
#include "block.h"

int main(void)
{
	void *first = malloc(48), *second = malloc(48);

	free(hidden(first));
	free(hidden(second));
	free(hidden(first));
	return look();
}
