/* SPDX-License-Identifier: MIT */
#include "replay/planner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Doubles an array when it is full: the array, or NULL with the old one as it was. */
static void *grow(void *items, size_t used, size_t *room, size_t item_bytes)
{
	size_t wanted = *room * 2 + 1024;
	void *grown;

	if (used < *room)
		return items;
	grown = realloc(items, wanted * item_bytes);
	if (grown != NULL)
		*room = wanted;
	return grown;
}

struct plan_step *planner_add_step(struct planner *planner, const struct katr_record *record)
{
	struct plan *plan = planner->plan;
	struct plan_step *steps;

	steps = grow(plan->steps, plan->steps_nr, &plan->steps_room, sizeof(steps[0]));
	if (steps == NULL) {
		planner->out_of_memory = true;
		return NULL;
	}
	plan->steps = steps;
	steps += plan->steps_nr++;
	*steps = (struct plan_step){ .id = record->id, .cpu = (uint16_t)record->cpu };
	return steps;
}

bool planner_has_blocks(struct planner *planner)
{
	struct plan *plan = planner->plan;
	uint32_t wanted = planner->reader->ids_nr;
	size_t room = plan->blocks_room;
	struct plan_block *blocks;

	if (wanted > room) {
		room = (size_t)wanted * 2 + 1024;
		blocks = realloc(plan->blocks, room * sizeof(blocks[0]));
		if (blocks == NULL || room > UINT32_MAX) {
			plan->blocks = blocks != NULL ? blocks : plan->blocks;
			planner->out_of_memory = true;
			return false;
		}
		plan->blocks = blocks;
		plan->blocks_room = (uint32_t)room;
	}
	for (; plan->blocks_nr < wanted; plan->blocks_nr++)
		plan->blocks[plan->blocks_nr] = (struct plan_block){ .root = plan->blocks_nr };
	return true;
}

bool planner_is_kind(const struct planner *planner, const struct katr_record *record)
{
	return planner->reader->classes[record->class_index].kind == planner->plan->kind;
}

/* "removed+10s" -> 10, "removed" -> 0. */
static unsigned wait_seconds(const char *name)
{
	const char *plus = strrchr(name, '+');
	unsigned seconds = 0;
	char unit = '\0';

	if (plus == NULL || sscanf(plus, "+%4u%c", &seconds, &unit) != 2 || unit != 's')
		return 0;
	return seconds;
}

static void plan_mark(struct planner *planner, const struct katr_record *record)
{
	struct plan *plan = planner->plan;
	size_t room = planner->marks_room;
	struct plan_step *step;
	struct plan_mark *marks = grow(plan->marks, plan->marks_nr, &room, sizeof(marks[0]));

	if (marks == NULL) {
		planner->out_of_memory = true;
		return;
	}
	plan->marks = marks;
	planner->marks_room = (uint32_t)room;
	marks[plan->marks_nr] = (struct plan_mark){
		.seconds = (double)record->tick * (double)planner->reader->params.tick_ns / 1e9,
		.ids_nr = planner->reader->ids_nr,
		.live_blocks = plan->totals.live_blocks,
		.live_bytes = plan->totals.live_bytes,
		.wait_seconds = wait_seconds(record->name),
		.kernel.occupancy = planner->reader->pages.summary,
	};
	snprintf(marks[plan->marks_nr].name, sizeof(marks[0].name), "%s", record->name);
	if (plan->kind == KATR_PAGE)
		planner_end_batches(planner);
	else
		planner_add_time(planner, record);
	step = planner_add_step(planner, record);
	if (step == NULL || !planner_has_blocks(planner))
		return;
	planner->sampled = 0;
	step->op = PLAN_MARK;
	step->id = plan->marks_nr++;
}

static void plan_sample(struct planner *planner, const struct katr_record *record,
			uint64_t populated_kB)
{
	struct plan *plan = planner->plan;
	size_t room = planner->samples_room;
	struct plan_sample *samples;
	struct plan_step *step;

	samples = grow(plan->samples, plan->samples_nr, &room, sizeof(samples[0]));
	if (samples == NULL) {
		planner->out_of_memory = true;
		return;
	}
	plan->samples = samples;
	planner->samples_room = (uint32_t)room;
	samples[plan->samples_nr] = (struct plan_sample){
		.seconds = (double)record->tick * (double)planner->reader->params.tick_ns / 1e9,
		.live_bytes = plan->totals.live_bytes,
		.populated_kB = populated_kB,
	};
	if (plan->kind != KATR_PAGE)
		planner_add_time(planner, record);
	step = planner_add_step(planner, record);
	if (step == NULL)
		return;
	step->op = PLAN_SAMPLE;
	step->id = plan->samples_nr++;
}

/* The record is the first one of its part of the time. */
static void plan_equal_sample(struct planner *planner, const struct katr_record *record)
{
	uint64_t ticks = planner->reader->params.ticks;
	double share = ticks > 0 ? (double)record->tick / (double)ticks : 0;

	if (planner->plan->kind != KATR_PERCPU &&
	    planner->plan->samples_nr <= share * PLAN_SAMPLES_NR)
		plan_sample(planner, record, 0);
}

static void plan_record(struct planner *planner, const struct katr_record *record)
{
	uint64_t populated_kB;

	plan_equal_sample(planner, record);
	if (planner->plan->kind == KATR_PAGE)
		planner_add_page_record(planner, record);
	else
		planner_add_object_record(planner, record);
	if (record->op == KATR_FAIL)
		planner->plan->totals.fails_nr += planner_is_kind(planner, record);
	if (record->op == KATR_MARK)
		plan_mark(planner, record);
	if (record->op == KATR_SAMPLE) {
		planner_add_sample(planner, record);
		if (planner->plan->kind == KATR_PERCPU &&
		    planner_reads_percpu(record, &populated_kB))
			plan_sample(planner, record, populated_kB);
	}
}

static void plan_begin(struct planner *planner)
{
	struct plan *plan = planner->plan;
	const struct katr_reader *reader = planner->reader;
	char lost[24];

	katr_info(reader, "name", plan->name, sizeof(plan->name));
	katr_info(reader, "workload", plan->workload, sizeof(plan->workload));
	katr_info(reader, "kernel", plan->kernel, sizeof(plan->kernel));
	katr_info(reader, "lost", lost, sizeof(lost));
	plan->lost_nr = strtoull(lost, NULL, 10);
	plan->page_shift = (unsigned)reader->params.page_shift;
	plan->cpus_nr = (unsigned)reader->params.cpus_nr;
	plan->seconds = (double)reader->params.ticks * (double)reader->params.tick_ns / 1e9;
	if (plan->kind == KATR_PAGE)
		planner_begin_pages(planner);
	else
		planner_begin_objects(planner);
}

/* 0, or -1 or -ENOMEM with @error filled if the reading failed. */
static int plan_end(struct planner *planner, char *error, size_t error_bytes)
{
	struct plan *plan = planner->plan;

	plan->totals.records_nr = planner->reader->totals.records_nr;
	plan->totals.ids_nr = planner->reader->ids_nr;
	if (planner->reader->error.failed) {
		katr_describe_error(planner->reader, plan->path, error, error_bytes);
		return planner->reader->error.no_memory ? -ENOMEM : -1;
	}
	if (planner->out_of_memory) {
		snprintf(error, error_bytes, "%s: %s", plan->path, strerror(ENOMEM));
		return -ENOMEM;
	}
	planner_end_batches(planner);
	return 0;
}

int plan_read_all(struct plan *plans, unsigned plans_nr, char *error, size_t error_bytes)
{
	struct planner planners[KATR_KINDS_NR] = { { .plan = NULL } };
	struct katr_reader reader;
	struct katr_record record;
	bool has_memory = true;
	int result = 0;

	if (katr_open(&reader, plans[0].path) == 0) {
		for (unsigned i = 0; i < plans_nr; i++) {
			planners[i] = (struct planner){ .plan = &plans[i], .reader = &reader };
			plan_begin(&planners[i]);
		}
		while (has_memory && katr_next(&reader, &record) == 1) {
			for (unsigned i = 0; i < plans_nr; i++) {
				plan_record(&planners[i], &record);
				has_memory = has_memory && !planners[i].out_of_memory;
			}
		}
	}
	for (unsigned i = 0; i < plans_nr; i++) {
		planners[i].plan = &plans[i];
		planners[i].reader = &reader;
		if (result == 0)
			result = plan_end(&planners[i], error, error_bytes);
		free(planners[i].batch_last);
	}
	katr_close(&reader);
	for (unsigned i = 0; i < plans_nr && result != 0; i++)
		plan_fini(&plans[i]);
	return result;
}

int plan_read(struct plan *plan, const char *path, enum katr_kind kind, char *error,
	      size_t error_bytes)
{
	*plan = (struct plan){ .path = path, .kind = kind };
	return plan_read_all(plan, 1, error, error_bytes);
}

int plan_read_kinds(const char *path, unsigned *kinds, char *error, size_t error_bytes)
{
	struct katr_reader reader;
	int result = katr_open(&reader, path);

	if (result == 0)
		*kinds = (unsigned)reader.params.kinds;
	else
		katr_describe_error(&reader, path, error, error_bytes);
	if (reader.error.no_memory)
		result = -ENOMEM;
	katr_close(&reader);
	return result;
}

void plan_fini(struct plan *plan)
{
	free(plan->steps);
	free(plan->blocks);
	free(plan->requests);
	free(plan->marks);
	free(plan->samples);
	*plan = (struct plan){ .path = plan->path };
}
