/* SPDX-License-Identifier: MIT */
/* plan_pages.c - the steps of page allocations, with their batches and splits */
#include "replay/planner.h"

#include <stdlib.h>

#include <quire/quire.h>

static uint8_t type_of(const struct katr_class *class)
{
	static const uint8_t types[KATR_MIGRATETYPES_NR] = { OCCUPANCY_UNMOVABLE, OCCUPANCY_MOVABLE,
							     OCCUPANCY_RECLAIMABLE };

	return types[class->migratetype];
}

/* The kernel's highatomic reserve is for callers that may not wait: QUIRE_ATOMIC. */
static uint8_t flags_of(const struct katr_class *class)
{
	static const uint8_t flags[KATR_MIGRATETYPES_NR] = {
		[1] = QUIRE_MOVABLE, [2] = QUIRE_RECLAIMABLE, [KATR_HIGHATOMIC] = QUIRE_ATOMIC
	};

	return flags[class->migratetype];
}

/* Ends the batch gathered on a CPU, so that no later step finds its pages still in use. */
static void end_batch(struct planner *planner, uint32_t cpu)
{
	size_t last = planner->batch_last[cpu];

	if (last != STEP_NONE)
		planner->plan->steps[last].ends_batch = true;
	planner->batch_last[cpu] = STEP_NONE;
}

static void plan_alloc(struct planner *planner, const struct katr_record *record)
{
	const struct katr_class *class = &planner->reader->classes[record->class_index];
	struct plan_totals *totals = &planner->plan->totals;
	struct plan_block *block;
	struct plan_step *step = planner_add_step(planner, record);

	if (step == NULL || !planner_has_blocks(planner))
		return;
	step->op = PLAN_ALLOC;
	step->order = record->order;
	step->flags = flags_of(class);
	block = &planner->plan->blocks[record->id];
	block->order = record->order;
	block->type = type_of(class);
	totals->allocs[block->order][block->type]++;
	totals->allocs_nr++;
	totals->live_blocks++;
	totals->live_pages += (uint64_t)1 << block->order;
	if (totals->live_pages > totals->live_pages_peak)
		totals->live_pages_peak = totals->live_pages;
	if (totals->live_blocks > totals->live_blocks_peak)
		totals->live_blocks_peak = totals->live_blocks;
}

static void plan_free(struct planner *planner, const struct katr_record *record)
{
	struct plan_totals *totals = &planner->plan->totals;
	bool gathered = record->op == KATR_FREE_BATCHED && record->order == 0;
	struct plan_step *step = planner_add_step(planner, record);

	if (step == NULL)
		return;
	step->op = gathered ? PLAN_FREE_BATCHED : PLAN_FREE;
	step->order = record->order;
	if (gathered)
		planner->batch_last[record->cpu] = planner->plan->steps_nr - 1;
	totals->frees_nr++;
	totals->frees_batched_nr += record->op == KATR_FREE_BATCHED;
	totals->live_blocks--;
	totals->live_pages -= (uint64_t)1 << record->order;
}

static void plan_split(struct planner *planner, const struct katr_record *record)
{
	struct plan *plan = planner->plan;
	struct plan_step *step = planner_add_step(planner, record);
	uint32_t pieces_nr = 1u << (record->order - record->new_order);
	struct plan_block whole;

	if (step == NULL || !planner_has_blocks(planner))
		return;
	step->op = PLAN_SPLIT;
	step->order = record->new_order;
	step->pieces = record->first_id;
	whole = plan->blocks[record->id];
	for (uint32_t i = 0; i < pieces_nr; i++) {
		struct plan_block *piece = &plan->blocks[record->first_id + i];

		*piece = whole;
		piece->order = record->new_order;
		piece->root_page = (uint16_t)(whole.root_page + (i << record->new_order));
	}
	plan->totals.splits_nr++;
	plan->totals.live_blocks += pieces_nr - 1;
	if (plan->totals.live_blocks > plan->totals.live_blocks_peak)
		plan->totals.live_blocks_peak = plan->totals.live_blocks;
}

void planner_end_batches(struct planner *planner)
{
	for (uint32_t cpu = 0; planner->batch_last != NULL && cpu < planner->plan->cpus_nr; cpu++)
		end_batch(planner, cpu);
}

void planner_add_page_record(struct planner *planner, const struct katr_record *record)
{
	bool is_batched = record->op == KATR_FREE_BATCHED && record->order == 0;

	if (!is_batched && record->op != KATR_SAMPLE && record->op != KATR_KEVENT)
		end_batch(planner, record->cpu);
	switch (record->op) {
	case KATR_ALLOC:
		if (planner_is_kind(planner, record))
			plan_alloc(planner, record);
		break;
	case KATR_FREE:
	case KATR_FREE_BATCHED:
		if (planner_is_kind(planner, record))
			plan_free(planner, record);
		break;
	case KATR_SPLIT:
		plan_split(planner, record);
		break;
	default:
		break;
	}
}

void planner_begin_pages(struct planner *planner)
{
	uint32_t cpus_nr = planner->plan->cpus_nr;

	planner->batch_last = malloc(cpus_nr * sizeof(planner->batch_last[0]));
	if (planner->batch_last == NULL)
		planner->out_of_memory = true;
	for (uint32_t cpu = 0; planner->batch_last != NULL && cpu < cpus_nr; cpu++)
		planner->batch_last[cpu] = STEP_NONE;
}
