/* SPDX-License-Identifier: MIT */
/*
 * plan_objects.c - the steps of areas, of per-CPU objects and of slab objects
 *
 * A class of the trace is a request.  Each new millisecond of recorded time is a step of its own:
 * fine enough for an allocator's timers, which work in tenths of seconds, and rare compared with
 * the steps that allocate.
 */
#include "replay/planner.h"

#include <stdlib.h>

#include <quire/quire.h>

#define NS_PER_MS 1000000u

/* 1 -> 0, 2 -> 1, 3 -> 2, 4096 -> 12. */
static unsigned size_index(uint64_t bytes)
{
	return bytes <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(bytes - 1);
}

/* The recorded size includes the kernel's guard page; ours is added to the requested size. */
static struct plan_request request_of_area(const struct katr_class *class, size_t page_bytes)
{
	struct plan_request request = { .bytes = class->size_bytes,
					.align_bytes = class->align_bytes };

	if (class->detail != KATR_AREA_BLOCK && request.bytes > page_bytes)
		request.bytes -= page_bytes;
	return request;
}

/* A caller that may not wait uses populated pages, or tries to populate more. */
static struct plan_request request_of_percpu(const struct katr_class *class)
{
	return (struct plan_request){
		.bytes = class->size_bytes,
		.align_bytes = class->align_bytes,
		.flags = class->detail & KATR_PERCPU_ATOMIC ? QUIRE_ATOMIC : 0,
	};
}

/* What kmalloc() and malloc() align to is not in the recording. */
static struct plan_request request_of_slab(const struct katr_class *class)
{
	return (struct plan_request){ .bytes = class->asked_bytes > 0 ? class->asked_bytes : 1,
				      .align_bytes = 16 };
}

void planner_begin_objects(struct planner *planner)
{
	const struct katr_reader *reader = planner->reader;
	struct plan *plan = planner->plan;

	plan->requests = calloc((size_t)reader->classes_nr + 1, sizeof(plan->requests[0]));
	if (plan->requests == NULL) {
		planner->out_of_memory = true;
		return;
	}
	for (uint32_t i = 0; i < reader->classes_nr; i++) {
		const struct katr_class *class = &reader->classes[i];

		if (class->kind == KATR_VMAP && plan->kind == KATR_VMAP)
			plan->requests[i] = request_of_area(class, (size_t)1 << plan->page_shift);
		if (class->kind == KATR_PERCPU && plan->kind == KATR_PERCPU)
			plan->requests[i] = request_of_percpu(class);
		if (class->kind == KATR_SLAB && plan->kind == KATR_SLAB)
			plan->requests[i] = request_of_slab(class);
	}
}

static void plan_alloc(struct planner *planner, const struct katr_record *record)
{
	struct plan *plan = planner->plan;
	struct plan_totals *totals = &plan->totals;
	struct plan_step *step = planner_add_step(planner, record);
	size_t bytes;

	if (step == NULL || !planner_has_blocks(planner))
		return;
	step->op = PLAN_ALLOC;
	step->request = record->class_index;
	plan->blocks[record->id].request = record->class_index;
	bytes = plan->requests[record->class_index].bytes;
	totals->sizes[size_index(bytes)]++;
	totals->allocs_nr++;
	totals->live_blocks++;
	totals->live_bytes += bytes;
	if (totals->live_blocks > totals->live_blocks_peak)
		totals->live_blocks_peak = totals->live_blocks;
	if (totals->live_bytes > totals->live_bytes_peak)
		totals->live_bytes_peak = totals->live_bytes;
}

static void plan_free(struct planner *planner, const struct katr_record *record)
{
	struct plan *plan = planner->plan;
	struct plan_step *step = planner_add_step(planner, record);

	if (step == NULL)
		return;
	step->op = PLAN_FREE;
	step->request = record->class_index;
	plan->totals.frees_nr++;
	plan->totals.live_blocks--;
	plan->totals.live_bytes -= plan->requests[record->class_index].bytes;
}

void planner_add_time(struct planner *planner, const struct katr_record *record)
{
	double ns = (double)record->tick * (double)planner->reader->params.tick_ns;
	uint32_t ms = ns < (double)UINT32_MAX * NS_PER_MS ? (uint32_t)(ns / NS_PER_MS) : UINT32_MAX;
	struct plan_step *step;

	if (ms == planner->ms)
		return;
	step = planner_add_step(planner, record);
	if (step == NULL)
		return;
	step->op = PLAN_TIME;
	step->id = ms;
	planner->ms = ms;
}

void planner_add_object_record(struct planner *planner, const struct katr_record *record)
{
	if (record->op != KATR_ALLOC && record->op != KATR_FREE)
		return;
	if (!planner_is_kind(planner, record))
		return;
	planner_add_time(planner, record);
	if (record->op == KATR_ALLOC)
		plan_alloc(planner, record);
	else
		plan_free(planner, record);
}
