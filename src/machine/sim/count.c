/* SPDX-License-Identifier: MIT */
/*
 * count.c - locks taken and cache lines moved, for tables of how paths scale
 *
 * A scaling scenario runs no tasks: its body acts as one CPU after the other, whole operations at
 * a time, so nothing is ever contended and what is counted is what the path itself needs.  A line
 * moves when a CPU touches it that another has written since this CPU touched it last.  The lines
 * are 64 bytes; fibers' stacks do not count.  Outside sim_count_begin() .. sim_count_end() the
 * owners of lines are tracked, but nothing is counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/sim/internal.h"

#define LINE_SHIFT 6
#define LINES_PAGE 64 /* lines in 4 KiB */

struct line {
	uint64_t
		known[SIM_CPUS_MOST / 64]; /* CPUs that have touched it since it was last written */
	bool written;
};

static struct line *lines[ARENA_BYTES >> 12];
static bool has_lines; /* since the last reset: few scenarios count, and the table is long */
static bool counting;
struct sim_counts sim_counted;

void count_reset(void)
{
	for (size_t i = 0; has_lines && i < ARENA_BYTES >> 12; i++) {
		free(lines[i]);
		lines[i] = NULL;
	}
	has_lines = false;
	counting = false;
	sim_counted = (struct sim_counts){ .ops = 0 };
}

static struct line *line_of(uintptr_t offset)
{
	struct line **page = &lines[offset >> 12];

	has_lines = true;
	if (*page == NULL)
		*page = calloc(LINES_PAGE, sizeof(**page));
	if (*page == NULL) {
		fprintf(stderr, "quire-explore: no memory for lines\n");
		exit(2);
	}
	return &(*page)[offset >> LINE_SHIFT & (LINES_PAGE - 1)];
}

static void touch(struct line *line, unsigned cpu, bool write)
{
	uint64_t bit = (uint64_t)1 << cpu % 64;
	bool knows = (line->known[cpu / 64] & bit) != 0;

	sim_counted.transfers += counting && line->written && !knows;
	if (write)
		memset(line->known, 0, sizeof(line->known));
	line->written |= write;
	line->known[cpu / 64] |= bit;
}

void count_access(enum point_kind kind, const volatile void *addr, size_t bytes)
{
	bool write = kind != POINT_READ && kind != POINT_LOAD && kind != POINT_SEQ_READ;
	uintptr_t first = (uintptr_t)addr - ARENA_BASE, last = first + bytes - 1;

	if (!in_arena(addr) || in_stacks(addr) || bytes == 0)
		return;
	sim_counted.locks += counting && (kind == POINT_LOCK || kind == POINT_TRY);
	for (uintptr_t at = first >> LINE_SHIFT; at <= last >> LINE_SHIFT; at++)
		touch(line_of(at << LINE_SHIFT), current_task()->cpu, write);
}

void sim_act_as(unsigned cpu)
{
	CHECK(cpu < sim_opt.cpus_nr && !(sim_mode & MODE_RUN));
	current_task()->cpu = (uint16_t)cpu;
	sim_mode |= MODE_COUNT;
}

void sim_count_forget(void)
{
	sim_counted = (struct sim_counts){ .ops = 0 };
}

void sim_count_begin(void)
{
	counting = true;
}

void sim_count_end(void)
{
	counting = false;
	sim_counted.ops++;
}
