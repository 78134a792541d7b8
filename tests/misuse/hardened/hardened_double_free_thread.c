/* SPDX-License-Identifier: MIT */
/* A block is freed, and again by another thread. */
#include "../malloc/block.h"

#include <pthread.h>

static void *free_again(void *block)
{
	free(hidden(block));
	return NULL;
}

int main(void)
{
	void *block = malloc(64);
	pthread_t thread;

	free(hidden(block));
	if (pthread_create(&thread, NULL, free_again, block) == 0)
		pthread_join(thread, NULL);
	return 0;
}
