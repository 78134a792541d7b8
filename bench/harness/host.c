/* SPDX-License-Identifier: MIT */
/* host.c - see host.h */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include "harness/host.h"

#define PAGE 4096u

static size_t available_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (size_t)kib << 10;
}

void host_touch(size_t bytes)
{
	size_t most = available_bytes() / 4;
	char *block;

	bytes = bytes < most ? bytes : most;
	if (bytes < PAGE)
		return;
	block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED)
		return;
	madvise(block, bytes, MADV_HUGEPAGE); /* only faster */
	for (size_t at = 0; at < bytes; at += PAGE)
		((volatile char *)block)[at] = 1;
	munmap(block, bytes);
}
