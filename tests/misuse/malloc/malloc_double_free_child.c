/* SPDX-License-Identifier: MIT */
/* A block is freed twice in a child of fork(). */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "block.h"

int main(void)
{
	void *block = malloc(64);
	int status = 0;
	pid_t child;

	stay();
	child = fork();
	if (child == 0) {
		free(hidden(block));
		free(hidden(block));
		return 0;
	}
	/* Its end is ours. */
	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGABRT)
		raise(SIGABRT);
	return 1;
}
