/* SPDX-License-Identifier: MIT */
/* engine_pages.c - the steps of page allocations */
#include "replay/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "replay/pattern.h"

/* ---- content --------------------------------------------------------------------------------- */

static struct pattern pattern_of_block(const struct engine *engine, uint32_t id)
{
	const struct plan_block *block = &engine->plan->blocks[id];

	return pattern_of(block->root, (uint64_t)block->root_page << engine->page_shift);
}

static size_t bytes_of_order(const struct engine *engine, unsigned order)
{
	return (size_t)1 << (order + engine->page_shift);
}

static void check_content(struct actor *actor, uint32_t id, const void *addr, unsigned order)
{
	struct engine *engine = actor->engine;
	size_t bytes = bytes_of_order(engine, order);
	struct pattern pattern = pattern_of_block(engine, id);
	size_t offset = pattern_find_mismatch(pattern, addr, bytes);

	actor->blocks_checked++;
	actor->bytes_checked += bytes;
	if (offset == bytes)
		return;
	engine_fail(engine,
		    "block %" PRIu32 " (order %u) was changed: byte %zu is 0x%02x, expected 0x%02x",
		    id, order, offset, ((const uint8_t *)addr)[offset],
		    pattern_byte(pattern, offset));
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void give_back_pending(struct actor *actor)
{
	struct engine *engine = actor->engine;
	unsigned pending_nr = actor->pending_nr;

	if (pending_nr == 0)
		return;
	actor->pending_nr = 0;
	engine->target->free_batch(engine->heap, actor->cpu, pending_nr, actor->pending);
}

static void step_alloc(struct actor *actor, const struct plan_step *step)
{
	struct engine *engine = actor->engine;
	void *addr = engine->target->alloc(engine->heap, actor->cpu, step->order, step->flags);

	if (addr == NULL) {
		engine_fail(engine, "block %" PRIu32 " was refused: order %u on CPU %u: %s",
			    step->id, step->order, actor->cpu, strerror(ENOMEM));
		return;
	}
	if (engine_fills(engine))
		pattern_fill(pattern_of_block(engine, step->id), addr,
			     bytes_of_order(engine, step->order));
	engine_set_address(engine, step->id, addr);
}

static void step_free(struct actor *actor, const struct plan_step *step)
{
	struct engine *engine = actor->engine;
	void *addr = engine_take_address(actor, step->id);

	if (addr == NULL)
		return;
	if (engine_fills(engine))
		check_content(actor, step->id, addr, step->order);
	if (step->op == PLAN_FREE) {
		engine->target->free(engine->heap, actor->cpu, addr, step->order);
		return;
	}
	actor->pending[actor->pending_nr++] = addr;
	if (step->ends_batch || actor->pending_nr == ENGINE_BATCH_MAX)
		give_back_pending(actor);
}

static void step_split(struct actor *actor, const struct plan_step *step)
{
	struct engine *engine = actor->engine;
	unsigned order = engine->plan->blocks[step->id].order;
	size_t piece_bytes = bytes_of_order(engine, step->order);
	char *addr = engine_take_address(actor, step->id);

	if (addr == NULL)
		return;
	engine->target->split(engine->heap, addr, order, step->order);
	for (uint32_t i = 0; i < 1u << (order - step->order); i++)
		engine_set_address(engine, step->pieces + i, addr + i * piece_bytes);
}

static void step_pages(struct actor *actor, const struct plan_step *step)
{
	switch (step->op) {
	case PLAN_ALLOC:
		step_alloc(actor, step);
		break;
	case PLAN_FREE:
	case PLAN_FREE_BATCHED:
		step_free(actor, step);
		break;
	case PLAN_SPLIT:
		step_split(actor, step);
		break;
	case PLAN_SAMPLE:
		if (actor->engine->observe != NULL && !actor->engine->threads)
			actor->engine->observe(actor->engine, step->id);
		break;
	default:
		break;
	}
}

/* ---- marks ----------------------------------------------------------------------------------- */

static void add_live_block(struct engine *engine, struct occupancy *occupancy, uint32_t id)
{
	const struct plan_block *block = &engine->plan->blocks[id];
	void *addr = engine_peek_address(engine, id);
	struct occupancy_run run = { .order = block->order, .type = block->type };
	int result;

	if (addr == NULL)
		return;
	run.page = engine->target->page_number(engine->heap, addr);
	result = occupancy_add(occupancy, run);
	if (result == -EEXIST)
		engine_fail(engine, "block %" PRIu32 " (order %u) overlaps another live block", id,
			    block->order);
	else if (result == -EINVAL)
		engine_fail(engine, "block %" PRIu32 " (order %u) is not aligned to its size", id,
			    block->order);
	else if (result != 0)
		engine_fail(engine, "block %" PRIu32 ": %s", id, strerror(-result));
}

static void measure_pages(struct engine *engine, uint32_t mark_index)
{
	const struct plan_mark *mark = &engine->plan->marks[mark_index];
	struct engine_mark *measured = &engine->result->marks[mark_index];
	struct occupancy occupancy;

	if (!engine->checks)
		return;
	engine->target->read_stat(engine->heap, &measured->stat);
	/* A pageblock is 2 MiB, for any page size. */
	if (occupancy_init(&occupancy, 21 - engine->page_shift) != 0) {
		engine_fail(engine, "%s", strerror(ENOMEM));
		return;
	}
	for (uint32_t id = 0; id < mark->ids_nr; id++)
		add_live_block(engine, &occupancy, id);
	measured->occupancy = occupancy.summary;
	occupancy_fini(&occupancy);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void free_live_blocks(struct engine *engine, struct actor *actor)
{
	for (uint32_t id = 0; id < engine->plan->blocks_nr; id++) {
		unsigned order = engine->plan->blocks[id].order;
		void *addr = engine_peek_address(engine, id);

		if (addr == NULL)
			continue;
		if (engine_fills(engine))
			check_content(actor, id, addr, order);
		engine->target->free(engine->heap, actor->cpu, addr, order);
	}
}

static void finish_pages(struct engine *engine, struct actor *actor)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	int broken_rule;

	engine->target->read_stat(engine->heap, &engine->result->stat);
	if (!engine->checks || atomic_load(&engine->stopped))
		return;
	free_live_blocks(engine, actor);
	if (atomic_load(&engine->stopped))
		return;
	broken_rule = engine->target->verify(engine->heap);
	engine->target->read_stat(engine->heap, &stat);
	engine_judge_end(engine, broken_rule, stat.allocated_pages, "pages");
}

/* ---- the heap -------------------------------------------------------------------------------- */

static int open_pages(struct engine *engine)
{
	struct target_request request = {
		.cpus_nr = engine->plan->cpus_nr,
		.threads = engine->threads,
		.conf = engine->conf,
	};
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	if (engine->target->open(&request, &engine->heap, engine->result->error,
				 sizeof(engine->result->error)) != 0)
		return -1;
	engine->target->read_stat(engine->heap, &stat);
	engine->page_shift = stat.page_shift != 0 ? stat.page_shift : engine->plan->page_shift;
	return 0;
}

static void close_pages(struct engine *engine)
{
	engine->target->close(engine->heap);
}

const struct engine_kind engine_pages = {
	.open = open_pages,
	.close = close_pages,
	.step = step_pages,
	.measure = measure_pages,
	.finish = finish_pages,
};
