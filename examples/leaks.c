/* SPDX-License-Identifier: MIT */
/*
 * leaks [SECONDS] - serves requests, and forgets to free a part of each: docs/stat.md
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARTS_NR 64

static char *volatile last_answer; /* volatile, or the compiler would leave the answers out */

/* The answer, of 3,000 bytes, is nobody's as soon as there is another. */
static void serve(void)
{
	char *parts[PARTS_NR];

	for (int i = 0; i < PARTS_NR; i++) {
		parts[i] = malloc(100 * ((size_t)i + 1));
		if (parts[i] != NULL)
			memset(parts[i], 'p', 100);
	}
	last_answer = malloc(3000);
	if (last_answer != NULL)
		memset(last_answer, 'a', 3000);
	for (int i = 0; i < PARTS_NR; i++)
		free(parts[i]);
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[1]) : 600;

	for (long i = 0; i < seconds * 100; i++) {
		for (int request = 0; request < 10; request++)
			serve();
		usleep(10000);
	}
	return 0;
}
