/* SPDX-License-Identifier: MIT */
/* A block is freed, and again in a child of fork. */
#include "../malloc/block.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	void *block = malloc(64);
	int status = 0;
	pid_t child;

	free(hidden(block));
	child = fork();
	if (child == 0) {
		free(hidden(block));
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		abort();
	return 0;
}
