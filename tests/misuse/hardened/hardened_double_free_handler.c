/* SPDX-License-Identifier: MIT */
/* A block is freed, and again by a signal handler. */
#include "../malloc/block.h"

#include <signal.h>

static void *block;

static void free_again(int number)
{
	(void)number;
	free(hidden(block)); /* NOLINT(bugprone-signal-handler): Quire's may be called here */
}

int main(void)
{
	signal(SIGUSR1, free_again);
	block = malloc(64);
	free(hidden(block));
	raise(SIGUSR1);
	return 0;
}
