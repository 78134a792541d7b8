/* SPDX-License-Identifier: MIT */
/*
 * quire_side.c - what Quire does with a recording: it is replayed twice for each module
 *
 * The first time all live blocks are looked at some 256 times, at equal distances or when the kernel was: what they
 * need, and where they are.  The second time every call is measured.  No content is written or checked: that is what
 * `quire replay` is for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/quire.h>

#include "common/buddyinfo.h"
#include "replay/engine.h"
#include "report/latency.h"
#include "report/source.h"

/* A block from the first look at which it was seen at its place to the last one. */
struct spell {
	uint64_t place;
	uint16_t begin, end;
	bool is_open;
};

struct side {
	struct source *source;
	struct module *module;
	const struct plan *plan;
	struct spell *spells; /* by id */
	unsigned page_shift;
	bool out_of_memory;
};

/* ---- where the blocks are ---- */

static uint64_t place_of(struct engine *engine, void *addr)
{
	if (engine->plan->kind == KATR_PAGE)
		return engine->target->page_number(engine->heap, addr);
	if (engine->plan->kind == KATR_VMAP)
		return (uintptr_t)addr >> engine->plan->page_shift;
	return (uintptr_t)addr;
}

static uint64_t length_of(const struct plan *plan, uint32_t id)
{
	const struct plan_block *block = &plan->blocks[id];
	uint64_t bytes;

	if (plan->kind == KATR_PAGE)
		return (uint64_t)1 << block->order;
	bytes = plan->requests[block->request].bytes;
	return plan->kind == KATR_VMAP ? ((bytes - 1) >> plan->page_shift) + 1 : bytes;
}

static void close_spell(struct side *side, uint32_t id)
{
	struct spell *spell = &side->spells[id];

	if (spell->is_open)
		map_add(&side->module->quire_map,
			(struct map_stretch){ .place = spell->place,
					      .length = length_of(side->plan, id),
					      .begin = spell->begin,
					      .end = spell->end });
	spell->is_open = false;
}

static void see_block(struct side *side, uint32_t id, uint64_t place, uint16_t column)
{
	struct spell *spell = &side->spells[id];

	if (spell->is_open && spell->place != place)
		close_spell(side, id);
	if (!spell->is_open)
		*spell = (struct spell){ .place = place, .begin = column, .is_open = true };
	spell->end = column;
}

/* Looks at all blocks; pages are also counted by the pageblocks that hold them. */
static void see_blocks(struct engine *engine, struct side *side, uint16_t column,
		       struct occupancy *occupancy)
{
	const struct plan *plan = side->plan;

	for (uint32_t id = 0; id < plan->blocks_nr; id++) {
		void *addr = engine_peek_address(engine, id);
		uint64_t place;

		if (addr == NULL) {
			close_spell(side, id);
			continue;
		}
		place = place_of(engine, addr);
		see_block(side, id, place, column);
		if (occupancy != NULL &&
		    occupancy_add(occupancy, (struct occupancy_run){
						     .page = place,
						     .order = plan->blocks[id].order,
						     .type = plan->blocks[id].type }) == -ENOMEM)
			side->out_of_memory = true;
	}
}

/* ---- free blocks ---- */

static void see_free(struct engine *engine, struct side *side, double seconds)
{
	char text[4096];
	uint64_t blocks[BUDDYINFO_ORDERS_NR];

	(void)quire_text_buddyinfo(engine->heap, text, sizeof(text));
	buddyinfo_sum(text, blocks);
	for (unsigned order = 0; order < ORDERS_NR; order++) {
		struct curve **curve = &side->source->quire_orders[order];

		if (*curve == NULL)
			*curve = curve_new(side->source->seconds);
		if (*curve == NULL)
			side->out_of_memory = true;
		else
			curve_put(*curve, seconds, (double)blocks[order]);
	}
}

/* ---- a look ---- */

static double held_pages(struct engine *engine, struct side *side, uint16_t column)
{
	struct occupancy occupancy;
	double held;

	if (occupancy_init(&occupancy, PAGEBLOCK_SHIFT - engine->page_shift) != 0) {
		side->out_of_memory = true;
		return 0;
	}
	see_blocks(engine, side, column, &occupancy);
	held = (double)(occupancy.summary.blocks_pinned << PAGEBLOCK_SHIFT);
	occupancy_fini(&occupancy);
	return held;
}

static double held_objects(struct engine *engine, struct side *side, uint16_t column)
{
	struct object_stat stat;

	/* A recording says nothing of where slab objects are, so there is no map to compare with. */
	if (engine->plan->kind != KATR_SLAB)
		see_blocks(engine, side, column, NULL);
	engine->object_target->read_stat(engine->heap, &stat);
	if (engine->plan->kind == KATR_SLAB)
		return (double)(stat.slab.slab_bytes + stat.large_bytes);
	if (engine->plan->kind == KATR_PERCPU)
		return (double)stat.percpu.populated_kB * 1024;
	return (double)(stat.vmap.busy_bytes + stat.vmap.cached_bytes + stat.vmap.lazy_bytes);
}

static void look(struct engine *engine, uint32_t sample_index)
{
	struct side *side = engine->observe_arg;
	double seconds = engine->plan->samples[sample_index].seconds;
	uint16_t column = (uint16_t)time_part(seconds, side->source->seconds, MAP_COLUMNS);
	double held;

	if (engine->plan->kind == KATR_PAGE) {
		see_free(engine, side, seconds);
		held = held_pages(engine, side, column);
	} else {
		held = held_objects(engine, side, column);
	}
	curve_put(side->module->curves[CURVE_QUIRE], seconds, held);
}

/* ---- a module ---- */

static int run_pass(struct side *side, struct engine *engine, const char *name)
{
	struct progress progress = { .name = NULL };
	struct engine_result result;
	int failed;

	engine->progress = &progress;
	progress_begin(&progress, name, side->plan->steps_nr);
	failed = engine_run(engine, &result);
	progress_end(&progress);
	if (failed)
		snprintf(side->source->trouble, sizeof(side->source->trouble),
			 "Replaying %s stopped: %s", side->module->name, result.error);
	engine_result_fini(&result);
	return failed;
}

static void end_side(struct side *side)
{
	struct map *map = &side->module->quire_map;
	uint64_t block = (uint64_t)1 << (PAGEBLOCK_SHIFT - side->plan->page_shift);

	for (uint32_t id = 0; id < side->plan->blocks_nr; id++)
		close_spell(side, id);
	curve_end(side->module->curves[CURVE_QUIRE]);
	curves_end(side->source->quire_orders, ORDERS_NR);
	if (map->nr == 0)
		return;
	if (side->plan->kind == KATR_PAGE)
		map_end(map, block, block);
	else if (side->plan->kind == KATR_VMAP)
		map_end(map, AREA_GRANULE_PAGES, AREA_GRANULE_PAGES);
	else
		map_end(map, QUIRE_PERCPU_STRIDE, QUIRE_PERCPU_STRIDE);
}

static void replay(struct side *side)
{
	struct engine engine = {
		.plan = side->plan,
		.target = &target_by_number,
		.object_target = object_target_of(side->plan->kind),
		.conf = side->source->conf,
		.observe = look,
		.observe_arg = side,
	};
	struct object_target timed_objects = latency_object_target(engine.object_target);
	struct target timed = latency_target();

	if (run_pass(side, &engine, side->plan->path) != 0)
		return;
	end_side(side);
	engine.observe = NULL;
	engine.target = &timed;
	engine.object_target = &timed_objects;
	latency_begin(&side->module->alloc_ns, &side->module->free_ns);
	(void)run_pass(side, &engine, side->plan->path);
}

static const char *words_of(enum katr_kind kind)
{
	return kind == KATR_PAGE     ? "Quire: 2 MiB blocks that hold some of it"
	       : kind == KATR_PERCPU ? "Quire: populated"
	       : kind == KATR_SLAB   ? "Quire: slabs, and blocks too large for them"
				     : "Quire: areas in use, kept and lazy";
}

static int replay_module(struct source *source, struct module *module, char *error,
			 size_t error_bytes)
{
	enum katr_kind kind = (enum katr_kind)module->kind;
	struct side side = { .source = source, .module = module };
	struct plan plan;
	int result = plan_read(&plan, source->path, kind, error, error_bytes);

	if (result != 0)
		return result;
	side.plan = &plan;
	side.spells = calloc((size_t)plan.blocks_nr + 1, sizeof(side.spells[0]));
	if (side.spells == NULL || source_curve(source, module, CURVE_QUIRE) == NULL)
		side.out_of_memory = true;
	else
		replay(&side);
	snprintf(module->quire_is, sizeof(module->quire_is), "%s", words_of(kind));
	if (side.out_of_memory) {
		snprintf(error, error_bytes, "%s: %s", source->path, strerror(ENOMEM));
		result = -ENOMEM;
	}
	free(side.spells);
	plan_fini(&plan);
	return result;
}

int source_replay(struct source *source, char *error, size_t error_bytes)
{
	bool has_replayed = false;
	int result = 0;

	for (unsigned i = 0; i < source->modules_nr && result == 0; i++) {
		if (source->modules[i].allocs_nr == 0)
			continue;
		result = replay_module(source, &source->modules[i], error, error_bytes);
		has_replayed = true;
	}
	if (result == 0 && has_replayed)
		source_made(source, "latency",
			    "one thread for all recorded CPUs; reading the clock, %llu ns, is "
			    "taken off",
			    (unsigned long long)latency_clock_ns());
	return result;
}
