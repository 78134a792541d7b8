/* SPDX-License-Identifier: MIT */
/* planner.h - state while a trace is read, shared by the files that turn it into a plan */
#ifndef QUIRE_TOOL_PLANNER_H
#define QUIRE_TOOL_PLANNER_H

#include "replay/plan.h"

#define STEP_NONE SIZE_MAX

struct planner {
	struct plan *plan;
	struct katr_reader *reader; /* of all plans of the trace */
	size_t *batch_last; /* pages, by CPU: step of the batched free that may end a batch; STEP_NONE */
	uint32_t marks_room, samples_room;
	uint32_t ms;	  /* objects: of the last TIME step */
	unsigned sampled; /* bit by SAMPLED_*: tables that the last mark has its figures of */
	bool out_of_memory;
};

/* A step of the record's CPU and id; NULL if memory ran out. */
struct plan_step *planner_add_step(struct planner *planner, const struct katr_record *record);
/* Room for the blocks of all ids given so far. */
bool planner_has_blocks(struct planner *planner);
/* Whether the record's allocation is of the plan's kind. */
bool planner_is_kind(const struct planner *planner, const struct katr_record *record);

/* ---- plan_pages.c ---------------------------------------------------------------------------- */
void planner_begin_pages(struct planner *planner);
void planner_add_page_record(struct planner *planner, const struct katr_record *record);
void planner_end_batches(struct planner *planner);

/* ---- plan_objects.c -------------------------------------------------------------------------- */
void planner_begin_objects(struct planner *planner);
void planner_add_object_record(struct planner *planner, const struct katr_record *record);
void planner_add_time(struct planner *planner, const struct katr_record *record);

/* ---- plan_samples.c -------------------------------------------------------------------------- */
/* A full set of samples follows each mark; the periodic ones later do not concern it. */
void planner_add_sample(struct planner *planner, const struct katr_record *sample);
/* Whether it says how much per-CPU memory is populated; @populated_kB is written only then. */
bool planner_reads_percpu(const struct katr_record *sample, uint64_t *populated_kB);

#endif
