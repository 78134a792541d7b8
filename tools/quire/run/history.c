/* SPDX-License-Identifier: MIT */
#include "run/history.h"

#include <stdlib.h>

#include "run/resident.h"

static bool has_room(struct history *history)
{
	size_t room = history->room == 0 ? 256 : 2 * history->room;
	struct history_point *points;

	if (history->nr < history->room)
		return true;
	points = realloc(history->points, room * sizeof(points[0]));
	if (points == NULL) {
		history->is_short = true;
		return false;
	}
	history->points = points;
	history->room = room;
	return true;
}

void history_sample(void *arg, uint64_t now_ns)
{
	struct history *history = arg;
	struct resident resident;

	if (history->identity.owner != NULL)
		identity_look(&history->identity, history->pid);
	if (!resident_read(history->pid, &resident) || !has_room(history))
		return;
	if (resident.peak_bytes > history->peak_bytes)
		history->peak_bytes = resident.peak_bytes;
	history->points[history->nr++] = (struct history_point){
		.ns = now_ns - history->begin_ns,
		.bytes = resident.bytes,
	};
}

void history_fini(struct history *history)
{
	free(history->points);
	history->points = NULL;
	history->nr = history->room = 0;
}

uint64_t history_end_bytes(const struct history *history)
{
	return history->nr > 0 ? history->points[history->nr - 1].bytes : 0;
}

double axis_step(double max, unsigned steps_nr)
{
	double step = 1e-6;

	for (;; step *= 10) {
		if (step * steps_nr >= max)
			return step;
		if (2 * step * steps_nr >= max)
			return 2 * step;
		if (5 * step * steps_nr >= max)
			return 5 * step;
	}
}
