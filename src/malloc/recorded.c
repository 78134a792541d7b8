/* SPDX-License-Identifier: MIT */
/*
 * malloc/recorded.c - the layer that records each call for `quire record`
 *
 * Times.  A block's allocation is timed after the layer below has returned it, and its free before the layer below
 * has it back.  So in the order of times no block is handed out that is not free, whatever threads and CPUs do.
 *
 * Not recorded: the blocks of the boot arena, and what malloc_usable_size() and its like look at.
 */
#include "malloc/recorded.h"

#include <quire/quire.h>

#include "base/check.h"
#include "malloc/boot.h"
#include "malloc/heap.h"
#include "malloc/layer.h"
#include "malloc/recording.h"

static struct malloc_layer layer; /* (c): as exact as what is below */
static const struct malloc_layer *lower;

static void put(enum ring_op op, const void *block, size_t bytes)
{
	if (LIKELY(block != NULL && !boot_has(block)))
		recording_put(op, recording_now(), block, bytes);
	else if (block == NULL)
		recording_put(RING_REFUSED, recording_now(), NULL, bytes);
}

static void *recorded_alloc(size_t bytes, size_t align, unsigned flags,
			    const struct malloc_call *call)
{
	void *block = lower->alloc(bytes, align, flags, call);
	enum ring_op op = RING_MALLOC;

	if (flags & QUIRE_ZERO)
		op = RING_CALLOC;
	else if (align > MALLOC_ALIGN)
		op = RING_ALIGNED;
	put(op, block, bytes);
	return block;
}

static void recorded_free(void *block, const struct malloc_call *call)
{
	recording_put(RING_FREE, recording_now(), block, 0);
	lower->free(block, call);
}

static size_t recorded_usable(const void *block, const struct malloc_call *call)
{
	return lower->usable(block, call);
}

static void *recorded_resize(void *block, size_t bytes, const struct malloc_call *call)
{
	uint64_t before = recording_now();
	void *to = lower->resize(block, bytes, call);

	if (to == block || to == NULL) {
		put(RING_RESIZED, to, bytes);
		return to;
	}
	recording_put(RING_LEFT, before, block, 0);
	put(RING_MOVED, to, bytes);
	return to;
}

static void recorded_flush(const struct malloc_call *call)
{
	if (lower->flush != NULL)
		lower->flush(call);
}

const struct malloc_layer *malloc_recorded_begin(const struct malloc_layer *below)
{
	if (!recording_begin())
		return below;
	lower = below;
	layer = (struct malloc_layer){
		.alloc = recorded_alloc,
		.free = recorded_free,
		.usable = recorded_usable,
		.resize = recorded_resize,
		.flush = recorded_flush,
		.exact = below->exact,
	};
	return &layer;
}

const struct malloc_layer *malloc_recorded_fork_child(void)
{
	return recording_begin_child() ? &layer : lower;
}
