/* SPDX-License-Identifier: MIT */
/* memory.h - the memory of this process, and turns among processes that sleep at the same time */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdint.h>

struct memory {
	uint64_t usage_kib; /* of its memory cgroup; 0 where there is none */
	uint64_t rss_kib;
};

/* @usage_path: the cgroup's file, or "-". */
struct memory memory_now(const char *usage_path);
/* " USAGE RSS" for each of @nr, and the end of the line. */
void memory_print(const struct memory *memory, unsigned nr);

/* Waits for the turn by locking the file @path; -1 if there is no such file. */
int turn_take(const char *path);
void turn_end(int turn);

#endif
