/* SPDX-License-Identifier: MIT */
/*
 * half_child.c - a process that frees every other large block and sleeps
 *
 * BYTES LOCK USAGE.  Writes 512 MiB of blocks, frees every other one, and then does nothing at all.
 * Prints ns per free (-1: other processes took time), then cgroup charge and RSS in KiB at the
 * beginning, at the peak, after 1 s and after 10 s.
 */
#include <stdio.h>
#include <stdlib.h>
#include "harness/memory.h"
#include "harness/proc.h"
#include "harness/span.h"
#include "vmap/areas.h"

#define HALF_BYTES    ((size_t)512 << 20)
#define HALF_BLOCKS   (HALF_BYTES / ((size_t)64 << 10)) /* of the smallest */
#define STOLEN_MAX    0.02
#define SHORT_WAIT_MS 1000u
#define LONG_WAIT_MS  10000u

/* Frees every second block.  Returns ns per free; -1 if other processes took time. */
static double half_free(const struct subject *subject, char **blocks, size_t nr, size_t bytes)
{
	struct span span;

	span_begin(&span, -1);
	for (size_t i = 0; i < nr; i += 2)
		subject->free(blocks[i], bytes);
	span_end(&span, -1);
	return span_stolen(&span) > STOLEN_MAX ? -1 : (double)span.wall_ns / (double)((nr + 1) / 2);
}

int area_half(const struct subject *subject, char **arguments)
{
	size_t bytes = strtoull(arguments[0], NULL, 10);
	static char *blocks[HALF_BLOCKS];
	size_t nr = bytes ? HALF_BYTES / bytes : 0;
	struct memory memory[4];
	int turn = turn_take(arguments[1]);
	double ns;

	if (nr == 0 || nr > HALF_BLOCKS)
		return puts("refused a block size"), 0;
	memory[0] = memory_now(arguments[2]);
	for (size_t i = 0; i < nr; i++) {
		blocks[i] = subject->alloc(bytes);
		if (!blocks[i])
			return puts("refused an allocation was refused"), 0;
		area_touch(blocks[i], bytes, 1);
	}
	memory[1] = memory_now(arguments[2]);
	ns = half_free(subject, blocks, nr, bytes);
	turn_end(turn);
	proc_sleep_ms(SHORT_WAIT_MS);
	memory[2] = memory_now(arguments[2]);
	proc_sleep_ms(LONG_WAIT_MS - SHORT_WAIT_MS);
	memory[3] = memory_now(arguments[2]);
	printf("ok %.2f", ns);
	memory_print(memory, 4);
	return 0;
}
