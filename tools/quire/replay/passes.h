/* SPDX-License-Identifier: MIT */
/* passes.h - the passes over a plan that make an outcome: one that is checked, several for the time */
#ifndef QUIRE_TOOL_PASSES_H
#define QUIRE_TOOL_PASSES_H

#include "replay/engine.h"
#include "replay/outcome.h"
#include "replay/replay.h"

/* For a checked pass over @plan with the options @conf, which may be empty and must outlive it. */
struct engine passes_engine(const struct replay_request *request, const struct plan *plan,
			    const char *conf, struct progress *progress);

/*
 * The time of each of @nr engines, at most two, into its outcome.  Passes of the engines take turns, so that what the
 * system does meanwhile falls on all of them.  Afterwards the engines have no allocator.  0, or -1 with @error.
 */
int passes_time(struct engine *engines, struct outcome *outcomes, unsigned nr, char *error,
		size_t error_bytes);

#endif
