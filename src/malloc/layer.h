/* SPDX-License-Identifier: MIT */
/*
 * malloc/layer.h - modes in which malloc looks at each block, and the layers that do
 *
 * Words
 *   mode     a bit of malloc_heap.modes: MALLOC_...  The bits are constant once the heap is ready (in a child of fork
 *            once it has one).  If any is set, small_end and entries stay zero, so that every call is cold, and
 *            fast paths know nothing of modes
 *   layer    four functions that a cold call goes through: malloc_heap.layer, the top one.  Without a mode it is
 *            malloc_plain, the heap itself, or malloc_sampled (sampled.h), or once it was asked for the profile's
 *            (profile.h), for good.  A layer of a mode gets its blocks from
 *            the one below it, asks it for more bytes than its user did, and gives its user an address inside: its
 *            alloc() is the one place where a request grows, its free(), usable() and resize() are where a user's
 *            address becomes a block of the layer below
 *   block    what a layer got from the one below; that of the top layer is the program's
 *
 * Layers from the top: recorded, debug, hardened, plain.  MALLOC_COUNTED has none: malloc_plain counts (counted.h).
 *
 * Context.  Layers are called with the heap ready, and with blocks that are not the boot arena's (boot.h).  In a
 * handler that interrupted a lock's holder the layer below may return one of the boot arena all the same: a layer
 * hands it on as it is, since its free() will not see it.  The caller restores errno.
 */
#ifndef MALLOC_LAYER_H
#define MALLOC_LAYER_H

#include <stdbool.h>
#include <stddef.h>

#define MALLOC_COUNTED	1u /* quire run counts calls and sizes */
#define MALLOC_DEBUG	2u /* debug:on */
#define MALLOC_HARDENED 4u /* hardened:on */
#define MALLOC_RECORDED 8u /* quire record has each call */

/* Who called, for messages and stacks. */
struct malloc_call {
	const char *function; /* that misuse messages name */
	const void *pc;	      /* where it returns to in the program */
	const void *
		frame; /* of the cold function, which has the program's frame pointer as its first word */
};

/* Only in a function that one of the family called by a tail call. */
#define MALLOC_CALL(name)                                                                          \
	(&(const struct malloc_call){ .function = (name),                                          \
				      .pc = __builtin_return_address(0),                           \
				      .frame = __builtin_frame_address(0) })

struct malloc_layer {
	/* A block of @bytes at a multiple of @align, a power of two from MALLOC_ALIGN on; with QUIRE_ZERO its first @bytes
	 * read zero.  NULL: refused. */
	void *(*alloc)(size_t bytes, size_t align, unsigned flags, const struct malloc_call *call);
	/* These three stop the process if @block is none. */
	void (*free)(void *block, const struct malloc_call *call);
	/* Bytes that the user of @block may write. */
	size_t (*usable)(const void *block, const struct malloc_call *call);
	/* @block, or another one with as much of its content.  NULL: refused, and @block is as it was. */
	void *(*resize)(void *block, size_t bytes, const struct malloc_call *call);
	/* Gives the layer below what is freed but kept, after a look at it; NULL: nothing is kept. */
	void (*flush)(const struct malloc_call *call);
	bool exact; /* usable() is what the block was asked for with, to the byte */
};

/* The heap itself: plain_... in alloc.c, free.c, resize.c. */
extern const struct malloc_layer malloc_plain __attribute__((visibility("hidden")));

void *plain_alloc(size_t bytes, size_t align, unsigned flags, const struct malloc_call *call);
/* A run of pages for a small block, as large as @bytes at least: its free() is cold.  NULL: refused. */
void *plain_alloc_apart(size_t bytes, size_t align, unsigned flags);
void plain_free(void *block, const struct malloc_call *call);
size_t plain_usable(const void *block, const struct malloc_call *call);
void *plain_resize(void *block, size_t bytes, const struct malloc_call *call);

#endif
