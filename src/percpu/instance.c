/* SPDX-License-Identifier: MIT */
/*
 * percpu/instance.c - an instance's per-CPU memory: creation at first use, destruction, fork
 *
 * Programs that use only pages must not pay for the number of CPUs, so nothing is reserved before
 * the first object.  Then addresses, arrays and doors are reserved, and the first chunk is
 * created: its static and reserved areas are kept for variables, its dynamic area serves all
 * objects, and all of it stays populated.
 */
#include "percpu/percpu.h"
#include "percpu/alloc.h"
#include "percpu/balance.h"
#include "percpu/populate.h"
#include "percpu/sparse.h"

#include "base/round.h"

#define RANGES_MAX 512u

static struct percpu *module_percpu(struct quire_module *module)
{
	return (struct percpu *)(void *)((char *)module - offsetof(struct percpu, module));
}

static void set_looks(struct quire_module *module, bool looks)
{
	struct percpu *pc = module_percpu(module);

	store_relaxed(&pc->popped_is_odd, looks || pc->asks_for_popped); /* quire_alloc_percpu() */
}

/* ---- fork ---- */

static void fork_prepare_mutexes(struct quire_module *module)
{
	mutex_acquire(&module_percpu(module)->alloc_mutex);
}

static void fork_prepare_locks(struct quire_module *module)
{
	struct percpu *pc = module_percpu(module);

	cache_close_all(pc);
	pc->kept = lock_acquire(&pc->lock);
}

static void fork_done(struct quire_module *module, bool child)
{
	struct percpu *pc = module_percpu(module);

	if (child) { /* the thread with a look in progress is gone; its pages stay pending */
		pc->looking = false;
		pc->variables.collecting = false;
		percpu_fork_child_deferred(pc);
	}
	percpu_unlock(pc, pc->kept);
	cache_open_all(pc, child);
	mutex_release(&pc->alloc_mutex);
}

/* ---- parts ---- */

static int verify(struct quire_module *module)
{
	struct percpu *pc = module_percpu(module);
	int label;

	mutex_acquire(&pc->alloc_mutex);
	percpu_take_deferred(pc);
	label = percpu_verify(pc);
	mutex_release(&pc->alloc_mutex);
	return label;
}

static void release(struct percpu *pc)
{
	mem_release(pc, pc->self_bytes);
}

static void fini(struct quire_module *module)
{
	struct percpu *pc = module_percpu(module);

	variables_move(pc);
	variables_fini(pc);
	page_uncharge(pc->q, pc->populated_pages * pc->units);
	store_relaxed(&pc->q->percpu, (struct percpu *)NULL); /* no other thread has the instance */
	cache_fini(pc);
	space_fini(pc);
	release(pc);
}

uint32_t percpu_units(const struct quire *q)
{
	return q->options.units != 0 ? q->options.units : process_cpus_possible();
}

static void set_options(struct percpu *pc)
{
	const struct quire_options *options = &pc->q->options;

	pc->units = percpu_units(pc->q);
	pc->packed = options->placement != QUIRE_PLACEMENT_LINUX;
	pc->without = (uint8_t)options->placement_without;
	pc->depopulate = options->depopulate != QUIRE_OFF;
	pc->cache = options->cache != QUIRE_OFF;
	pc->sparse = pc->units > DENSE_UNITS;
	pc->asks_for_popped = pc->sparse && mem_reading_takes_memory();
	pc->home = process_cpu() % pc->units;
	/* Mixed, so that no data of users looks like a mark; larger than any address: cache_mark(). */
	pc->secret = (clock_now_ns() * 0x9e3779b97f4a7c15u) | (uint64_t)1 << 63;
	pc->due_ns = WORK_IDLE;
	pc->frequent = NONE;
	pc->module = (struct quire_module){
		.rank = RANK_PERCPU_ALLOC,
		.fini = fini,
		.fork_prepare_mutexes = fork_prepare_mutexes,
		.fork_prepare_locks = fork_prepare_locks,
		.fork_done = fork_done,
		.verify = verify,
		.shrink = balance_shrink,
		.tick = balance_tick,
		.set_looks = set_looks,
	};
}

static void init_lists(struct percpu *pc)
{
	for (unsigned i = 0; i < CHUNK_LISTS_NR; i++)
		pc->list[i] = (struct chunk_list){ .head = NONE, .tail = NONE };
	for (unsigned i = 0; i < STREAMS_NR; i++)
		pc->stream[i].page = NONE;
	mutex_init(&pc->alloc_mutex, RANK_PERCPU_ALLOC);
	lock_init(&pc->lock, RANK_PERCPU);
}

/* Of each unit. */
static uint32_t first_chunk_pages(const struct quire *q)
{
	uint32_t pages = ((STATIC_BYTES - 1) >> q->page_shift) + 1;

	pages += ((RESERVED_BYTES - 1) >> q->page_shift) + 1;
	return pages + ((DYNAMIC_BYTES - 1) >> q->page_shift) + 1;
}

static int make_first_chunk(struct percpu *pc)
{
	uint32_t pages = first_chunk_pages(pc->q);
	int error;

	error = maps_ready_for(pc, pages, 0);
	if (!error)
		error = chunk_create(pc, 0, 0);
	if (!error)
		error = percpu_charge(pc, (uint64_t)pages * pc->units, 0);
	if (!error)
		chunk_first(pc, pages);
	return error;
}

static struct percpu *self_make(struct quire *q)
{
	size_t front = round_up(sizeof(struct percpu), 64);
	size_t ranges = RANGES_MAX * sizeof(struct mem_range);
	size_t bytes = front + ranges + RANGES_MAX * sizeof(struct mem_vector);
	struct percpu *pc;

	bytes = round_up(bytes, mem_page_bytes());
	pc = mem_map(bytes, "quire-percpu");
	if (pc == NULL)
		return NULL;
	pc->q = q;
	pc->self_bytes = bytes;
	pc->ranges = (struct mem_range *)(void *)((char *)pc + front);
	pc->vector = (struct mem_vector *)(void *)((char *)pc + front + ranges);
	pc->ranges_max = RANGES_MAX;
	return pc;
}

static struct percpu *make(struct quire *q)
{
	struct percpu *pc = self_make(q);

	if (pc == NULL)
		return NULL;
	set_options(pc);
	init_lists(pc);
	if (space_init(pc) != 0) {
		release(pc);
		return NULL;
	}
	if (cache_init(pc) != 0) {
		space_fini(pc);
		release(pc);
		return NULL;
	}
	if (make_first_chunk(pc) != 0) {
		cache_fini(pc);
		space_fini(pc);
		release(pc);
		return NULL;
	}
	return pc;
}

/* Returns 0 once there is per-CPU memory, made here or by another thread. */
static int make_once(void *arg)
{
	struct quire *q = arg;
	struct percpu *pc;

	mutex_acquire(&q->modules_mutex);
	pc = q->percpu;
	if (pc == NULL)
		pc = make(q);
	if (pc != NULL && q->percpu == NULL) {
		module_register_locked(q, &pc->module);
		store_release(&q->percpu, pc); /* pairs with percpu_if_any() */
	}
	mutex_release(&q->modules_mutex);
	return pc != NULL ? 0 : -ENOMEM;
}

struct percpu *percpu_of(struct quire *q, unsigned flags)
{
	struct percpu *pc = percpu_if_any(q);
	size_t bytes;

	if (LIKELY(pc != NULL))
		return pc;
	/* Creation waits, so it is refused in a handler that interrupted a holder of locks. */
	if (lock_nested() || (flags & QUIRE_NOLOCK))
		return NULL;
	bytes = ((size_t)first_chunk_pages(q) << q->page_shift) * percpu_units(q);
	(void)page_attempt(q, bytes, flags, make_once, q);
	return percpu_if_any(q);
}

/* ---- small answers ---- */

unsigned quire_percpu_units(const struct quire *q)
{
	return percpu_units(q);
}
