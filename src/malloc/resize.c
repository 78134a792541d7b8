/* SPDX-License-Identifier: MIT */
/*
 * malloc/resize.c - realloc()
 *
 *   block      new size                            what is done
 *   any        it fits, and is at least half       nothing
 *   area       more than MALLOC_SMALL_MAX          the area is resized: in place, or its memory moves to other
 *                                                  addresses (vmap/realloc.c)
 *   any        else                                another block, to which as much is copied as both have: at
 *                                                  most MALLOC_SMALL_MAX, but of a run of pages all
 *
 * An early block stays one while the boot arena has room.  If a block that should shrink cannot, because another
 * is refused, it stays as large as it is: C programs do not expect a smaller size to fail.
 */
#include "malloc/heap.h"

#include <quire/quire.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/process.h"
#include "malloc/boot.h"
#include "malloc/counted.h"
#include "malloc/layer.h"

static void *move(void *block, size_t usable, size_t bytes, const struct malloc_call *call)
{
	void *to = plain_alloc(bytes, MALLOC_ALIGN, 0, call);

	if (to == NULL)
		return NULL;
	memcpy(to, block, usable < bytes ? usable : bytes);
	plain_free(block, call);
	return to;
}

static void *resize_area(void *block, size_t usable, size_t bytes)
{
	void *to = NULL;

	if (bytes <= PTRDIFF_MAX)
		to = quire_vrealloc(malloc_heap.q, block, malloc_area_bytes(bytes), 0);
	if (UNLIKELY(malloc_heap.modes & MALLOC_COUNTED) && to != NULL) {
		malloc_counted_free(0, usable, true);
		malloc_counted_alloc(0, malloc_large_bytes(to, "realloc"), true);
	}
	return to;
}

void *plain_resize(void *block, size_t bytes, const struct malloc_call *call)
{
	size_t usable = plain_usable(block, call);
	void *to;

	if (bytes <= usable && bytes >= usable / 2)
		return block;
	if (bytes > MALLOC_SMALL_MAX && malloc_is_area(block))
		to = resize_area(block, usable, bytes);
	else
		to = move(block, usable, bytes, call);
	if (to != NULL || bytes > usable)
		return to;
	store_relaxed(&malloc_heap.shrink_refused, true); /* malloc_check_bytes() reads it */
	return block;
}

/* No function of another library is called, since this one may not be bound yet. */
static void *early_resize(const void *block, size_t bytes)
{
	size_t usable = boot_usable(block);
	const char *from = block;
	char *to = boot_alloc(bytes, MALLOC_ALIGN);

	for (size_t i = 0; to != NULL && i < usable && i < bytes; i++)
		to[i] = from[i];
	return to;
}

/* The arena has no room: another block is the heap's. */
static void *leave_arena(void *block, size_t bytes)
{
	size_t usable = malloc_usable(block, "realloc");
	void *to;

	if (bytes <= usable && bytes >= usable / 2)
		return block;
	to = malloc_cold(bytes);
	if (to == NULL)
		return bytes > usable ? NULL : block;
	memcpy(to, block, usable < bytes ? usable : bytes);
	malloc_free_cold(block, "realloc");
	return to;
}

void *malloc_resize(void *block, size_t bytes)
{
	const struct malloc_layer *layer;
	int error;
	void *to;

	if (UNLIKELY(boot_has(block))) {
		to = early_resize(block, bytes);
		return to != NULL ? to : leave_arena(block, bytes);
	}
	layer = load_acquire(&malloc_heap.layer); /* pairs with publish() */
	if (UNLIKELY(layer == NULL)) {
		(void)malloc_usable(block, "realloc"); /* stops: there is no block yet */
		return NULL;
	}
	error = process_errno();
	to = layer->resize(block, bytes, MALLOC_CALL("realloc"));
	process_set_errno(to != NULL ? error : ENOMEM);
	return to;
}
