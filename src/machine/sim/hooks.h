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

extern uint64_t sim_hooks_seen[POINT_KINDS_NR];
/* A run that reads on and on, without a point, ends here. */
extern uint64_t sim_reads_limit;
/* The same as a call, for instrumented code: it cannot know that an access changes the count. */
uint64_t sim_hooks_of(enum point_kind kind);

#endif
