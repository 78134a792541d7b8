/* SPDX-License-Identifier: MIT */
/*
 * cached [SECONDS] - needs large buffers again and again, each time for a moment: docs/stat.md
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFERS_NR   100
#define BUFFER_BYTES ((size_t)1 << 20)

static void use_buffers(void)
{
	char *buffers[BUFFERS_NR];

	for (int i = 0; i < BUFFERS_NR; i++) {
		buffers[i] = malloc(BUFFER_BYTES);
		if (buffers[i] != NULL)
			memset(buffers[i], 'b', BUFFER_BYTES);
	}
	for (int i = 0; i < BUFFERS_NR; i++)
		free(buffers[i]);
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[1]) : 600;

	for (long i = 0; i < seconds * 2; i++) {
		use_buffers();
		usleep(500000);
	}
	return 0;
}
