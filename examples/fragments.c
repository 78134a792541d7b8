/* SPDX-License-Identifier: MIT */
/*
 * fragments [SECONDS] - needs many small blocks for a moment, and keeps one in 40 of them: docs/stat.md
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS_NR    1000000
#define KEEPS_ONE_OF 40

int main(int argc, char **argv)
{
	static char *blocks[BLOCKS_NR];
	unsigned seconds = argc > 1 ? (unsigned)atol(argv[1]) : 600;

	for (int i = 0; i < BLOCKS_NR; i++) {
		blocks[i] = malloc(120);
		if (blocks[i] != NULL)
			memset(blocks[i], 'b', 120);
	}
	for (int i = 0; i < BLOCKS_NR; i++)
		if (i % KEEPS_ONE_OF != 0)
			free(blocks[i]);
	sleep(seconds);
	for (int i = 0; i < BLOCKS_NR; i += KEEPS_ONE_OF)
		free(blocks[i]);
	return 0;
}
