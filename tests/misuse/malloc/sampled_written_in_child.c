/* SPDX-License-Identifier: MIT */
/* A child of fork() writes behind a block of its parent. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sampled.h"

int main(void)
{
	volatile char *block = at_end(64);
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		block[64] = 1;
	/* Its end is ours. */
	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		raise(WTERMSIG(status));
	return 0;
}
