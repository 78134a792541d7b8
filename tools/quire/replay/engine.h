/* SPDX-License-Identifier: MIT */
/*
 * engine.h - one pass over a plan, against a target
 *
 * A checking pass fills every block with its own pattern, compares it byte by byte when the block
 * is freed, and records at every mark where the live blocks are.  A timing pass does none of
 * this: it consists of the allocator's calls and the loop around them, and never touches the
 * blocks.
 *
 * Words
 *   actor     does the steps of one recorded CPU: with threads, a thread; otherwise the one thread
 *             acts for each in turn
 *   pending   pages of a batch that the actor has taken from their ids and not yet given back
 */
#ifndef QUIRE_TOOL_ENGINE_H
#define QUIRE_TOOL_ENGINE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "replay/object_target.h"
#include "trace/occupancy.h"
#include "replay/plan.h"
#include "common/progress.h"
#include "replay/target.h"

/* Linux frees in folio batches of PAGEVEC_SIZE; a longer row of batched frees was several. */
#define ENGINE_BATCH_MAX 31

struct engine_mark {
	struct occupancy_summary occupancy; /* pages: of the live blocks */
	struct quire_page_stat stat;	    /* pages */
	struct object_stat objects;
};

struct engine_result {
	struct engine_mark *marks;   /* as many as the plan has */
	uint64_t *populated_kB;	     /* of per-CPU memory, at each sample of the plan; one thread */
	struct quire_page_stat stat; /* pages: after the last step */
	struct object_stat objects;
	uint64_t blocks_checked;
	uint64_t bytes_checked;
	uint64_t busy_ns; /* of all actors together, without waiting for one another */
	char error[240];  /* empty if all is well */
};

struct engine;
struct actor;

/* How the steps of a kind are done. */
struct engine_kind {
	int (*open)(struct engine *engine); /* 0, or -1 with @engine->result->error */
	void (*close)(struct engine *engine);
	void (*step)(struct actor *actor, const struct plan_step *step);
	/* What there is at a mark; no actor may be running. */
	void (*measure)(struct engine *engine, uint32_t mark_index);
	/* Frees all that the trace has left live, then looks for pages that the target lost or
	 * broke. */
	void (*finish)(struct engine *engine, struct actor *actor);
};

extern const struct engine_kind engine_pages;
extern const struct engine_kind engine_objects;

struct engine {
	/* Constant during a pass. */
	const struct plan *plan;
	const struct target *target;		   /* pages */
	const struct object_target *object_target; /* the other kinds */
	const char *conf;
	bool threads;
	bool checks;
	bool is_unfilled; /* blocks are neither filled nor compared; marks and the end are checked */
	struct progress *progress;
	/* NULL, or called at each sample of the plan; one thread. */
	void (*observe)(struct engine *engine, uint32_t sample_index);
	void *observe_arg;
	const struct engine_kind *kind; /* by the plan's; set by engine_run() */
	void *heap;
	unsigned page_shift;  /* of the instance */
	cpu_set_t cpus;	      /* objects, one thread: where it may run otherwise */
	unsigned copies_nr;   /* objects: that are filled and checked, 1 or 2 */
	size_t copy_bytes;    /* objects: from the first to the second of them */
	uint64_t measured_ns; /* one thread: spent at marks */
	uint64_t now_ns;      /* objects, one thread: the recorded time; its own */

	_Atomic(void *) *addresses; /* by id; NULL: not allocated yet, or freed */
	_Atomic bool stopped;	    /* @error is set: nothing more is done */
	pthread_mutex_t error_lock; /* result->error */
	struct engine_result *result;
};

struct actor {
	struct engine *engine;
	unsigned cpu;
	unsigned pending_nr;
	void *pending[ENGINE_BATCH_MAX];
	uint64_t waited_ns;
	uint64_t blocks_checked;
	uint64_t bytes_checked;
};

/* Runs the whole pass.  0, or -1 with @result->error.  Pair, always: engine_result_fini(). */
int engine_run(struct engine *engine, struct engine_result *result);
void engine_result_fini(struct engine_result *result);

/* ---- engine.c, for the kinds ----------------------------------------------------------------- */
__attribute__((format(printf, 2, 3))) void engine_fail(struct engine *engine, const char *format,
						       ...);
void *engine_wait_for_address(struct actor *actor, uint32_t id);
/* The address if the id is live; no actor may be running. */
void *engine_peek_address(struct engine *engine, uint32_t id);
/* After all is freed: rules of the target that are broken, blocks that it lost. */
void engine_judge_end(struct engine *engine, int broken_rule, uint64_t lost_nr, const char *unit);

static inline bool engine_fills(const struct engine *engine)
{
	return engine->checks && !engine->is_unfilled;
}

static inline void engine_set_address(struct engine *engine, uint32_t id, void *addr)
{
	/* Pairs with the acquire in engine_take_address(): the content was written before. */
	atomic_store_explicit(&engine->addresses[id], addr, memory_order_release);
}

/* Waits for the allocation.  NULL: the replay was stopped. */
static inline void *engine_take_address(struct actor *actor, uint32_t id)
{
	struct engine *engine = actor->engine;
	void *addr = atomic_load_explicit(&engine->addresses[id], memory_order_acquire);

	if (addr == NULL)
		addr = engine_wait_for_address(actor, id);
	atomic_store_explicit(&engine->addresses[id], NULL, memory_order_relaxed);
	return addr;
}

/* ---- engine_passes.c ------------------------------------------------------------------------ */
void engine_run_one_thread(struct engine *engine);
void engine_run_threads(struct engine *engine);
void engine_add_actor(struct engine *engine, const struct actor *actor);

#endif
