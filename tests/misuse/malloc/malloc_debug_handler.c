/* SPDX-License-Identifier: MIT */
/* In a handler. */
#include "block.h"

#include <signal.h>

static void free_twice(int signal)
{
	void *block = malloc(64); /* NOLINT(bugprone-signal-handler): Quire's may be called here */

	(void)signal;
	free(hidden(block)); /* NOLINT(bugprone-signal-handler): here, too */
	free(hidden(block));
}

int main(void)
{
	signal(SIGUSR1, free_twice);
	raise(SIGUSR1);
	return 0;
}
