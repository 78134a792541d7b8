/* SPDX-License-Identifier: MIT */
/* hooks.h - kinds of accesses, and how many of each the hooks have seen */
#ifndef MACHINE_SIM_HOOKS_H
#define MACHINE_SIM_HOOKS_H

#include <stdint.h>

enum point_kind {
	POINT_READ,
	POINT_WRITE,
	POINT_LOAD, /* atomic or volatile */
	POINT_STORE,
	POINT_RMW,
	POINT_FENCE,
	POINT_LOCK,
	POINT_TRY,
	POINT_UNLOCK,
	POINT_SEQ_READ, /* inside a sequence */
	POINT_SEQ_COMMIT,
	POINT_CPU_FENCE,
	POINT_GATHER,
	POINT_WORK,
	POINT_NOTE, /* no access: a line for the report */
	POINT_KINDS_NR,
};

extern uint64_t sim_hooks_seen[POINT_KINDS_NR]; /* plain reads only while they are watched */
/* At this count of plain reads a run is taken for an endless loop and fails. */
extern uint64_t sim_reads_limit;
/* A count, for instrumented code: its compiler cannot know that an access changes the array. */
uint64_t sim_hooks_of(enum point_kind kind);

#endif
