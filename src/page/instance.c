/* SPDX-License-Identifier: MIT */
/*
 * page/instance.c - creating and destroying an instance, the default instance, and fork
 *
 * There are three reservations: for frames, for their metadata (state bytes, block tags and
 * records, struct pages), and for CPUs' data (lists, stacks, depots).  Only the used parts cost
 * memory.  The limit is halved until the reservation succeeds; all instances, with their areas
 * and per-CPU memory, share a budget of addresses (mem_reserve_share()).
 *
 * Fork.  prepare takes, in rank order, every waiting lock, every pcp lock, closes all stacks (so
 * that no thread is in the middle of a sequence while the kernel copies the address space page by
 * page), then the depots' and zones' locks.  Parent and child open and release.  In the child the
 * drains of other threads are over, the worker is gone until the next slow path, and runs that
 * other threads had popped but not yet marked, or marked but not yet pushed, are lost by design;
 * quire_page_stat counts them.
 *
 * With backing:memfd the frames' memory is shared, and a child that wrote to it would change its
 * parent's.  So in the child the instance is dead: nothing is mapped at the frames' addresses,
 * and other mappings may appear there, so the instance never touches or unmaps them.  Calls fail
 * with EOWNERDEAD and frees do nothing.  Fast paths need no check: for them the span has no bytes
 * and no flags are fast.
 */
#include "page/instance.h"

#include <limits.h>

#include <quire/page.h>
#include <quire/quire.h>

#include "base/errno.h"
#include "base/round.h"
#include "base/sized.h"
#include "instance/options.h"
#include "machine/annotate.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/work.h"
#include "page/block.h"
#include "page/depot.h"
#include "page/drain.h"
#include "page/giveback.h"
#include "page/grow.h"
#include "page/huge.h"
#include "page/layout.h"
#include "page/module.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/verify.h"
#include "page/worker.h"
#include "page/zone.h"
#include "stacks/stacks.h"

#define DECAY_MS_DEFAULT 1000u
/*
 * Where the arrays that a fast path touches begin in their pages.  A load whose address equals that
 * of an earlier store in the low 12 bits is first taken for its successor by the processor's store
 * queue.  With all three at the start of a page, the state byte of frame 0, the tag of block 0 and
 * the header of class 0 collided, and a LIFO pair of the first pages took 4.5 ns instead of 3.4.
 */
#define STATE_OFFSET	 3200u
#define TAG_OFFSET	 3584u
#define STACKS_OFFSET	 320u

/* ---- sizes ---- */

static unsigned log2_of(size_t x)
{
	return 63u - (unsigned)__builtin_clzll(x);
}

static void set_geometry(struct quire *q, const struct quire_options *options)
{
	unsigned system = log2_of(mem_page_bytes());

	q->page_shift = (uint8_t)(options->page_shift > system ? options->page_shift : system);
	q->page_mask = ((uintptr_t)1 << q->page_shift) - 1;
	q->block_order = (uint8_t)(BLOCK_SHIFT - q->page_shift);
	q->zones_nr = (uint8_t)(options->zones != 0 ? options->zones : 1);
	q->fast_flags_most = q->zones_nr == 1 ? TYPES_NR : 0;
	q->fast_flags_end = q->fast_flags_most;
}

/*
 * Sets the limit in pages, and returns the blocks that each zone needs for its share: pairs, so
 * that the largest order of 4 KiB pages fits.  What they hold beyond the limit is never handed
 * out.
 */
static uint32_t set_limit(struct quire *q, uint64_t limit_bytes)
{
	uint64_t most = (((uint64_t)UINT32_MAX >> q->block_order) - 1) / q->zones_nr / 2 * 2;
	uint64_t pages = limit_bytes >> q->page_shift;
	uint64_t share = (pages + q->zones_nr - 1) / q->zones_nr;
	uint64_t blocks = (share + block_pages(q) - 1) >> q->block_order;

	blocks = (blocks + 1) / 2 * 2;
	if (blocks > most) {
		blocks = most;
		pages = (blocks << q->block_order) * q->zones_nr;
	}
	q->limit_pages = pages;
	return (uint32_t)blocks;
}

struct meta_layout {
	size_t state, tag, huge, block, page, end;
};

static struct meta_layout meta_layout(const struct quire *q, uint32_t blocks)
{
	size_t unit = mem_page_bytes();
	size_t frames = (size_t)blocks << q->block_order;
	struct meta_layout at = { .state = STATE_OFFSET };

	at.tag = round_up(at.state + frames, unit) + TAG_OFFSET;
	at.huge = at.tag + blocks;
	at.block = round_up(at.huge + blocks, unit);
	at.page = at.block + round_up(blocks * sizeof(struct pageblock), unit);
	at.end = at.page + round_up(frames * sizeof(struct page), unit);
	return at;
}

/* ---- reservations ---- */

static int reserve_span(struct quire *q, uint32_t blocks)
{
	struct meta_layout at = meta_layout(q, blocks);
	size_t align = (size_t)1 << (QUIRE_ORDER_MAX + q->page_shift);

	q->span_bytes = (size_t)blocks << BLOCK_SHIFT;
	q->base = q->shared ? mem_reserve_shared(q->span_bytes, align, "quire-pages")
			    : mem_reserve(q->span_bytes, align, "quire-pages");
	if (q->base == NULL)
		return -ENOMEM;
	q->meta_bytes = at.end;
	q->meta = mem_reserve(at.end, mem_page_bytes(), "quire-meta");
	/* State bytes and tags of blocks not yet online read zero, so that a free of a foreign
	 * address inside the span is seen as misuse instead of faulting; their records, so that walks
	 * may pass over blocks that are being committed. */
	if (q->meta == NULL || mem_commit_readonly(q->meta, at.page, "quire-meta") != 0) {
		mem_release(q->base, q->span_bytes);
		if (q->meta != NULL)
			mem_release(q->meta, at.end);
		return -ENOMEM;
	}
	q->state = (uint8_t *)q->meta + at.state;
	q->tag = (uint8_t *)q->meta + at.tag;
	huge_init(&q->huge, &q->huge_mutex, q->base, (uint8_t *)q->meta + at.huge, blocks);
	q->block = (struct pageblock *)(void *)(q->meta + at.block);
	q->page = (struct page *)(void *)(q->meta + at.page);
	q->blocks_nr = blocks;
	return 0;
}

/* Per-CPU part: pcps and depots first, the stacks' regions last.  Committed at once: memory comes
 * with use. */
static int reserve_cpus(struct quire *q)
{
	size_t pcps =
		round_up((size_t)q->zones_nr * q->stacks.cpu.doors_nr * sizeof(struct pcp), 64);
	size_t depot = DEPOT_ENTRIES_NR * TYPES_NR * sizeof(uint32_t);
	size_t stacks = (size_t)q->stacks.cpu.slots_nr << STACKS_STRIDE_SHIFT;
	size_t front = round_up(pcps + q->zones_nr * depot, mem_page_bytes());
	char *addr;

	q->cpu_meta_bytes = front + round_up(stacks, mem_page_bytes());
	addr = mem_reserve(q->cpu_meta_bytes, mem_page_bytes(), "quire-cpus");
	if (addr == NULL)
		return -ENOMEM;
	if (mem_commit(addr, q->cpu_meta_bytes, "quire-cpus") != 0) {
		mem_release(addr, q->cpu_meta_bytes);
		return -ENOMEM;
	}
	mem_advise_huge(addr, q->cpu_meta_bytes, false);
	q->cpu_meta = (uint64_t *)(void *)addr;
	q->pcp = (struct pcp *)(void *)addr;
	q->stacks.cpu.base = addr + front + STACKS_OFFSET;
	for (unsigned i = 0; i < q->zones_nr; i++)
		depot_init(&q->zone[i].depot, (uint32_t *)(void *)(addr + pcps + i * depot));
	return 0;
}

/* ---- parts ---- */

static void init_zones(struct quire *q)
{
	uint32_t each = q->blocks_nr / q->zones_nr;

	q->zone_blocks = each;
	for (unsigned i = 0; i < q->zones_nr; i++)
		zone_init(q, i, i * each, each);
}

static void init_pcps(struct quire *q)
{
	pcp_stacks_init(q);
	for (unsigned zone = 0; zone < q->zones_nr; zone++) {
		for (unsigned slot = 0; slot < q->stacks.cpu.doors_nr; slot++) {
			struct pcp *pcp = page_pcp(q, zone, slot);

			pcp_stacks_init_door(pcp, zone, slot);
			pcp->zone = (uint8_t)zone;
			if (zone == 0 && q->zones_nr > 1) /* reads files: once a CPU */
				pcp->home = (uint8_t)(process_cpu_node(slot) % q->zones_nr);
		}
	}
}

static void init_policy(struct quire *q, const struct quire_options *options)
{
	static const enum work_mode modes[] = {
		[QUIRE_WORKER_DEFAULT] = WORK_THREAD,
		[QUIRE_WORKER_THREAD] = WORK_THREAD,
		[QUIRE_WORKER_INLINE] = WORK_INLINE,
		[QUIRE_WORKER_OFF] = WORK_OFF,
	};
	struct work_options work;

	q->thp = options->thp != QUIRE_OFF;
	q->report = options->report != QUIRE_OFF;
	q->decay_base_ns =
		(uint64_t)(options->decay_ms != 0 ? options->decay_ms : DECAY_MS_DEFAULT) * 1000000;
	q->decay_ns = q->decay_base_ns;
	q->giveback_due_ns = WORK_IDLE;
	q->deferred = FRAME_NONE;
	nested_init(q);
	mutex_init(&q->worker_mutex, RANK_WORKER);
	mutex_init(&q->modules_mutex, RANK_MODULES);
	mutex_init(&q->pcp_disable_mutex, RANK_PCP_DISABLE);
	mutex_init(&q->visit_mutex, RANK_VISIT);
	mutex_init(&q->giveback_mutex, RANK_GIVEBACK);
	mutex_init(&q->grow_mutex, RANK_GROW);
	mutex_init(&q->huge_mutex, RANK_HUGE);
	work.mode = q->report ? modes[options->worker] : WORK_OFF;
	work.pause_ns = q->decay_base_ns;
	work.isolated_cpus = q->isolated_cpus;
	work.isolated_words = sizeof(q->isolated_words) / sizeof(q->isolated_words[0]);
	work_init(&q->work, &work, worker_run, q);
	if (work_needs_callers(&q->work)) {
		q->looks = true;
		q->fast_flags_end = 0;
	}
}

static void setup_cpus(struct quire *q, const struct quire_options *options)
{
	if (options->isolated != NULL &&
	    options_cpu_list(options->isolated, q->isolated_words,
			     sizeof(q->isolated_words) * CHAR_BIT) == 0)
		q->isolated_cpus = q->isolated_words;
	stack_setup(&q->stacks.cpu, options->slots, q->isolated_cpus != NULL || q->zones_nr > 1,
		    options->rseq != QUIRE_OFF);
	if (q->stacks.cpu.doors_nr > SLOTS_MAX)
		q->stacks.cpu.doors_nr = SLOTS_MAX;
	if (q->stacks.cpu.slots_nr > q->stacks.cpu.doors_nr)
		q->stacks.cpu.slots_nr = q->stacks.cpu.doors_nr;
}

/* Begins with what an instance may take of the process's addresses, and halves the limit until they are
 * granted, and those of what the CPUs own. */
static int reserve_halving(struct quire *q, uint64_t limit_bytes)
{
	uint64_t share = mem_reserve_share();
	int error = -ENOMEM;

	if (share < limit_bytes)
		limit_bytes = share;
	for (uint64_t limit = limit_bytes; limit >> BLOCK_SHIFT != 0; limit /= 2) {
		error = reserve_span(q, set_limit(q, limit) * q->zones_nr);
		if (error)
			continue;
		error = reserve_cpus(q);
		if (!error)
			return 0;
		mem_release(q->base, q->span_bytes);
		mem_release(q->meta, q->meta_bytes);
	}
	return error;
}

/* Many CPUs' stacks may be more addresses than there are: then lists alone. */
static int reserve(struct quire *q, uint64_t limit_bytes)
{
	int error = reserve_halving(q, limit_bytes);

	if (error && q->stacks.cpu.slots_nr != 0) {
		q->stacks.cpu.slots_nr = 0;
		error = reserve_halving(q, limit_bytes);
	}
	return error;
}

/* ---- fork ---- */

static struct quire *member_quire(struct process_member *member)
{
	return (struct quire *)(void *)((char *)member - offsetof(struct quire, member));
}

static void fork_prepare(struct process_member *member)
{
	struct quire *q = member_quire(member);

	mutex_acquire(&q->worker_mutex);
	modules_fork_prepare_mutexes(q);
	mutex_acquire(&q->pcp_disable_mutex);
	mutex_acquire(&q->giveback_mutex);
	mutex_acquire(&q->grow_mutex);
	mutex_acquire(&q->huge_mutex);
	modules_fork_prepare_locks(q);
	for (size_t i = 0; i < (size_t)q->zones_nr * q->stacks.cpu.doors_nr; i++)
		stacks_fork_prepare(&q->stacks, &q->pcp[i].door);
	stacks_fence_all(&q->stacks);
	for (unsigned i = 0; i < q->zones_nr; i++)
		q->zone[i].depot.kept = lock_acquire_ordered(&q->zone[i].depot.lock);
	for (unsigned i = 0; i < q->zones_nr; i++)
		q->zone[i].kept = lock_acquire_ordered(&q->zone[i].lock);
}

static void fork_done(struct quire *q, bool child)
{
	for (unsigned i = q->zones_nr; i-- != 0;) {
		if (child)
			zone_fork_child_locked(&q->zone[i]);
		lock_release(&q->zone[i].lock, q->zone[i].kept);
	}
	for (unsigned i = q->zones_nr; i-- != 0;)
		lock_release(&q->zone[i].depot.lock, q->zone[i].depot.kept);
	for (size_t i = (size_t)q->zones_nr * q->stacks.cpu.doors_nr; i-- != 0;) {
		struct pcp *pcp = &q->pcp[i];

		if (child) {
			stacks_fork_drop_closers_locked(&pcp->door, pcp->draining_nr);
			pcp->draining_nr = 0;
		}
		stacks_fork_done(&q->stacks, &pcp->door, child);
	}
	mutex_release(&q->huge_mutex);
	mutex_release(&q->grow_mutex);
	mutex_release(&q->giveback_mutex);
	mutex_release(&q->pcp_disable_mutex);
	modules_fork_done(q, child);
	mutex_release(&q->worker_mutex);
}

static void fork_parent(struct process_member *member)
{
	fork_done(member_quire(member), false);
}

static void fork_child(struct process_member *member)
{
	struct quire *q = member_quire(member);

	q->forked = true;
	work_fork_child(&q->work);
	worker_follow(q);
	fork_done(q, true);
	drain_fork_child(q);
	worker_fork_child(q);
	if (q->shared) {
		q->dead = true;
		mem_forget_shared(q->span_bytes);
		q->span_bytes = 0;
		q->fast_flags_end = 0;
	}
}

/* ---- create and destroy ---- */

/*
 * The handle's own memory: whole pages, since nothing below us allocates.  It begins inside its
 * page, as above: users write to the beginnings of pages, and a store there would collide with
 * the handle's first fields.
 */
#define HANDLE_OFFSET 2880u

static size_t handle_bytes(void)
{
	return round_up(HANDLE_OFFSET + round_up(sizeof(struct quire), 64) + giveback_room_bytes(),
			mem_page_bytes());
}

static struct quire *handle_make(void)
{
	char *addr = mem_reserve(handle_bytes(), mem_page_bytes(), "quire");
	struct quire *q;

	if (addr == NULL)
		return NULL;
	if (mem_commit(addr, handle_bytes(), "quire") != 0) {
		mem_release(addr, handle_bytes());
		return NULL;
	}
	q = (struct quire *)(void *)(addr + HANDLE_OFFSET);
	q->giveback_room =
		(struct giveback *)(void *)((char *)q + round_up(sizeof(struct quire), 64));
	return q;
}

static void handle_release(struct quire *q)
{
	mem_release((char *)q - HANDLE_OFFSET, handle_bytes());
}

int quire_create(const struct quire_options *options, struct quire **out)
{
	struct quire_options known = QUIRE_OPTIONS_INIT();
	uint64_t limit;
	struct quire *q;
	int error = 0;

	if (options != NULL)
		error = sized_read(&known, sizeof(known), options);
	if (!error)
		error = quire_options_check(&known);
	if (error)
		return error;
	options = &known;
	q = handle_make();
	if (q == NULL)
		return -ENOMEM;
	q->options = *options;
	q->annotated = annotate_wanted();
	if (q->annotated)
		q->options.rseq = QUIRE_OFF;
	q->shared = options->backing == QUIRE_BACKING_MEMFD;
	set_geometry(q, options);
	setup_cpus(q, &q->options);
	limit = options->limit_bytes != 0 ? options->limit_bytes : mem_total_bytes();
	error = reserve(q, limit);
	if (error) {
		handle_release(q);
		return error;
	}
	init_zones(q);
	init_pcps(q);
	init_policy(q, options);
	q->member = (struct process_member){ .fork_prepare = fork_prepare,
					     .fork_parent = fork_parent,
					     .fork_child = fork_child };
	process_register(&q->member);
	*out = q;
	return 0;
}

void quire_destroy(struct quire *q)
{
	if (q == NULL)
		return;
	process_forget_default(q); /* first: what is moved must not come back here */
	process_unregister(&q->member);
	work_stop(&q->work);
	modules_fini(q);
	huge_fini(&q->huge);
	mem_release(q->cpu_meta, q->cpu_meta_bytes);
	mem_release(q->meta, q->meta_bytes);
	if (!q->dead)
		mem_release(q->base, q->span_bytes);
	handle_release(q);
}

/* ---- the default instance ---- */

static struct quire *default_make(void)
{
	const char *conf = process_env("QUIRE_CONF");
	struct quire_options options = QUIRE_OPTIONS_INIT();
	struct quire *q = NULL;
	char error[256];

	if (conf != NULL && quire_options_parse(conf, &options, error, sizeof(error)) != 0)
		process_exit_conf(error);
	if (quire_create(&options, &q) != 0)
		process_set_errno(ENOMEM);
	return q;
}

struct quire *quire_default(void)
{
	return process_default(default_make);
}

/* ---- small answers ---- */

size_t quire_page_bytes(struct quire *q)
{
	return (size_t)1 << q->page_shift;
}

unsigned quire_cpu(void)
{
	return process_cpu();
}

unsigned quire_slot(struct quire *q)
{
	return (unsigned)stack_slot(&q->stacks.cpu);
}

unsigned quire_slots(struct quire *q)
{
	return q->stacks.cpu.doors_nr;
}

void *quire_page_address(struct quire *q, const void *addr)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)q->base;

	if (offset >= q->span_bytes)
		return NULL;
	return q->base + (offset & ~q->page_mask);
}

int quire_block_order(struct quire *q, const void *addr)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)q->base;
	unsigned state;

	if (q->dead)
		return -EOWNERDEAD;
	if (offset >= q->span_bytes || (offset & q->page_mask) != 0)
		return -EINVAL;
	state = page_state(q, (uint32_t)(offset >> q->page_shift));
	return (state & STATE_KIND) == STATE_ALLOCATED ? (int)(state & STATE_ORDER) : -EINVAL;
}

int quire_verify(struct quire *q)
{
	int label;

	if (q->dead)
		return -EOWNERDEAD;
	worker_still_begin(q);
	label = page_verify(q);
	if (label == 0)
		label = modules_verify(q);
	worker_still_end(q);
	return label;
}
