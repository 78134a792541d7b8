/* SPDX-License-Identifier: MIT */
/* Two threads free the same block. */
#include <pthread.h>
#include "block.h"

static void *other_main(void *block)
{
	free(hidden(block));
	return NULL;
}

int main(void)
{
	void *block = malloc(128);
	pthread_t thread;

	if (pthread_create(&thread, NULL, other_main, block) != 0)
		return 1;
	pthread_join(thread, NULL);
	free(hidden(block));
	return look();
}
