/* SPDX-License-Identifier: MIT */
/* look.c - what two looks at a process say together: rates, and a minute of what was in use */
#include "top/top.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "run/resident.h"
#include "stat/figures.h"

#define NS_PER_SECOND UINT64_C(1000000000)
/* At 100 ms: a page is made at an instance's beginning, and a second is long for a program to start. */
#define LOST_LOOKS    20u

static uint64_t given_back(const struct seen *seen)
{
	return seen_figure(seen, "page", "given_back_bytes") +
	       seen_figure(seen, "vmap", "given_back_bytes");
}

/* Of two pages of one number: whether the same instance wrote them.  An exec begins anew under the same name. */
static bool is_same(const struct seen *now, const struct seen *before)
{
	const struct observed_process *one = &now->header.process, *two = &before->header.process;

	return now->pid == before->pid && one->start_ticks == two->start_ticks &&
	       one->file == two->file && one->program == two->program && one->image == two->image;
}

static bool has_fallen(const struct seen *now, const struct seen *before)
{
	for (unsigned i = 0; i < figures_nr; i++) {
		uint64_t value = 0, earlier = 0;

		if (figures[i].kind != KIND_COUNTER || !seen_row(before, &figures[i], &earlier))
			continue;
		(void)seen_row(now, &figures[i], &value);
		if (value < earlier)
			return true;
	}
	return false;
}

/* What one look says of the last: rates, if the page was written again meanwhile. */
static void compare(struct top_state *state, const struct seen *seen)
{
	uint64_t gone;

	if (!seen->alive || !is_same(seen, &state->now) || has_fallen(seen, &state->now)) {
		state->has_before = false;
		return;
	}
	if (seen->header.updated_ns <= state->now.header.updated_ns)
		return;
	state->before = state->now;
	state->has_before = true;
	state->seconds = (double)(seen->header.updated_ns - state->now.header.updated_ns) / 1e9;
	gone = given_back(seen) - given_back(&state->now);
	state->given_back += gone;
	if (gone != 0)
		state->given_back_at_ns = seen->header.updated_ns;
}

/* However often, or seldom, somebody looks. */
static void sample(struct top_state *state, uint64_t now_ns)
{
	uint64_t second = now_ns / NS_PER_SECOND;
	uint64_t more = state->used_nr != 0 ? second - state->second : 1;
	uint64_t *last = &state->used[(state->used_nr - 1) % HISTORY_NR];

	if (more == 0 && *last < state->used_bytes)
		*last = state->used_bytes;
	for (unsigned i = 0; i < more && i < HISTORY_NR; i++)
		state->used[state->used_nr++ % HISTORY_NR] = state->used_bytes;
	state->second = second;
}

int top_look(const struct seen_wanted *wanted, struct top_state *state)
{
	static struct seen seen; /* too large for a stack */
	int error = seen_find(wanted, &seen);
	struct resident resident;
	struct timespec now;
	uint64_t now_ns;

	if (error)
		return error;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
	if (state->used_nr != 0)
		compare(state, &seen);
	if (state->used_nr == 0 || !is_same(&seen, &state->first)) {
		state->first = seen;
		state->used_nr = 0;
	}
	state->now = seen;
	state->used_bytes = seen_used_bytes(&seen);
	sample(state, now_ns);
	if (now_ns > state->given_back_at_ns)
		state->given_back_ago = (double)(now_ns - state->given_back_at_ns) / 1e9;
	state->resident_bytes =
		seen.alive && resident_read((pid_t)seen.pid, &resident) ? resident.bytes : 0;
	return 0;
}

int top_look_patiently(const struct top_options *options, struct top_state *state)
{
	static const struct timespec while_it_is_made = { .tv_nsec = 100000000 };
	int error = top_look(&options->wanted, state);

	for (unsigned i = 0; error && i < LOST_LOOKS; i++) {
		nanosleep(&while_it_is_made, NULL);
		error = top_look(&options->wanted, state);
	}
	return error;
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
	       (double)state->now.header.updated_ns / 1e9, state->resident_bytes, state->used_bytes,
	       json + 1);
}
