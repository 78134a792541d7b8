/* SPDX-License-Identifier: MIT */
/* A signal handler frees a block that is free. */
#include <signal.h>
#include "block.h"

static void *block;

static void handler(int number)
{
	(void)number;
	free(hidden(block)); /* NOLINT(bugprone-signal-handler): Quire's may be called here */
}

int main(void)
{
	stay();
	block = malloc(64);
	signal(SIGUSR1, handler);
	free(hidden(block));
	raise(SIGUSR1);
	return 0;
}
