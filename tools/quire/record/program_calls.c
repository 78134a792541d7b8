/* SPDX-License-Identifier: MIT */
/*
 * program_calls.c - pages, areas, per-CPU objects and objects of caches: as the kernel's, but without where they were placed
 *
 * A call's class ends with the number of the instance (FORMAT.md).  Pages that are freed in parts, since they were
 * split or are no power of two many, are halved until the part is a block of its own, as the kernel's are.
 */
#include "record/program_calls.h"

#include <quire/quire.h>

/* Bits of the kernel's gfp (FORMAT.md) that say the same as a flag. */
#define GFP_MOVABLE	   (UINT64_C(1) << 3)
#define GFP_RECLAIMABLE	   (UINT64_C(1) << 4)
#define GFP_HIGH	   (UINT64_C(1) << 5)
#define GFP_ZERO	   (UINT64_C(1) << 8)
#define GFP_DIRECT_RECLAIM (UINT64_C(1) << 10)
#define GFP_KSWAPD_RECLAIM (UINT64_C(1) << 11)
#define GFP_NORETRY	   (UINT64_C(1) << 16)

/* Of a class, as in FORMAT.md. */
#define MIGRATETYPE_MOVABLE	1
#define MIGRATETYPE_RECLAIMABLE 2
#define PERCPU_RESERVED		1
#define FROM_A_CACHE		1

#define PERCPU_BYTES_MAX                                                                           \
	(UINT64_C(1) << 20) /* that a reader takes; only refused calls ask for more */

#define NO_WAIT (QUIRE_NOWAIT | QUIRE_ATOMIC | QUIRE_NOLOCK)

static uint64_t gfp_of(unsigned flags)
{
	uint64_t gfp = GFP_KSWAPD_RECLAIM;

	gfp |= flags & NO_WAIT ? 0 : GFP_DIRECT_RECLAIM;
	gfp |= flags & QUIRE_MOVABLE ? GFP_MOVABLE : 0;
	gfp |= flags & QUIRE_RECLAIMABLE ? GFP_RECLAIMABLE : 0;
	gfp |= flags & QUIRE_ATOMIC ? GFP_HIGH : 0;
	gfp |= flags & QUIRE_ZERO ? GFP_ZERO : 0;
	gfp |= flags & QUIRE_NORETRY ? GFP_NORETRY : 0;
	return gfp;
}

static uint64_t migratetype_of(unsigned flags)
{
	if (flags & QUIRE_MOVABLE)
		return MIGRATETYPE_MOVABLE;
	if (flags & QUIRE_RECLAIMABLE)
		return MIGRATETYPE_RECLAIMABLE;
	return flags & QUIRE_ATOMIC ? KATR_HIGHATOMIC : 0;
}

/* ---- classes --------------------------------------------------------------------------------- */

/* What an event says. */
struct call {
	struct katr_moment at;
	enum ring_op op;
	uint32_t process, instance;
	uint64_t address; /* 0: refused */
	struct ring_request request;
};

static const char *const sites[RING_OPS_NR] = {
	[RING_AREA] = "quire_vmalloc",
	[RING_AREA_KV] = "quire_kvmalloc",
	[RING_AREA_RESIZED] = "quire_vrealloc",
	[RING_AREA_PAGES] = "quire_vmap",
	[RING_AREA_RAM] = "quire_vm_map_ram",
	[RING_PERCPU] = "quire_alloc_percpu",
	[RING_PERCPU_RESERVED] = "quire_alloc_reserved_percpu",
	[RING_OBJECT] = "quire_cache_alloc",
};

static uint64_t site_of(struct program_live *live, const struct call *call)
{
	return katr_writer_string(live->writer, sites[call->op]);
}

static uint64_t page_bytes(const struct program_live *live)
{
	return UINT64_C(1) << live->writer->page_shift;
}

static uint64_t most(uint64_t value, uint64_t max)
{
	return value < max ? value : max;
}

/* The smallest order of as many bytes: with pages of 4 KiB 1 -> 0, 4096 -> 0, 4097 -> 1. */
static unsigned order_for(const struct program_live *live, uint64_t bytes)
{
	unsigned order = 0;

	while (order < KATR_ORDER_MAX && page_bytes(live) << order < bytes)
		order++;
	return order;
}

static struct program_block block_of(const struct call *call, enum katr_kind kind, uint64_t bytes)
{
	return (struct program_block){ .kind = kind,
				       .place = program_place(call->process, call->address),
				       .bytes = bytes,
				       .instance = call->instance };
}

static struct program_block pages_of(struct program_live *live, const struct call *call,
				     unsigned order)
{
	const uint64_t values[] = { order, gfp_of(call->request.flags),
				    migratetype_of(call->request.flags), call->instance };
	struct program_block block = block_of(call, KATR_PAGE, page_bytes(live) << order);

	block.class_index = katr_writer_class(live->writer, KATR_PAGE, values, 4);
	return block;
}

/* As the kernel's, its size has a guard page; that of a block of mappings has none. */
static struct program_block area_of(struct program_live *live, const struct call *call)
{
	uint64_t page = page_bytes(live), asked = call->request.bytes;
	uint64_t bytes = (asked + page - 1) / page * page, use = KATR_AREA_VMALLOC;
	struct program_block block;

	if (call->op == RING_AREA_PAGES)
		use = KATR_AREA_VMAP;
	if (call->op == RING_AREA_RAM)
		use = KATR_AREA_BLOCK;
	if (use != KATR_AREA_BLOCK || bytes == 0)
		bytes += page;
	block = block_of(call, KATR_VMAP, bytes);
	block.class_index = katr_writer_class(
		live->writer, KATR_VMAP,
		(const uint64_t[]){ bytes, UINT64_C(1) << call->request.align_shift, 0, use,
				    site_of(live, call), call->instance },
		6);
	return block;
}

static struct program_block percpu_of(struct program_live *live, const struct call *call,
				      uint32_t cpus_nr)
{
	uint64_t bytes = most(call->request.bytes, PERCPU_BYTES_MAX);
	uint64_t flags = call->op == RING_PERCPU_RESERVED ? PERCPU_RESERVED : 0;
	struct program_block block;

	if (bytes == 0)
		bytes = 1;
	if (call->request.flags & NO_WAIT)
		flags |= KATR_PERCPU_ATOMIC;
	block = block_of(call, KATR_PERCPU, bytes);
	block.class_index = katr_writer_class(
		live->writer, KATR_PERCPU,
		(const uint64_t[]){ bytes, UINT64_C(1) << call->request.align_shift,
				    gfp_of(call->request.flags), flags, bytes * cpus_nr,
				    site_of(live, call), call->instance },
		7);
	return block;
}

static struct program_block object_of(struct program_live *live, const struct call *call)
{
	uint64_t bytes = call->request.bytes;
	struct program_block block = block_of(call, KATR_SLAB, bytes);

	block.class_index = katr_writer_class(
		live->writer, KATR_SLAB,
		(const uint64_t[]){ bytes, bytes, gfp_of(call->request.flags), FROM_A_CACHE, 0, 0,
				    site_of(live, call), call->instance },
		8);
	return block;
}

/* ---- records --------------------------------------------------------------------------------- */

static void take_alloc(struct program_live *live, const struct call *call,
		       const struct program_block *block)
{
	if (call->address == 0)
		program_live_refuse(live, call->at, block);
	else
		program_live_begin(live, call->at, block);
}

/* Ends the part of @order that begins at @address, of whichever block has it. */
static void end_part(struct program_live *live, const struct call *call, uint64_t address,
		     unsigned order)
{
	uint64_t place = program_place(call->process, address), head = place;
	int found = program_live_order(live, place);

	for (unsigned above = order + 1; found < (int)order && above <= KATR_ORDER_MAX; above++) {
		head = program_place(call->process, address & ~((page_bytes(live) << above) - 1));
		found = program_live_order(live, head);
		if (found < (int)above)
			found = -1;
	}
	for (; found > (int)order; found--) {
		program_live_halve(live, call->at, head, (unsigned)found);
		if (place - head >= page_bytes(live) << (found - 1))
			head += page_bytes(live) << (found - 1);
	}
	program_live_end(live, call->at, KATR_PAGE, place);
}

/* Ends the pages from @from up to @end by blocks that are as large as their addresses allow. */
static void end_pages(struct program_live *live, const struct call *call, uint64_t from,
		      uint64_t end)
{
	while (from < end) {
		unsigned order = 0;

		while (order < KATR_ORDER_MAX && from % (page_bytes(live) << (order + 1)) == 0 &&
		       from + (page_bytes(live) << (order + 1)) <= end)
			order++;
		end_part(live, call, from, order);
		from += page_bytes(live) << order;
	}
}

static uint64_t end_of(const struct program_live *live, const struct call *call)
{
	uint64_t page = page_bytes(live);

	return call->address + (call->request.bytes + page - 1) / page * page;
}

/* The block that was taken, of which the end is given back. */
static void take_exact(struct program_live *live, const struct call *call)
{
	unsigned order = order_for(live, call->request.bytes);
	struct program_block block = pages_of(live, call, order);

	take_alloc(live, call, &block);
	if (call->address != 0)
		end_pages(live, call, end_of(live, call), call->address + block.bytes);
}

static void take_pages(struct program_live *live, const struct call *call)
{
	unsigned order = (unsigned)most(call->request.bytes, KATR_ORDER_MAX);
	struct program_block block;

	switch (call->op) {
	case RING_PAGES:
		block = pages_of(live, call, order);
		take_alloc(live, call, &block);
		break;
	case RING_PAGES_EXACT:
		take_exact(live, call);
		break;
	case RING_PAGES_FREE:
		end_part(live, call, call->address, order);
		break;
	default:
		end_pages(live, call, call->address, end_of(live, call));
	}
}

static void take_object(struct program_live *live, const struct call *call, uint32_t cpus_nr)
{
	uint64_t place = program_place(call->process, call->address);
	struct program_block block;

	switch (call->op) {
	case RING_AREA_FREE:
		program_live_end(live, call->at, KATR_VMAP, place);
		return;
	case RING_PERCPU_FREE:
		program_live_end(live, call->at, KATR_PERCPU, place);
		return;
	case RING_OBJECT_FREE:
		program_live_end(live, call->at, KATR_SLAB, place);
		return;
	case RING_OBJECT:
		block = object_of(live, call);
		break;
	case RING_PERCPU:
	case RING_PERCPU_RESERVED:
		block = percpu_of(live, call, cpus_nr);
		break;
	default:
		block = area_of(live, call);
	}
	take_alloc(live, call, &block);
}

void program_take_call(struct program_live *live, const struct spool_event *event, uint32_t cpus_nr)
{
	const struct call call = {
		.at = { .ns = event->event.time_ns, .cpu = event->cpu },
		.op = ring_event_op(&event->event),
		.process = event->process,
		.instance = ring_instance_of(event->event.address),
		.address = ring_address_of(event->event.address),
		.request = ring_request_of(event->event.bytes),
	};

	if (call.op == RING_INSTANCE_END)
		program_live_end_instance(live, call.at, call.process, call.instance);
	else if (call.op <= RING_PAGES_EXACT_FREE)
		take_pages(live, &call);
	else
		take_object(live, &call, cpus_nr);
}
