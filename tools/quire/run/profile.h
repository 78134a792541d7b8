/* SPDX-License-Identifier: MIT */
/*
 * profile.h - quire run --profile: the program's profile, written by its parent
 *
 * The library keeps stacks and sums in memory that both share, so they are there however the program ends.  What was mapped in it is
 * gone then: so the library leaves that there when it begins, and the parent looks whenever there are new stacks, for
 * modules that come later.
 */
#ifndef QUIRE_TOOL_RUN_PROFILE_H
#define QUIRE_TOOL_RUN_PROFILE_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "malloc/profile.h"
#include "malloc/traces.h"
#include "run/preload.h"

struct run_profile {
	struct traces traces;	/* without head: none is wanted */
	const char *first_maps; /* what the library left */
	char *maps;		/* as last seen; NULL: never */
	char program[PATH_MAX];
	uint64_t seen_bytes; /* of stacks, at the last look */
	uint64_t begin_ns;   /* since 1970 */
	unsigned shift;
};

void run_profile_begin(struct run_profile *profile, const struct preload *preload);
/* While the program runs. */
void run_profile_look(struct run_profile *profile, pid_t pid);
/* After its end.  0 or -errno; the file is whole or as it was. */
int run_profile_write(const struct run_profile *profile, const char *path);
void run_profile_end(struct run_profile *profile);

#endif
