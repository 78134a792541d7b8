/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/quire.h>

#include "katr.h"

#define STEP_NONE SIZE_MAX

/* State of one reading. */
struct planner {
	struct plan *plan;
	struct katr_reader reader;
	size_t *batch_last; /* by CPU: step of the batched free that may end a batch; STEP_NONE */
	uint32_t marks_room;
	bool out_of_memory;
};

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

static struct plan_step *add_step(struct planner *planner, const struct katr_record *record)
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

/* Room for the blocks of all ids given so far. */
static bool has_blocks(struct planner *planner)
{
	struct plan *plan = planner->plan;
	uint32_t wanted = planner->reader.ids_nr;
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

/* Ends what was gathered on a CPU, so that nothing after it can see the pages still in use. */
static void end_batch(struct planner *planner, uint32_t cpu)
{
	size_t last = planner->batch_last[cpu];

	if (last != STEP_NONE)
		planner->plan->steps[last].ends_batch = true;
	planner->batch_last[cpu] = STEP_NONE;
}

static void plan_alloc(struct planner *planner, const struct katr_record *record)
{
	const struct katr_class *class = &planner->reader.classes[record->class_index];
	struct plan_totals *totals = &planner->plan->totals;
	struct plan_block *block;
	struct plan_step *step = add_step(planner, record);

	if (step == NULL || !has_blocks(planner))
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
	struct plan_step *step = add_step(planner, record);

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
	struct plan_step *step = add_step(planner, record);
	uint32_t pieces_nr = 1u << (record->order - record->new_order);
	struct plan_block whole;

	if (step == NULL || !has_blocks(planner))
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
		.seconds = (double)record->tick * (double)planner->reader.params.tick_ns / 1e9,
		.ids_nr = planner->reader.ids_nr,
		.live_blocks = plan->totals.live_blocks,
		.kernel.occupancy = planner->reader.pages.summary,
	};
	snprintf(marks[plan->marks_nr].name, sizeof(marks[0].name), "%s", record->name);
	for (uint32_t cpu = 0; cpu < plan->cpus_nr; cpu++)
		end_batch(planner, cpu);
	step = add_step(planner, record);
	if (step == NULL || !has_blocks(planner))
		return;
	step->op = PLAN_MARK;
	step->id = plan->marks_nr++;
}

/* Sum of a column over a sample's rows; 0 if there is no such column. */
static uint64_t sum_column(const struct katr_record *sample, const char *name)
{
	int column = katr_column(sample->table, name);
	uint64_t sum = 0;

	for (uint64_t row = 0; column >= 0 && row < sample->rows_nr; row++)
		sum += (uint64_t)sample->values[row * sample->table->columns_nr + (unsigned)column];
	return sum;
}

/* A full set of samples follows each mark; the periodic ones later do not concern it. */
static void plan_sample(struct planner *planner, const struct katr_record *record)
{
	struct plan *plan = planner->plan;
	const char *table = record->table->name;
	struct plan_kernel *kernel;

	if (plan->marks_nr == 0)
		return;
	kernel = &plan->marks[plan->marks_nr - 1].kernel;
	if (strcmp(table, "zone") == 0 && kernel->free_pages == 0)
		kernel->free_pages = sum_column(record, "free");
	if (strcmp(table, "pcp") == 0 && kernel->cached_pages == 0)
		kernel->cached_pages = sum_column(record, "count");
	if (strcmp(table, "event_counters") == 0 && kernel->blocks_taken == 0) {
		kernel->blocks_taken = sum_column(record, "zone_locked_pcp_order") +
				       sum_column(record, "zone_locked_other");
		kernel->blocks_given = sum_column(record, "pcpu_drain");
	}
}

static bool is_page(const struct planner *planner, const struct katr_record *record)
{
	return planner->reader.classes[record->class_index].kind == KATR_PAGE;
}

static void plan_record(struct planner *planner, const struct katr_record *record)
{
	bool is_batched = record->op == KATR_FREE_BATCHED && record->order == 0;

	if (!is_batched && record->op != KATR_SAMPLE && record->op != KATR_KEVENT)
		end_batch(planner, record->cpu);
	switch (record->op) {
	case KATR_ALLOC:
		if (is_page(planner, record))
			plan_alloc(planner, record);
		break;
	case KATR_FREE:
	case KATR_FREE_BATCHED:
		if (is_page(planner, record))
			plan_free(planner, record);
		break;
	case KATR_SPLIT:
		plan_split(planner, record);
		break;
	case KATR_FAIL:
		planner->plan->totals.fails_nr += is_page(planner, record);
		break;
	case KATR_MARK:
		plan_mark(planner, record);
		break;
	case KATR_SAMPLE:
		plan_sample(planner, record);
		break;
	default:
		break;
	}
}

static void plan_begin(struct planner *planner)
{
	struct plan *plan = planner->plan;
	const struct katr_reader *reader = &planner->reader;

	katr_info(reader, "name", plan->name, sizeof(plan->name));
	katr_info(reader, "workload", plan->workload, sizeof(plan->workload));
	katr_info(reader, "kernel", plan->kernel, sizeof(plan->kernel));
	plan->page_shift = (unsigned)reader->params.page_shift;
	plan->cpus_nr = (unsigned)reader->params.cpus_nr;
	plan->seconds = (double)reader->params.ticks * (double)reader->params.tick_ns / 1e9;
	planner->batch_last = malloc(plan->cpus_nr * sizeof(planner->batch_last[0]));
	if (planner->batch_last == NULL)
		planner->out_of_memory = true;
	for (uint32_t cpu = 0; planner->batch_last != NULL && cpu < plan->cpus_nr; cpu++)
		planner->batch_last[cpu] = STEP_NONE;
}

/* Fills @error and returns -1 if the reading failed, or if there is nothing to replay. */
static int plan_end(struct planner *planner, char *error, size_t error_bytes)
{
	struct plan *plan = planner->plan;

	plan->totals.records_nr = planner->reader.totals.records_nr;
	plan->totals.ids_nr = planner->reader.ids_nr;
	if (planner->reader.error.failed) {
		katr_describe_error(&planner->reader, plan->path, error, error_bytes);
		return -1;
	}
	if (planner->out_of_memory) {
		snprintf(error, error_bytes, "%s: %s", plan->path, strerror(ENOMEM));
		return -1;
	}
	if (plan->totals.allocs_nr == 0) {
		snprintf(error, error_bytes, "%s: holds no page allocations", plan->path);
		return -1;
	}
	for (uint32_t cpu = 0; cpu < plan->cpus_nr; cpu++)
		end_batch(planner, cpu);
	return 0;
}

int plan_read(struct plan *plan, const char *path, char *error, size_t error_bytes)
{
	struct planner planner = { .plan = plan };
	struct katr_record record;
	int result;

	*plan = (struct plan){ .path = path };
	if (katr_open(&planner.reader, path) == 0) {
		plan_begin(&planner);
		while (!planner.out_of_memory && katr_next(&planner.reader, &record) == 1)
			plan_record(&planner, &record);
	}
	result = plan_end(&planner, error, error_bytes);
	katr_close(&planner.reader);
	free(planner.batch_last);
	if (result != 0)
		plan_fini(plan);
	return result;
}

void plan_fini(struct plan *plan)
{
	free(plan->steps);
	free(plan->blocks);
	free(plan->marks);
	*plan = (struct plan){ .path = plan->path };
}
