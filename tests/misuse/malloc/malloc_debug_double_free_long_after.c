/* SPDX-License-Identifier: MIT */
/* Its memory is free again. */
#include "block.h"

int main(void)
{
	char *block = malloc(64);

	free(hidden(block));
	look();
	free(hidden(block));
	return 0;
}
