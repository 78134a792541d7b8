/* SPDX-License-Identifier: MIT */
/*
 * enter.c - whether a scenario enters the functions that it names
 *
 * A scenario that has ceased to reach the function it is about passes for ever.  So it names the function
 * (.enters).  As long as one of its names has not been seen, MODE_ENTER has the hooks note the places of
 * accesses and of the calls that led there; after the runs 1, 2, 4, ... the new places are looked up,
 * and the functions that they are in, inlined or not, are entered.  When all have been seen, the mode
 * ends, and with it the cost.
 */
#include <string.h>

#include "machine/sim/internal.h"

#define PLACES_MAX 16384u
#define DEPTH_MAX  24u

static const struct sim_test *enter_test;
static uint32_t enter_seen; /* a bit for each name */
static uintptr_t places[PLACES_MAX], fresh[PLACES_MAX];
static unsigned places_nr, fresh_nr;

void enter_begin(const struct sim_test *test)
{
	enter_test = test;
	enter_seen = 0;
	memset(places, 0, sizeof(places));
	places_nr = fresh_nr = 0;
}

static void note(uintptr_t pc)
{
	size_t i = (pc * UINT64_C(0x9e3779b97f4a7c15)) >> 50;

	while (places[i] != 0 && places[i] != pc)
		i = (i + 1) % PLACES_MAX;
	if (places[i] == pc || places_nr == PLACES_MAX / 2)
		return;
	places[i] = pc;
	places_nr++;
	fresh[fresh_nr++] = pc;
}

/* Notes where the access is and, by frame pointers, where the functions around it were called. */
void enter_note(uintptr_t pc)
{
	const uintptr_t *frame = __builtin_frame_address(0);

	note(pc);
	for (unsigned depth = 0; depth < DEPTH_MAX && in_stacks(frame); depth++) {
		note(frame[1]);
		frame = (const uintptr_t *)(void *)frame[0];
	}
}

/* Is @name the frame's function?  "percpu/free.c:defer" says of which file it is to be. */
static bool is_named(const struct source_frame *frame, const char *name)
{
	const char *colon = strchr(name, ':');
	size_t file = strcspn(frame->where, ":"), wanted;

	if (colon == NULL)
		return strcmp(frame->function, name) == 0;
	wanted = (size_t)(colon - name);
	return strcmp(frame->function, colon + 1) == 0 && file >= wanted &&
	       strncmp(frame->where + file - wanted, name, wanted) == 0;
}

static void see(const struct source_frame *frame)
{
	for (unsigned i = 0; i < SIM_ENTERS_MAX && enter_test->enters[i] != NULL; i++)
		if (is_named(frame, enter_test->enters[i]))
			enter_seen |= 1u << i;
}

const char *enter_missing(void)
{
	source_ask(fresh, fresh_nr, see);
	fresh_nr = 0;
	for (unsigned i = 0; i < SIM_ENTERS_MAX && enter_test->enters[i] != NULL; i++)
		if ((enter_seen >> i & 1) == 0)
			return enter_test->enters[i];
	return NULL;
}
