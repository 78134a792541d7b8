/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

/* A wait is usually for an operation that is running on another CPU now; then for one that is not.
 */
#define SPINS_BEFORE_YIELD 200

void engine_fail(struct engine *engine, const char *format, ...)
{
	struct engine_result *result = engine->result;
	va_list arguments;

	pthread_mutex_lock(&engine->error_lock);
	if (result->error[0] == '\0') {
		va_start(arguments, format);
		vsnprintf(result->error, sizeof(result->error), format, arguments);
		va_end(arguments);
	}
	pthread_mutex_unlock(&engine->error_lock);
	atomic_store_explicit(&engine->stopped, true, memory_order_relaxed);
}

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

/* With threads another CPU may not have come so far yet.  NULL: the replay was stopped. */
static __attribute__((noinline)) void *wait_for_address(struct actor *actor, uint32_t id)
{
	struct engine *engine = actor->engine;
	uint64_t begin_ns = progress_now_ns();
	void *addr = NULL;

	for (unsigned spins = 0; addr == NULL; spins++) {
		if (atomic_load_explicit(&engine->stopped, memory_order_relaxed))
			break;
		if (spins >= SPINS_BEFORE_YIELD)
			sched_yield();
		/* Pairs with the release in set_address(). */
		addr = atomic_load_explicit(&engine->addresses[id], memory_order_acquire);
	}
	actor->waited_ns += progress_now_ns() - begin_ns;
	return addr;
}

static void set_address(struct engine *engine, uint32_t id, void *addr)
{
	/* Pairs with the acquire in take_address(): the content was written before. */
	atomic_store_explicit(&engine->addresses[id], addr, memory_order_release);
}

static void *take_address(struct actor *actor, uint32_t id)
{
	struct engine *engine = actor->engine;
	void *addr = atomic_load_explicit(&engine->addresses[id], memory_order_acquire);

	if (addr == NULL)
		addr = wait_for_address(actor, id);
	atomic_store_explicit(&engine->addresses[id], NULL, memory_order_relaxed);
	return addr;
}

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
	if (engine->checks)
		pattern_fill(pattern_of_block(engine, step->id), addr,
			     bytes_of_order(engine, step->order));
	set_address(engine, step->id, addr);
}

static void step_free(struct actor *actor, const struct plan_step *step)
{
	struct engine *engine = actor->engine;
	void *addr = take_address(actor, step->id);

	if (addr == NULL)
		return;
	if (engine->checks)
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
	char *addr = take_address(actor, step->id);

	if (addr == NULL)
		return;
	engine->target->split(engine->heap, addr, order, step->order);
	for (uint32_t i = 0; i < 1u << (order - step->order); i++)
		set_address(engine, step->pieces + i, addr + i * piece_bytes);
}

void engine_step(struct actor *actor, const struct plan_step *step)
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
	default:
		break;
	}
}

/* ---- marks ----------------------------------------------------------------------------------- */

static void add_live_block(struct engine *engine, struct occupancy *occupancy, uint32_t id)
{
	const struct plan_block *block = &engine->plan->blocks[id];
	void *addr = atomic_load_explicit(&engine->addresses[id], memory_order_relaxed);
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

void engine_measure_mark(struct engine *engine, uint32_t mark_index)
{
	const struct plan_mark *mark = &engine->plan->marks[mark_index];
	struct engine_mark *measured = &engine->result->marks[mark_index];
	struct occupancy occupancy;

	if (!engine->checks)
		return;
	engine->target->read_stat(engine->heap, &measured->stat);
	/* A pageblock is 2 MiB, whatever the page. */
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
		void *addr = atomic_load_explicit(&engine->addresses[id], memory_order_relaxed);

		if (addr == NULL)
			continue;
		check_content(actor, id, addr, order);
		engine->target->free(engine->heap, actor->cpu, addr, order);
	}
}

void engine_finish(struct engine *engine, struct actor *actor)
{
	struct quire_page_stat stat;
	int broken_rule;

	engine->target->read_stat(engine->heap, &engine->result->stat);
	if (!engine->checks || atomic_load(&engine->stopped))
		return;
	free_live_blocks(engine, actor);
	if (atomic_load(&engine->stopped))
		return;
	broken_rule = engine->target->verify(engine->heap);
	if (broken_rule != 0)
		engine_fail(engine, "quire_verify() found rule %d broken", broken_rule);
	engine->target->read_stat(engine->heap, &stat);
	if (stat.allocated_pages != 0)
		engine_fail(engine, "%" PRIu64 " pages are lost: all blocks are freed",
			    stat.allocated_pages);
}

/* ---- a pass ---------------------------------------------------------------------------------- */

static int open_heap(struct engine *engine)
{
	struct target_request request = {
		.cpus_nr = engine->plan->cpus_nr,
		.threads = engine->threads,
		.conf = engine->conf,
	};
	struct quire_page_stat stat;

	if (engine->target->open(&request, &engine->heap, engine->result->error,
				 sizeof(engine->result->error)) != 0)
		return -1;
	engine->target->read_stat(engine->heap, &stat);
	engine->page_shift = stat.page_shift != 0 ? stat.page_shift : engine->plan->page_shift;
	return 0;
}

/* Written one by one, so that no page of the array is touched first inside a timing pass. */
static int make_addresses(struct engine *engine)
{
	size_t nr = (size_t)engine->plan->blocks_nr + 1;

	engine->addresses = malloc(nr * sizeof(engine->addresses[0]));
	engine->result->marks = calloc(engine->plan->marks_nr + 1, sizeof(struct engine_mark));
	if (engine->addresses == NULL || engine->result->marks == NULL) {
		engine_fail(engine, "%s", strerror(ENOMEM));
		return -1;
	}
	for (size_t i = 0; i < nr; i++)
		atomic_store_explicit(&engine->addresses[i], NULL, memory_order_relaxed);
	return 0;
}

int engine_run(struct engine *engine, struct engine_result *result)
{
	*result = (struct engine_result){ .marks = NULL };
	engine->result = result;
	atomic_store(&engine->stopped, false);
	pthread_mutex_init(&engine->error_lock, NULL);
	if (make_addresses(engine) == 0 && open_heap(engine) == 0) {
		if (engine->threads)
			engine_run_threads(engine);
		else
			engine_run_one_thread(engine);
		engine->target->close(engine->heap);
	}
	free(engine->addresses);
	pthread_mutex_destroy(&engine->error_lock);
	return result->error[0] == '\0' ? 0 : -1;
}

void engine_result_fini(struct engine_result *result)
{
	free(result->marks);
	result->marks = NULL;
}
