/* SPDX-License-Identifier: MIT */
/*
 * malloc/heap.h - the heap: one instance of the process's own, and what every call reads of it
 *
 * Words
 *   small      said of a block of at most MALLOC_SMALL_MAX bytes: an object of a class (slab/slab.h)
 *   large      said of others: an area (quire/vmap.h), or a run of pages where no area can be had
 *   early      said of a block of the boot arena (boot.h)
 *   ready      said of the heap once malloc_begin() has made it.  Until then all fields that fast paths compare
 *              with are zero, so that every call takes its cold path, which is in charge of the rest
 *   cold       said of the path that a call takes if it is not served by this CPU's sheaf
 *
 * With a mode (layer.h) small_end and entries stay zero for good: then every call is cold.
 */
#ifndef MALLOC_HEAP_H
#define MALLOC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/round.h"
#include "machine/lean.h"
#include "malloc/coarse.h"
#include "malloc/learn.h"
#include "malloc/table.h"

struct malloc_layer;
struct quire;
struct slabs;

#define HEAP_PAGE_SHIFT 12 /* of pages: with others every free is cold */

/* Keys: (c) constant once the heap is ready, and zero before. */
struct malloc_heap {
	/* Read by every fast path. */
	size_t small_end; /* atomic: malloc() looks for a sheaf below it; 0 while bytes are counted */
	char *base;	  /* (c) of the instance's pages: entries count from here */
	size_t entries;	  /* (c) free() looks for a sheaf below it */
	uint8_t *byte;	  /* (c) slabs->byte */
	struct lean_stacks lean; /* the sheaves; slabs->lean points to it */
	/* Atomic: not made, made, or the thread that makes it: heap.c.  In the page that malloc() reads first. */
	uint64_t state;
	/* By table_place(): the smallest open class that is large enough.  Atomic: coarse.c and learn.c change it. */
	uint8_t class_of[TABLE_ENTRIES];

	const struct malloc_layer *
		layer; /* atomic: what cold calls go through: layer.h.  NULL until then; the profile's comes later */
	uint32_t modes;	     /* (c) but for forks: MALLOC_..., of those that look at each block */
	struct slabs *slabs; /* (c) */
	struct quire *q;     /* (c) */
	bool shrink_refused; /* atomic: a block may be larger than realloc() leaves blocks */
	struct malloc_coarse coarse;
	struct malloc_learn learn;
	uint32_t
		first_runs; /* atomic, relaxed: large blocks that were runs before there were areas */
	uint64_t run_blocks, run_bytes; /* atomic, relaxed: large blocks that are runs of pages */
};
extern struct malloc_heap malloc_heap __attribute__((visibility("hidden")));

/* Makes the heap ready, unless it is too early in the process's life, or another thread, or an interrupted frame
 * of this one, is at it.  True if it is ready. */
bool malloc_begin(void);
/* The same for a call that nothing else can serve: waits for another thread, and begins without an environment. */
bool malloc_begin_waiting(void);
/* True if the heap is ready; makes nothing. */
bool malloc_is_ready(void);

/* What an area is asked for: all that its user may write, since quire_vrealloc() keeps what was asked for. */
static inline size_t malloc_area_bytes(size_t bytes)
{
	return round_up(bytes, MALLOC_PAGE_BYTES);
}

/* ---- classes as they are now: class.c.  One that was learnt is ready; the others class_make() makes ---- */

/* The smallest class for @bytes, at most MALLOC_SMALL_MAX. */
unsigned malloc_class_for(size_t bytes);
/* Bytes of a block of class @class. */
uint32_t malloc_class_bytes(unsigned class);
/* The next larger class; 0: there is none.  Of class 0 the smallest; while there is no heap, 0. */
unsigned malloc_class_above(unsigned class);
/* The smallest class from @class on whose blocks all begin at multiples of @align, a power of two up to
 * MALLOC_PAGE_BYTES.  There is one, since the largest is a multiple of a page. */
unsigned malloc_class_aligned(unsigned class, size_t align);
/* True if @class can be used: it is made if need be, but not with QUIRE_NOLOCK. */
bool malloc_class_made(unsigned class, unsigned flags);
/* How many classes a handler looks at that interrupted a lock's holder: its own, and those above. */
#define MALLOC_NESTED_CLASSES 8u

/* ---- cold paths: alloc.c, free.c ---- */

void *malloc_cold(size_t bytes);
void malloc_free_cold(void *block, const char *function);
/* A block at a multiple of @align, a power of two.  NULL with errno. */
void *malloc_aligned(size_t align, size_t bytes);
/* The same in *@out.  ENOMEM if refused; errno is as it was. */
int malloc_aligned_into(void **out, size_t align, size_t bytes);
/* A block of @bytes that reads zero.  NULL with errno. */
void *malloc_zeroed(size_t bytes);
void *malloc_resize(void *block, size_t bytes);
/* Bytes that the user of @block may write.  Stops the process if it is no block: @function is in the line. */
size_t malloc_usable(const void *block, const char *function);
/* Bytes of the area or run of pages that begins at @block.  Stops the process likewise. */
size_t malloc_large_bytes(const void *block, const char *function);
/* The class of the slab in which @block is; 0 if it is in none. */
unsigned malloc_class_at(const void *block);
/* True if @block, which is one, is an area. */
bool malloc_is_area(const void *block);
/* Tells the report of a small block that was handed out, if the process counts; NULL and the boot arena's are
 * none.  @slow: not by a sheaf at once. */
void malloc_tell_small(const void *block, bool slow);
/* Stops the process unless @block can be one of @bytes at a multiple of @align. */
void malloc_check_bytes(const void *block, size_t align, size_t bytes, const char *function);

/* From here on a fork tells the heap of its child.  Once, before main(). */
void malloc_register(void);
/* Has fast paths serve as modes and layers permit: with one that samples malloc_cold() counts first (countdown.h). */
void malloc_open_fast_paths(void);
/* Leaves what the instance's worker does to calls, so that its thread does not outlive all others. */
void malloc_retire_worker(void);
/* The process ends, and nothing else of it will run but what ends other libraries. */
void malloc_end(void);
/* Gives back to the system what is free.  Returns bytes. */
size_t malloc_give_back(void);

/* ---- linux/start.c ---- */

/* Functions of other libraries may be called, and options can be read. */
bool malloc_is_bound(void);
/* Nearly so: only what cannot be served otherwise is worth the try. */
bool malloc_is_relocated(void);
void malloc_warn(const char *line);
void malloc_yield(void);

#endif
