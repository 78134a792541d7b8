/* SPDX-License-Identifier: MIT */
/* memory.c - see memory.h */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>
#include "harness/memory.h"
#include "harness/proc.h"

struct memory memory_now(const char *usage_path)
{
	uint64_t bytes = proc_file_number(usage_path);

	return (struct memory){ .usage_kib = bytes == UINT64_MAX ? 0 : bytes / 1024,
				.rss_kib = proc_rss_kib() };
}

void memory_print(const struct memory *memory, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		printf(" %llu %llu", (unsigned long long)memory[i].usage_kib,
		       (unsigned long long)memory[i].rss_kib);
	puts("");
}

int turn_take(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

void turn_end(int turn)
{
	if (turn >= 0)
		close(turn); /* releases the lock */
}
