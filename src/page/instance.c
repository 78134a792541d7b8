/* SPDX-License-Identifier: MIT */
/*
 * page/instance.c - an instance's pages: creation, destruction, fork
 *
 * Frames and their metadata (CPUs' lists and stacks, depots, block tags and records, state bytes, struct
 * page) are one reservation; with backing:memfd two.  Only the used parts cost memory.  The limit is halved
 * until the reservation succeeds; all instances, with their areas and per-CPU memory, share a budget of
 * addresses (mem_reserve_share()).
 *
 * Fork takes the waiting locks, every pcp lock with the stacks closed, one fence for them and for those of
 * areas, then the depots' and zones' locks; deferred frees are taken in before.  In the child the drains of other threads are over,
 * and runs that other threads had popped but not yet marked, or marked but not yet pushed, are lost by
 * design; quire_page_stat counts them.  A child whose frames stayed with the parent is made to refuse
 * here: for fast paths the span has no bytes and no flags are fast.
 */
#include "page/pages.h"

#include <quire/page.h>
#include <quire/quire.h>

#include "base/errno.h"
#include "base/round.h"
#include "huge/huge.h"
#include "instance/instance.h"
#include "instance/module.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/work.h"
#include "page/block.h"
#include "page/depot.h"
#include "page/drain.h"
#include "page/free.h"
#include "page/giveback.h"
#include "page/grow.h"
#include "page/kind.h"
#include "page/layout.h"
#include "page/limit.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/verify.h"
#include "page/zone.h"
#include "stacks/stacks.h"

/*
 * Where the arrays that a fast path touches begin in their pages.  A load whose address equals that
 * of an earlier store in the low 12 bits is first taken for its successor by the processor's store
 * queue.  With all three at the start of a page, the state byte of frame 0, the tag of block 0 and
 * the header of class 0 collided, and a LIFO pair of the first pages took 4.5 ns instead of 3.4.
 */
#define STATE_OFFSET  3200u
#define TAG_OFFSET    3584u
#define STACKS_OFFSET 320u

_Static_assert(STACKS_OFFSET <= STACKS_OFFSET_MAX, "what stacks_lay_out() leaves free is enough");

/* ---- sizes ---- */

static void set_geometry(struct pages *p)
{
	struct quire *q = &p->q;

	q->nodes_nr = (uint8_t)(q->options.zones != 0 ? q->options.zones : 1);
	p->zones_nr = q->nodes_nr;
	p->page_shift = q->page_shift;
	p->page_mask = ((uintptr_t)1 << p->page_shift) - 1;
	p->pageblock_order = (uint8_t)(BLOCK_SHIFT - p->page_shift);
	p->fast_flags_most = p->zones_nr == 1 && p->page_shift == FAST_PAGE_SHIFT ? TYPES_NR : 0;
	p->fast_flags_end = q->looks ? 0 : p->fast_flags_most;
	instance_number_cpus(q);
	p->stacks.cpu = q->cpus;
}

/*
 * Sets the limit in pages, and returns the blocks that each zone needs for its share: pairs, so
 * that the largest order of 4 KiB pages fits.  What they hold beyond the limit is never handed
 * out.
 */
static uint32_t set_limit(struct pages *p, uint64_t limit_bytes)
{
	uint64_t most = (((uint64_t)UINT32_MAX >> p->pageblock_order) - 1) / p->zones_nr / 2 * 2;
	uint64_t pages = limit_bytes >> p->page_shift;
	uint64_t share = (pages + p->zones_nr - 1) / p->zones_nr;
	uint64_t blocks = (share + block_pages(p) - 1) >> p->pageblock_order;

	blocks = (blocks + 1) / 2 * 2;
	if (blocks > most) {
		blocks = most;
		pages = (blocks << p->pageblock_order) * p->zones_nr;
	}
	p->q.limit_pages = p->q.most_pages = pages;
	return (uint32_t)blocks;
}

/* Metadata in one reservation, in front of the frames.  What stands from `first` to `committed` is usable from
 * the start: struct pages and state bytes of the first blocks, and what CPUs and blocks have.  Its memory comes
 * with use. */
struct meta_layout {
	size_t first, page, depots, stacks, tag, huge, block, state, committed, end;
};

static size_t depot_bytes(void)
{
	return DEPOT_ENTRIES_NR * TYPES_NR * sizeof(uint32_t);
}

static struct meta_layout meta_layout(const struct pages *p, uint32_t blocks)
{
	size_t unit = mem_page_bytes();
	size_t frames = (size_t)blocks << p->pageblock_order;
	size_t pcps = (size_t)p->zones_nr * p->stacks.cpu.all_slots_nr * sizeof(struct pcp);
	size_t first = (size_t)(blocks < META_STEP_BLOCKS ? blocks : META_STEP_BLOCKS)
		       << p->pageblock_order;
	struct meta_layout at = { .page = round_up(frames * sizeof(struct page), unit) };

	at.first = at.page - round_up(first * sizeof(struct page), unit);
	at.depots = round_up(at.page + pcps, 64);
	at.stacks = round_up(at.depots + p->zones_nr * depot_bytes(), unit);
	at.tag = at.stacks + p->stacks.cpu.slots_nr * STACKS_STRIDE;
	at.tag = round_up(at.tag, unit) + TAG_OFFSET;
	at.huge = at.tag + blocks;
	at.block = round_up(at.huge + blocks, 64);
	at.state = round_up(at.block + blocks * sizeof(struct pageblock), unit) + STATE_OFFSET;
	at.committed = round_up(at.state + first, unit);
	at.end = round_up(at.state + frames, unit);
	return at;
}

/* ---- reservations ---- */

static void release(struct pages *p)
{
	if (p->q.shared && !p->q.dead)
		mem_release(p->base, p->span_bytes);
	mem_release(p->meta, p->reserved_bytes);
}

/* Frames are aligned to the largest order.  Shared ones have a reservation of their own. */
static int reserve_addresses(struct pages *p, const struct meta_layout *at)
{
	size_t align = (size_t)1 << (QUIRE_ORDER_MAX + p->page_shift);

	p->meta_bytes = at->end;
	p->reserved_bytes = at->end + (p->q.shared ? 0 : align - mem_page_bytes() + p->span_bytes);
	p->meta = mem_reserve(p->reserved_bytes, mem_page_bytes(), "quire-pages");
	if (p->meta == NULL)
		return -ENOMEM;
	p->base = (char *)round_up((uintptr_t)p->meta + at->end, align);
	if (!p->q.shared)
		return 0;
	p->base = mem_reserve_shared(p->span_bytes, align, "quire-frames");
	if (p->base != NULL)
		return 0;
	mem_release(p->meta, p->reserved_bytes);
	return -ENOMEM;
}

/*
 * State bytes of blocks not yet online read zero, so that a free of a foreign address inside the span is
 * seen as misuse instead of faulting.  Their tags and records can be written already: walks pass over them,
 * and a growth needs no call for them.
 */
static int commit_first(struct pages *p, const struct meta_layout *at)
{
	int error = mem_commit_apart(p->meta + at->first, at->committed - at->first);

	if (!error && at->committed < at->end)
		error = mem_commit_readonly(p->meta + at->committed, at->end - at->committed);
	/* Many CPUs' stacks could get huge pages of which each CPU uses a little. */
	if (!error && at->committed - at->first >= (size_t)1 << BLOCK_SHIFT)
		mem_advise_huge(p->meta + at->first, at->committed - at->first, false);
	return error == 0 ? 0 : -ENOMEM;
}

static void set_arrays(struct pages *p, const struct meta_layout *at, uint32_t blocks)
{
	char *meta = p->meta;

	p->pcp = (struct pcp *)(void *)(meta + at->page);
	p->stacks.cpu.base = meta + at->stacks + STACKS_OFFSET;
	p->tag = (uint8_t *)meta + at->tag;
	p->block = (struct pageblock *)(void *)(meta + at->block);
	p->state = (uint8_t *)meta + at->state;
	p->page = (struct page *)(void *)(meta + at->page);
	p->blocks_nr = blocks;
	p->state_blocks = blocks < META_STEP_BLOCKS ? blocks : META_STEP_BLOCKS;
	huge_init(&p->huge, &p->q.huge_mutex, p->base, (uint8_t *)meta + at->huge, blocks);
	for (unsigned i = 0; i < p->zones_nr; i++)
		depot_init(&p->zone[i].depot,
			   (uint32_t *)(void *)(meta + at->depots + i * depot_bytes()));
}

static int reserve_blocks(struct pages *p, uint32_t blocks)
{
	struct meta_layout at = meta_layout(p, blocks);
	int error;

	p->span_bytes = (size_t)blocks << BLOCK_SHIFT;
	p->fast_frames = p->page_shift == FAST_PAGE_SHIFT ? p->span_bytes >> FAST_PAGE_SHIFT : 0;
	error = reserve_addresses(p, &at);
	if (error)
		return error;
	error = commit_first(p, &at);
	if (error)
		release(p);
	else
		set_arrays(p, &at, blocks);
	return error;
}

/* ---- parts ---- */

static void init_zones(struct pages *p)
{
	uint32_t each = p->blocks_nr / p->zones_nr;

	p->zone_blocks = each;
	for (unsigned i = 0; i < p->zones_nr; i++)
		zone_init(p, i, i * each, each);
}

static void init_pcps(struct pages *p)
{
	pcp_stacks_init(p);
	for (unsigned zone = 0; zone < p->zones_nr; zone++) {
		for (unsigned slot = 0; slot < p->stacks.cpu.all_slots_nr; slot++) {
			struct pcp *pcp = page_pcp(p, zone, slot);

			pcp_stacks_init_door(pcp, zone, slot);
			pcp->zone = (uint8_t)zone;
			if (zone == 0 && p->zones_nr > 1) /* reads files: once a CPU */
				pcp->home = (uint8_t)(process_cpu_node(slot) % p->zones_nr);
		}
	}
}

static void init_policy(struct pages *p)
{
	giveback_init(p);
	limit_init(p, p->q.options.limit_bytes != 0);
	p->deferred = FRAME_NONE;
	nested_init(p);
	mutex_init(&p->pcp_disable_mutex, RANK_PCP_DISABLE);
	mutex_init(&p->giveback_mutex, RANK_GIVEBACK);
	mutex_init(&p->grow_mutex, RANK_GROW);
}

/* Begins with what an instance may take of the process's addresses, and halves the limit until they are
 * granted, and those of what the CPUs own. */
static int reserve_halving(struct pages *p, uint64_t limit_bytes)
{
	uint64_t share = mem_reserve_share();
	int error = -ENOMEM;

	if (share < limit_bytes)
		limit_bytes = share;
	for (uint64_t limit = limit_bytes; limit >> BLOCK_SHIFT != 0; limit /= 2) {
		error = reserve_blocks(p, set_limit(p, limit) * p->zones_nr);
		if (!error)
			return 0;
	}
	return error;
}

/* Many CPUs' stacks may be more addresses than there are: then lists alone. */
static int reserve(struct pages *p, uint64_t limit_bytes)
{
	int error = reserve_halving(p, limit_bytes);

	if (error && p->stacks.cpu.slots_nr != 0) {
		p->q.cpus.slots_nr = p->stacks.cpu.slots_nr = 0;
		error = reserve_halving(p, limit_bytes);
	}
	return error;
}

/* ---- fork ---- */

static struct pages *module_pages(struct quire_module *module)
{
	return (struct pages *)(void *)((char *)module - offsetof(struct pages, module));
}

static void fork_prepare_mutexes(struct quire_module *module)
{
	struct pages *p = module_pages(module);

	mutex_acquire(&p->limit_mutex);
	mutex_acquire(&p->pcp_disable_mutex);
	mutex_acquire(&p->giveback_mutex);
	mutex_acquire(&p->grow_mutex);
	mutex_acquire(&p->q.huge_mutex);
}

/* The fence is for the stacks of areas and of per-CPU memory as well: they closed theirs before, on the same CPUs. */
static void fork_prepare_locks(struct quire_module *module)
{
	struct pages *p = module_pages(module);

	for (size_t i = 0; i < (size_t)p->zones_nr * p->stacks.cpu.all_slots_nr; i++)
		stacks_fork_prepare(&p->stacks, &p->pcp[i].door);
	stacks_fence_all(&p->stacks);
	page_fork_prepare_deferred(p);
	nested_fork_prepare(p);
	for (unsigned i = 0; i < p->zones_nr; i++)
		p->zone[i].depot.kept = lock_acquire_ordered(&p->zone[i].depot.lock);
	for (unsigned i = 0; i < p->zones_nr; i++)
		p->zone[i].kept = lock_acquire_ordered(&p->zone[i].lock);
}

static void fork_done(struct quire_module *module, bool child)
{
	struct pages *p = module_pages(module);

	for (unsigned i = p->zones_nr; i-- != 0;) {
		if (child)
			zone_fork_child_locked(&p->zone[i]);
		lock_release(&p->zone[i].lock, p->zone[i].kept);
	}
	for (unsigned i = p->zones_nr; i-- != 0;)
		lock_release(&p->zone[i].depot.lock, p->zone[i].depot.kept);
	nested_fork_done(p);
	for (size_t i = (size_t)p->zones_nr * p->stacks.cpu.all_slots_nr; i-- != 0;) {
		struct pcp *pcp = &p->pcp[i];

		if (child) {
			stacks_fork_drop_closers_locked(&pcp->door, pcp->draining_nr);
			pcp->draining_nr = 0;
		}
		stacks_fork_done(&p->stacks, &pcp->door, child);
	}
	page_fork_done_deferred(p, child);
	mutex_release(&p->q.huge_mutex);
	mutex_release(&p->grow_mutex);
	mutex_release(&p->giveback_mutex);
	mutex_release(&p->pcp_disable_mutex);
	mutex_release(&p->limit_mutex);
}

static void fork_child(struct quire_module *module)
{
	struct pages *p = module_pages(module);

	drain_fork_child(p);
	store_relaxed(&p->ceding, false); /* who set it may have stayed with the parent */
	if (p->q.shared) {
		mem_forget_shared(p->span_bytes);
		p->span_bytes = 0;
		p->fast_frames = 0;
		p->fast_flags_end = 0;
	}
}

/* ---- the module ---- */

/*
 * Where the fields that fast paths read are in their page, for the same reason: users write to the
 * beginnings of pages, and a store there would collide with them.
 */
#define FIELDS_OFFSET 2880u

_Static_assert(offsetof(struct pages, base) < FIELDS_OFFSET, "the handle begins in the same page");

static size_t own_bytes(void)
{
	return sizeof(struct pages) + giveback_room_bytes();
}

static void fini(struct quire_module *module)
{
	struct pages *p = module_pages(module);

	huge_fini(&p->huge);
	release(p);
}

static int verify(struct quire_module *module)
{
	return page_verify(module_pages(module));
}

static size_t give_back(struct quire_module *module)
{
	return giveback_everything(module_pages(module));
}

static void look(struct quire_module *module, struct relief *relief)
{
	limit_look_for_relief(module_pages(module), relief);
}

static uint64_t tick(struct quire_module *module, uint64_t now_ns)
{
	return giveback_tick(module_pages(module), now_ns);
}

/* Takes every zone's lock and reads every CPU's stacks. */
static bool is_empty(struct quire_module *module)
{
	return giveback_nothing_left(module_pages(module));
}

static void set_looks(struct quire_module *module, bool looks)
{
	struct pages *p = module_pages(module);

	if (!p->q.dead)
		store_relaxed(&p->fast_flags_end, looks ? 0 : p->fast_flags_most);
}

static int create(struct quire *q)
{
	struct pages *p = pages_of(q);
	uint64_t limit = q->options.limit_bytes;
	int error;

	p->giveback_room = (struct giveback *)(void *)(p + 1);
	q->shrinkers = &p->shrinkers;
	shrinkers_init(q->shrinkers);
	set_geometry(p);
	error = reserve(p, limit != 0 ? limit : mem_machine_bytes());
	if (error)
		return error;
	init_zones(p);
	init_pcps(p);
	init_policy(p);
	pcp_begin_home(p);
	/* Nothing to shrink: what asks the others for their memory is an allocation of pages. */
	p->module = (struct quire_module){ .rank = RANK_PCP_DISABLE,
					   .fini = fini,
					   .fork_prepare_mutexes = fork_prepare_mutexes,
					   .fork_prepare_locks = fork_prepare_locks,
					   .fork_done = fork_done,
					   .fork_child = fork_child,
					   .verify = verify,
					   .give_back = give_back,
					   .look = look,
					   .tick = tick,
					   .is_empty = is_empty,
					   .set_looks = set_looks };
	module_register_lowest(q, &p->module);
	return 0;
}

const struct module_kind page_kind = {
	.options = &page_options,
	.own_bytes = own_bytes,
	.struct_offset = FIELDS_OFFSET - offsetof(struct pages, base),
	.create = create,
};

/* ---- small answers ---- */

size_t quire_page_bytes(const struct quire *q)
{
	return (size_t)1 << q->page_shift;
}

unsigned quire_slot(const struct quire *q)
{
	return (unsigned)stack_slot(&q->cpus);
}

void *quire_page_address(const struct quire *q, const void *addr)
{
	const struct pages *p = pages_of_const(q);
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)p->base;

	if (offset >= p->span_bytes)
		return NULL;
	return p->base + (offset & ~p->page_mask);
}

int quire_block_order(const struct quire *q, const void *addr)
{
	const struct pages *p = pages_of_const(q);
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)p->base;
	unsigned state;

	if (q->dead)
		return -EOWNERDEAD;
	if (offset >= p->span_bytes || (offset & p->page_mask) != 0)
		return -EINVAL;
	state = page_state(p, (uint32_t)(offset >> p->page_shift));
	return (state & STATE_KIND) == STATE_ALLOCATED ? (int)(state & STATE_ORDER) : -EINVAL;
}
