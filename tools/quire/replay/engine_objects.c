/* SPDX-License-Identifier: MIT */
/*
 * engine_objects.c - the steps of areas, of per-CPU objects and of slab objects
 *
 * One thread acts for every recorded CPU, so it is pinned to one CPU: otherwise the contents of
 * the allocator's per-CPU caches would depend on where the system runs it.  It uses the recorded
 * time: between two steps the allocator is polled whenever work is due, as a worker would wake
 * up.
 */
#include "replay/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <quire/quire.h>

#include "replay/pattern.h"
#include "replay/replay_clock.h"

#define NS_PER_MS UINT64_C(1000000)

/* When the recording begins: not at zero, which an allocator may take for "never". */
#define BEGIN_NS (1000000 * NS_PER_MS)

/* ---- content --------------------------------------------------------------------------------- */

/* Each copy has a content of its own: that of a block which were as long as all copies. */
static struct pattern pattern_of_copy(const struct engine *engine, uint32_t id, unsigned copy)
{
	return pattern_of(id, copy * engine->copy_bytes);
}

static char *copy_of(const struct engine *engine, void *addr, unsigned copy)
{
	return (char *)addr + copy * engine->copy_bytes;
}

static void check_zeroed(struct engine *engine, uint32_t id, const char *copy, size_t bytes)
{
	size_t offset = 0;

	while (offset < bytes && copy[offset] == 0)
		offset++;
	if (offset < bytes)
		engine_fail(engine,
			    "block %" PRIu32 " (%zu bytes) does not begin as zeroes: byte %zu is "
			    "0x%02x",
			    id, bytes, offset, (uint8_t)copy[offset]);
}

static void fill(struct engine *engine, uint32_t id, void *addr, const struct plan_request *request)
{
	if (((uintptr_t)addr & (request->align_bytes - 1)) != 0)
		engine_fail(engine, "block %" PRIu32 " (%zu bytes) is not aligned to %zu", id,
			    request->bytes, request->align_bytes);
	for (unsigned i = 0; i < engine->copies_nr; i++) {
		char *copy = copy_of(engine, addr, i);

		if (engine->object_target->is_zeroed)
			check_zeroed(engine, id, copy, request->bytes);
		pattern_fill(pattern_of_copy(engine, id, i), copy, request->bytes);
	}
}

static void check_copy(struct engine *engine, uint32_t id, const char *copy, unsigned index,
		       size_t bytes)
{
	struct pattern pattern = pattern_of_copy(engine, id, index);
	size_t offset = pattern_find_mismatch(pattern, copy, bytes);

	if (offset < bytes)
		engine_fail(engine,
			    "block %" PRIu32 " (%zu bytes%s) was changed: byte %zu is 0x%02x, "
			    "expected 0x%02x",
			    id, bytes, index > 0 ? ", its last copy" : "", offset,
			    (uint8_t)copy[offset], pattern_byte(pattern, offset));
}

static void check(struct actor *actor, uint32_t id, void *addr, const struct plan_request *request)
{
	struct engine *engine = actor->engine;

	actor->blocks_checked++;
	actor->bytes_checked += request->bytes * engine->copies_nr;
	for (unsigned i = 0; i < engine->copies_nr; i++)
		check_copy(engine, id, copy_of(engine, addr, i), i, request->bytes);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/*
 * A request that may not wait can be refused although there is memory, if another CPU holds a
 * lock.  The recorded kernel did not refuse here, and the trace goes on to use the block, so the
 * request is repeated by a call that may wait.  The allocator counts the refusal.
 */
static void *alloc_block(struct engine *engine, const struct plan_request *request)
{
	void *addr = engine->object_target->alloc(engine->heap, request);
	struct plan_request patient = *request;

	if (addr != NULL || (request->flags & QUIRE_ATOMIC) == 0)
		return addr;
	patient.flags &= ~QUIRE_ATOMIC;
	return engine->object_target->alloc(engine->heap, &patient);
}

static void step_alloc(struct actor *actor, const struct plan_step *step)
{
	struct engine *engine = actor->engine;
	const struct plan_request *request = &engine->plan->requests[step->request];
	void *addr = alloc_block(engine, request);

	if (addr == NULL) {
		engine_fail(engine, "block %" PRIu32 " was refused: %zu bytes on CPU %u: %s",
			    step->id, request->bytes, actor->cpu, strerror(errno));
		return;
	}
	if (engine_fills(engine))
		fill(engine, step->id, addr, request);
	engine_set_address(engine, step->id, addr);
}

static void step_free(struct actor *actor, const struct plan_step *step)
{
	struct engine *engine = actor->engine;
	void *addr = engine_take_address(actor, step->id);

	if (addr == NULL)
		return;
	if (engine_fills(engine))
		check(actor, step->id, addr, &engine->plan->requests[step->request]);
	engine->object_target->free(engine->heap, addr, &engine->plan->requests[step->request]);
}

/* The recorded time comes to @to_ns, and the allocator does on the way what it wanted to do. */
static void pass_time(struct engine *engine, uint64_t to_ns)
{
	uint64_t now_ns = engine->now_ns;
	int wait_ms;

	while ((wait_ms = engine->object_target->poll(engine->heap)) >= 0) {
		now_ns += (uint64_t)(wait_ms != 0 ? wait_ms : 1) * NS_PER_MS;
		if (now_ns >= to_ns)
			break;
		replay_clock_set(now_ns);
	}
	replay_clock_set(to_ns);
	engine->object_target->poll(engine->heap);
	engine->now_ns = to_ns;
}

static void take_sample(struct engine *engine, uint32_t sample_index)
{
	struct object_stat stat;

	if (engine->threads)
		return;
	if (engine->observe != NULL)
		engine->observe(engine, sample_index);
	if (!engine->checks)
		return;
	engine->object_target->read_stat(engine->heap, &stat);
	engine->result->populated_kB[sample_index] = stat.percpu.populated_kB;
}

static void step_objects(struct actor *actor, const struct plan_step *step)
{
	switch (step->op) {
	case PLAN_ALLOC:
		step_alloc(actor, step);
		break;
	case PLAN_FREE:
		step_free(actor, step);
		break;
	case PLAN_TIME:
		if (!actor->engine->threads)
			pass_time(actor->engine, BEGIN_NS + step->id * NS_PER_MS);
		break;
	case PLAN_SAMPLE:
		take_sample(actor->engine, step->id);
		break;
	default:
		break;
	}
}

static void measure_objects(struct engine *engine, uint32_t mark_index)
{
	if (engine->checks)
		engine->object_target->read_stat(engine->heap,
						 &engine->result->marks[mark_index].objects);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void free_live_objects(struct engine *engine, struct actor *actor)
{
	const struct plan *plan = engine->plan;

	for (uint32_t id = 0; id < plan->blocks_nr; id++) {
		const struct plan_request *request = &plan->requests[plan->blocks[id].request];
		void *addr = engine_peek_address(engine, id);

		if (addr == NULL)
			continue;
		if (engine_fills(engine))
			check(actor, id, addr, request);
		engine->object_target->free(engine->heap, addr, request);
	}
}

static void finish_objects(struct engine *engine, struct actor *actor)
{
	struct object_stat stat;
	int broken_rule;

	engine->object_target->read_stat(engine->heap, &engine->result->objects);
	if (!engine->checks || atomic_load(&engine->stopped))
		return;
	free_live_objects(engine, actor);
	if (atomic_load(&engine->stopped))
		return;
	broken_rule = engine->object_target->verify(engine->heap);
	engine->object_target->read_stat(engine->heap, &stat);
	engine_judge_end(engine, broken_rule, stat.live_nr, "blocks");
}

/* ---- the heap -------------------------------------------------------------------------------- */

static void stay_on_one_cpu(struct engine *engine)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	if (cpu < 0 || sched_getaffinity(0, sizeof(engine->cpus), &engine->cpus) != 0)
		return;
	CPU_SET((size_t)cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

static void release_thread(struct engine *engine)
{
	replay_clock_release();
	if (CPU_COUNT(&engine->cpus) > 0)
		(void)sched_setaffinity(0, sizeof(engine->cpus), &engine->cpus);
}

/* The first copy and the last, if there is more than one. */
static void place_copies(struct engine *engine)
{
	const struct object_target *target = engine->object_target;
	unsigned copies_nr = target->copies != NULL ? target->copies(engine->heap) : 1;

	engine->copies_nr = copies_nr > 1 ? 2 : 1;
	engine->copy_bytes = (copies_nr - 1) * target->stride_bytes;
}

static int open_objects(struct engine *engine)
{
	struct target_request request = {
		.cpus_nr = engine->plan->cpus_nr,
		.threads = engine->threads,
		.conf = engine->conf,
	};

	CPU_ZERO(&engine->cpus);
	if (!engine->threads) {
		stay_on_one_cpu(engine);
		engine->now_ns = BEGIN_NS;
		replay_clock_set(engine->now_ns);
	}
	engine->page_shift = engine->plan->page_shift;
	if (engine->object_target->open(&request, &engine->heap, engine->result->error,
					sizeof(engine->result->error)) != 0) {
		release_thread(engine);
		return -1;
	}
	place_copies(engine);
	return 0;
}

static void close_objects(struct engine *engine)
{
	engine->object_target->close(engine->heap);
	release_thread(engine);
}

const struct object_target *object_target_of(enum katr_kind kind)
{
	return kind == KATR_VMAP   ? &object_target_vmap
	       : kind == KATR_SLAB ? &object_target_slab
				   : &object_target_percpu;
}

const struct engine_kind engine_objects = {
	.open = open_objects,
	.close = close_objects,
	.step = step_objects,
	.measure = measure_objects,
	.finish = finish_objects,
};
