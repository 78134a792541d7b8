/* SPDX-License-Identifier: MIT */
/*
 * vmap/ram.c - making and ending small mappings; ram.h has words, life and rules
 *
 * Mapping: the CPU's lock, one compare-and-swap on a block with room, unlock, then the system calls
 * that map, under no lock.  Unmapping: two atomic operations and no system call; the aliases stay
 * until the whole block is purged, or until quire_vm_unmap_aliases().
 *
 * The owner is stored before the block is published (R26).  To take a block off a list, a thread
 * locks the owner stored in the block, not one derived from the block's address (R24).
 */
#include "vmap/ram.h"

#include <quire/vmap.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/round.h"
#include "instance/instance.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "pool/pool.h"
#include "vmap/cpu.h"
#include "vmap/frames.h"
#include "vmap/free.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

/* ---- making ---- */

/* Linux's rule: a 16th of a CPU's share, a power of two, within bounds. */
static uint32_t pages_of_a_block(const struct vmap *v)
{
	uint32_t pages = RAM_BLOCK_MAX;

	while (pages > RAM_BLOCK_MIN && pages > v->span_pages / v->stacks.cpu.all_slots_nr / 16)
		pages /= 2;
	return pages;
}

static struct ram *make(struct vmap *v)
{
	uint32_t pages = pages_of_a_block(v), slots = v->span_pages / pages;
	size_t bytes = round_up(sizeof(struct ram) + slots * sizeof(uint32_t), mem_page_bytes());
	struct ram *ram = mem_reserve(bytes, mem_page_bytes(), "quire-area-blocks");

	if (ram == NULL)
		return NULL;
	if (mem_commit(ram, bytes) != 0 ||
	    pool_init(&ram->pool, v->q, 512, slots, "quire-area-block-records") != 0) {
		mem_release(ram, bytes);
		return NULL;
	}
	ram->bytes = bytes;
	ram->block_pages = pages;
	ram->slots_nr = slots;
	return ram;
}

/* NULL: refused; of a caller that may not wait also while another makes it. */
static struct ram *get(struct vmap *v, unsigned flags)
{
	struct ram *ram = load_acquire(&v->ram); /* pairs with the release below */

	if (LIKELY(ram != NULL))
		return ram;
	if (!(flags & FLAGS_NO_WAIT))
		mutex_acquire(&v->commit_mutex);
	else if (!mutex_try(&v->commit_mutex))
		return NULL;
	ram = load_relaxed(&v->ram);
	if (ram == NULL) {
		ram = make(v);
		store_release(&v->ram, ram);
	}
	mutex_release(&v->commit_mutex);
	return ram;
}

void ram_fini(struct vmap *v)
{
	if (v->ram == NULL)
		return;
	pool_fini(&v->ram->pool);
	mem_release(v->ram, v->ram->bytes);
}

/* ---- lists of blocks with room ---- */

static void list_locked(struct vmap *v, struct ram *ram, uint32_t index)
{
	struct ram_block *block = ram_block(ram, index);
	struct vmap_cpu *cpu = &v->cpu[block->cpu];

	CHECK(lock_is_held(&cpu->door.lock));
	block->next = cpu->room;
	block->listed = true;
	cpu->room = index + 1;
}

void ram_unlist_locked(struct vmap *v, struct ram *ram, uint32_t index)
{
	struct ram_block *block = ram_block(ram, index);
	uint32_t *link = &v->cpu[load_relaxed(&block->cpu)].room;

	CHECK(lock_is_held(&v->cpu[load_relaxed(&block->cpu)].door.lock));
	if (!block->listed)
		return;
	while (*link != index + 1)
		link = &ram_block(ram, *link - 1)->next;
	*link = block->next;
	block->listed = false;
}

/* ---- handing out ---- */

/* The position of a place. */
struct place {
	uint32_t index; /* its block, or POOL_NONE */
	uint32_t offset;
	uint32_t pages;
};

/* To call under the owner's lock, or before the block is published. */
static void mark_start(struct ram_block *block, uint32_t offset)
{
	uint64_t *word = &block->starts[offset / 64];

	store_relaxed(word, *word | UINT64_C(1) << offset % 64); /* ordered by take_locked() */
}

/* Takes pages of a block under its owner's lock; without it, others can only set room to 0. */
static bool take_locked(struct vmap *v, struct ram *ram, struct place *place)
{
	struct ram_block *block = ram_block(ram, place->index);
	uint32_t state = load_relaxed(&block->state);

	CHECK(lock_is_held(&v->cpu[block->cpu].door.lock));
	do {
		if (ram_room(state) < place->pages)
			return false;
		/* Mark before taking: the user of the place before it may be searching for its
		 * end.  Pairs with check_place(). */
		place->offset = ram->block_pages - ram_room(state);
		mark_start(block, place->offset);
	} while (!cas_release(&block->state, &state, state - place->pages));
	if (ram_room(state) == place->pages)
		ram_unlist_locked(v, ram, place->index);
	return true;
}

static bool from_room(struct vmap *v, struct ram *ram, struct place *place)
{
	lock_token token;
	struct vmap_cpu *cpu = cpu_lock(v, (unsigned)stack_slot(&v->stacks.cpu), &token);
	uint32_t link = cpu->room;
	bool taken = false;

	for (unsigned i = 0; !taken && link != 0 && i < RAM_ROOM_LOOKS; i++) {
		place->index = link - 1;
		link = ram_block(ram, place->index)->next;
		taken = take_locked(v, ram, place);
	}
	lock_release(&cpu->door.lock, token);
	return taken;
}

static void publish_block(struct vmap *v, struct ram *ram, unsigned slot, uint32_t index)
{
	struct ram_block *block = ram_block(ram, index);
	uint32_t at = range_at(v, block->range)->start / ram->block_pages;
	uint32_t end = load_relaxed(&ram->slots_end);
	lock_token token;
	struct vmap_cpu *cpu = cpu_lock(v, slot, &token);

	store_relaxed(&block->cpu, slot);
	store_release(&ram->table[at], index + 1); /* pairs with block_in() */
	while (end <= at && !cas_relaxed(&ram->slots_end, &end, at + 1))
		; /* orders nothing: whoever sees it looks into the table */
	if (ram_room(load_relaxed(&block->state)) != 0)
		list_locked(v, ram, index);
	lock_release(&cpu->door.lock, token);
}

/* Makes a new block, and takes its first place before the block is published. */
static bool from_new(struct vmap *v, struct ram *ram, struct place *place, unsigned flags,
		     int *error)
{
	unsigned slot = (unsigned)stack_slot(&v->stacks.cpu);
	struct ram_block *block;
	uint32_t range;

	place->index = pool_alloc(&ram->pool, flags);
	*error = -ENOMEM;
	if (place->index == POOL_NONE)
		return false;
	range = frames_take(v, ram->block_pages, ram->block_pages, QUIRE_VMAP_BLOCK, flags, error);
	if (range == RANGE_NONE) {
		pool_free(&ram->pool, place->index);
		return false;
	}
	range_at(v, range)->owner = place->index;
	block = ram_block(ram, place->index);
	*block = (struct ram_block){ .state = ram->block_pages - place->pages,
				     .range = range,
				     .cpu = RAM_CPU_NONE };
	place->offset = 0;
	mark_start(block, 0);
	fetch_add_relaxed(&ram->blocks_nr, 1);
	publish_block(v, ram, slot, place->index);
	return true;
}

/* ---- ending mappings ---- */

/* Marks pages dirty.  The call that makes the last page of a block dirty frees the block's range;
 * no other user touches the block afterwards. */
static void give(struct vmap *v, struct ram *ram, const struct place *place)
{
	struct ram_block *block = ram_block(ram, place->index);
	uint32_t range = block->range, state, left = place->pages;

	for (uint32_t at = place->offset; left != 0;) {
		uint32_t n = 64 - at % 64 < left ? 64 - at % 64 : left;
		uint64_t bits = (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << at % 64;
		/* Pairs with unflushed(), for what is counted of the mappings; the system, which unmaps, waits for accesses. */
		uint64_t before = fetch_or_acq_rel(&block->dirty[at / 64], bits);

		if ((before & bits) != 0)
			misuse_number("double free", "quire_vm_unmap_ram",
				      (char *)range_addr(v, range_at(v, range)) +
					      ((size_t)at << v->page_shift),
				      "pages", n);
		at += n;
		left -= n;
	}
	/* Pairs with itself and with retire_fragmented(): the record may be another block's soon. */
	state = fetch_add_acq_rel(&block->state, place->pages << RAM_DIRTY_SHIFT);
	if (ram_dirty(state) + place->pages == ram->block_pages)
		frames_give(v, range);
}

/* @taken: pages that were handed out, each after its place was marked. */
static bool starts_at(const struct ram_block *block, uint32_t offset, uint32_t taken)
{
	return offset == taken ||
	       (load_relaxed(&block->starts[offset / 64]) >> offset % 64 & 1); /* as @taken */
}

/* Checks that a place of the size for @count begins at @addr; otherwise reports misuse and
 * stops. */
static void check_place(const struct ram *ram, const void *addr, size_t count,
			const struct place *place)
{
	const struct ram_block *block = ram_block(ram, place->index);
	/* Pairs with take_locked(). */
	uint32_t taken = ram->block_pages - ram_room(load_acquire(&block->state));
	uint32_t end = place->offset + place->pages;
	bool inside = false;

	if (place->offset >= taken || !starts_at(block, place->offset, taken))
		misuse_number("the middle of a mapping", "quire_vm_unmap_ram", addr, "pages",
			      count);
	for (uint32_t i = place->offset + 1; i < end && i < ram->block_pages; i++)
		inside |= starts_at(block, i, taken);
	/* At the end of the block starts_at() reads no mark: all of it was handed out, or the loop has
	 * found where that ends. */
	if (inside || end > ram->block_pages || !starts_at(block, end, taken))
		misuse_number("wrong count", "quire_vm_unmap_ram", addr, "pages", count);
}

/* ---- public ---- */

/* 1 -> 1, 3 -> 4, 64 -> 64. */
static uint32_t place_pages(size_t count)
{
	uint32_t pages = 1;

	while (pages < count)
		pages *= 2;
	return pages;
}

static void *map_small(struct vmap *v, void *const *pages, size_t count, unsigned flags, int *error)
{
	struct place place = { .pages = place_pages(count) };
	struct ram *ram = get(v, flags);
	char *addr;

	*error = -ENOMEM;
	if (ram == NULL)
		return NULL;
	if (!from_room(v, ram, &place) && !from_new(v, ram, &place, flags, error))
		return NULL;
	addr = range_addr(v, range_at(v, ram_block(ram, place.index)->range));
	addr += (size_t)place.offset << v->page_shift;
	*error = frames_map(v, addr, pages, count, flags);
	if (*error != 0) {
		give(v, ram, &place);
		return NULL;
	}
	fetch_add_relaxed(&v->block_maps, 1);
	return addr;
}

void *quire_vm_map_ram(struct quire *q, void *const *pages, size_t count, unsigned flags)
{
	int error = -EINVAL;
	struct vmap *v = frames_get(q, pages, count, flags, &error);
	void *addr = NULL;

	if (v != NULL && lock_nested() && !(flags & QUIRE_NOLOCK)) {
		error = -EAGAIN;
		v = NULL;
	}
	/* A block is under its CPU's lock, for which NOLOCK does not wait. */
	if (v != NULL && count <= RAM_PLACE_MAX && !(flags & QUIRE_NOLOCK))
		addr = map_small(v, pages, count, flags, &error);
	else if (v != NULL)
		addr = frames_map_area(v, pages, count, QUIRE_VMAP_BLOCK, flags, &error);
	if (addr == NULL)
		process_set_errno(-error);
	else if (q->annotated)
		annotate_alloc(addr, count << q->page_shift, true);
	return addr;
}

/* The block that contains an address, or POOL_NONE. */
static uint32_t ram_at(const struct vmap *v, const struct ram *ram, const void *addr)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)v->base;
	uint32_t page = (uint32_t)(offset >> v->page_shift);

	if (ram == NULL || offset >= v->span_bytes || page / ram->block_pages >= ram->slots_nr)
		return POOL_NONE;
	/* The block was published before the caller had a place in it, which keeps it alive. */
	return load_relaxed(&ram->table[page / ram->block_pages]) - 1;
}

void quire_vm_unmap_ram(struct quire *q, void *addr, size_t count)
{
	struct vmap *v = load_acquire(&q->vmap); /* pairs with its making in vmap_get() */
	struct place place;
	struct ram *ram;

	if (addr == NULL || q->dead)
		return;
	if (v == NULL)
		misuse_number("foreign pointer", "quire_vm_unmap_ram", addr, "pages", count);
	ram = load_acquire(&v->ram); /* pairs with get() */
	place.index = ram_at(v, ram, addr);
	if (place.index == POOL_NONE) {
		uint32_t index = vmap_check_free(v, addr, QUIRE_VMAP_BLOCK, "quire_vm_unmap_ram");

		if (range_at(v, index)->usable != count)
			misuse_number("wrong count", "quire_vm_unmap_ram", addr, "pages", count);
		if (q->annotated)
			annotate_free(addr, count << q->page_shift);
		frames_give(v, index);
		return;
	}
	if (((uintptr_t)addr & (((uintptr_t)1 << q->page_shift) - 1)) != 0)
		misuse_number("not the start of a page", "quire_vm_unmap_ram", addr, "pages",
			      count);
	if (count == 0 || count > RAM_PLACE_MAX)
		misuse_number("wrong count", "quire_vm_unmap_ram", addr, "pages", count);
	place.offset = (uint32_t)(((uintptr_t)addr - (uintptr_t)v->base) >> v->page_shift) %
		       ram->block_pages;
	place.pages = place_pages(count);
	check_place(ram, addr, count, &place);
	if (q->annotated)
		annotate_free(addr, count << q->page_shift);
	give(v, ram, &place);
}
