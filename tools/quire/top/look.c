/* SPDX-License-Identifier: MIT */
/* look.c - what two looks at a process say together: rates, and a minute of what was in use */
#include "top/top.h"

#include <inttypes.h>
#include <stdio.h>

#include "run/resident.h"

static uint64_t number(const struct seen *seen, const char *module, const char *name)
{
	uint64_t value = 0;

	seen_number(seen, module, name, &value);
	return value;
}

static uint64_t used_bytes(const struct seen *seen)
{
	return number(seen, "page", "allocated_bytes") + number(seen, "vmap", "busy_bytes") +
	       number(seen, "percpu", "populated_bytes");
}

static uint64_t given_back(const struct seen *seen)
{
	return number(seen, "page", "given_back_bytes") + number(seen, "vmap", "given_back_bytes");
}

/* Whether the page was written again since the last look, so that there is a rate. */
static bool is_newer(const struct seen *now, const struct seen *before)
{
	return now->header.updated_ns > before->header.updated_ns &&
	       now->header.process.start_ticks == before->header.process.start_ticks &&
	       now->pid == before->pid;
}

int top_look(const struct seen_wanted *wanted, struct top_state *state)
{
	static struct seen seen; /* too large for a stack */
	int error = seen_find(wanted, &seen);
	struct resident resident;
	uint64_t gone = 0;

	if (error)
		return error;
	if (state->used_nr == 0)
		state->given_back_ago = -1;
	if (state->used_nr != 0 && is_newer(&seen, &state->now)) {
		state->before = state->now;
		state->has_before = true;
		state->seconds =
			(double)(seen.header.updated_ns - state->now.header.updated_ns) / 1e9;
		gone = given_back(&seen) - given_back(&state->now);
	}
	state->now = seen;
	state->given_back += gone;
	if (gone != 0)
		state->given_back_ago = 0;
	else if (state->given_back_ago >= 0)
		state->given_back_ago += state->seconds;
	state->resident_bytes =
		seen.alive && resident_read((pid_t)seen.pid, &resident) ? resident.bytes : 0;
	state->used[state->used_nr++ % HISTORY_NR] = used_bytes(&seen);
	return 0;
}

/* The page's JSON with the look's time in front, on one line. */
void top_print_json(const struct top_state *state)
{
	const char *json = seen_section(&state->now, "json");

	if (json == NULL || json[0] != '{')
		return;
	printf("{\"pid\":%" PRIu32
	       ",\"alive\":%s,\"updated_seconds\":%.3f,\"resident_bytes\":%" PRIu64
	       ",\"used_bytes\":%" PRIu64 ",%s",
	       state->now.pid, state->now.alive ? "true" : "false",
	       (double)state->now.header.updated_ns / 1e9, state->resident_bytes,
	       used_bytes(&state->now), json + 1);
}
