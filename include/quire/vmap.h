/* SPDX-License-Identifier: MIT */
/*
 * vmap.h - areas: large, virtually contiguous memory that is cheap to free
 *
 * An area is a run of pages in an address range separate from that of quire_alloc_pages().  Freeing is
 * lazy: a freed area is cached for reuse without a system call, then published on a lazy list, and
 * returned to the system by a purge, many areas in one call.  Until then its addresses are not used
 * for anything else.  Cached and lazy areas count against the instance's limit, and are released
 * before an allocation is refused.
 *
 * Sizes are rounded up to whole pages.  The next page is a guard page (option guard), so running off
 * the end of an area faults.  Beyond the budget of mappings (docs/vmap.md) an area may have no guard page.  With
 * cache:on up to a quarter of the size is added after the guard.  All frees are legal anywhere,
 * including signal handlers.  The size and start queries accept interior pointers.
 *
 * Calls and statistics count as bytes of an area what its user may access: the requested size, rounded
 * up to whole pages, without guard pages and without what caching adds.  A freed area keeps its count;
 * a new area that is cut out of freed ones reduces theirs.  Mappings of pages are areas too, and hold
 * no memory of their own.
 *
 * QUIRE_NOWAIT and QUIRE_ATOMIC.  Such a call waits for no other thread's work, only for spin locks
 * that are held for a bounded time; it may make system calls that commit addresses.  If another thread
 * is committing addresses, the call commits different ones.  It is refused only
 *   - at the limit, or when the addresses are used up: nothing is purged for it, so areas that are
 *     cached on other CPUs or wait for a purge are missed;
 *   - if the system refuses to commit memory;
 *   - if other threads are committing all addresses where the area could be placed, or 16 other such
 *     calls are each committing some;
 *   - if it is the instance's first call about areas while another thread creates the instance's first
 *     area or per-CPU object, or forks.
 * QUIRE_NOLOCK commits nothing, and is served from committed memory.
 */
#ifndef QUIRE_VMAP_H
#define QUIRE_VMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <quire/quire.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

/* How to place an area.  Initialise it with QUIRE_VMALLOC_OPTIONS_INIT(), and set what you need. */
struct quire_vmalloc_options {
	uint32_t struct_bytes; /* sizeof(struct quire_vmalloc_options) */
	uint32_t flags;	       /* QUIRE_ZERO, QUIRE_NOWAIT, ...; QUIRE_NODE is a hint */
	size_t align_bytes;    /* power of two; 0 means one page */
	const void *start;     /* the area lies in [start, end); NULL: anywhere */
	const void *end;       /* NULL: no bound */
};

/* Takes designated fields, as QUIRE_OPTIONS_INIT() does. */
#define QUIRE_VMALLOC_OPTIONS_INIT(...) QUIRE_SIZED_WITH_(struct quire_vmalloc_options, __VA_ARGS__)

/**
 * quire_vmalloc - allocate an area
 * @q:		instance
 * @bytes:	rounded up to whole pages; at least 1
 * @flags:	QUIRE_*
 *
 * Areas of 2 MiB and more begin at a multiple of 2 MiB.  They have huge pages with thp:on, and with
 * thp:auto if similar areas are known to be written.  QUIRE_HUGE says that the caller will write all of
 * this one: an area of 2 MiB and more then has huge pages at once with thp:auto, and so has what it grows
 * by.  It changes nothing for smaller areas, or with thp:off.  QUIRE_NOHUGE asks for none, with thp:on too: for addresses
 * that are used for the first time or after a purge; what is used again keeps what it has, and what is
 * found written twice may become huge.
 * Content is unspecified unless QUIRE_ZERO is given.
 *
 * Returns   the first byte, or NULL with errno set; then nothing has changed:
 *             EINVAL      @bytes is 0, a flag is unknown, or QUIRE_HUGE and QUIRE_NOHUGE are both given
 *             ENOSPC      no hole of addresses is large enough, even after purging
 *             ENOMEM      the limit is reached even after purging, or the system refused memory or mappings
 *             EOWNERDEAD  an instance with backing:memfd, in a child of fork
 * Context   may wait for a purge, or for a thread that commits addresses, and before a refusal runs the
 *           program's shrinkers or waits for another thread's (quire_shrinker_register()); with NOWAIT or ATOMIC it
 *           waits for spin locks alone, and fails as described at the top; from a signal handler only with NOLOCK.
 * Cost      a few instructions for a size that was freed before on this CPU; else a lock and
 *           O(log ranges), and a system call for a guard page that is not there yet.
 * Pair      quire_vfree().
 * Linux     vmalloc(), and with QUIRE_HUGE vmalloc_huge(); the kernel frees the pages at once and only the
 *           addresses lazily, we keep both until the purge.
 */
void *quire_vmalloc(struct quire *q, size_t bytes, unsigned flags);

/**
 * quire_vzalloc - allocate an area that reads zero: quire_vmalloc() with QUIRE_ZERO
 * @q:		instance
 * @bytes:	as for quire_vmalloc()
 * @flags:	QUIRE_*
 *
 * Returns   as quire_vmalloc().
 * Context   as quire_vmalloc().
 * Cost      as quire_vmalloc(); a reused area is cleared, memory fresh from the system is not.
 * Pair      quire_vfree().
 * Linux     vzalloc().
 */
void *quire_vzalloc(struct quire *q, size_t bytes, unsigned flags);

/**
 * quire_vmalloc_with - allocate an area with an alignment, or within bounds
 * @q:		instance
 * @bytes:	as for quire_vmalloc()
 * @options:	placement; NULL means anywhere; copied
 *
 * With bounds, the lowest address that fits is taken.
 *
 * Returns   as quire_vmalloc(); errno EINVAL also for an @align_bytes that is not a power of two, or a
 *           struct_bytes that is not set; E2BIG for an option that this version does not know; ENOSPC
 *           also for bounds that are empty, or an alignment that the addresses for areas cannot give.
 * Context   as quire_vmalloc().
 * Cost      as quire_vmalloc(); with bounds always a lock and O(log ranges).
 * Pair      quire_vfree().
 * Linux     __vmalloc_node_range().
 */
void *quire_vmalloc_with(struct quire *q, size_t bytes,
			 const struct quire_vmalloc_options *options);

/**
 * quire_vfree - free an area
 * @q:		the instance it came from
 * @addr:	its first byte; NULL does nothing
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      a few instructions; one lock for half a stack when this CPU's is full.  A system call only
 *           to wake the worker or to start its thread (never in a handler: docs/locking.md); with
 *           guard:freed one for each free.
 * Linux     vfree(), vfree_atomic().
 */
void quire_vfree(struct quire *q, void *addr);

/**
 * quire_vrealloc - change an area's size
 * @q:		the instance it came from
 * @addr:	an area; NULL allocates
 * @bytes:	new size; 0 frees and returns NULL
 * @flags:	QUIRE_*; with QUIRE_ZERO bytes beyond the old size read zero, if it was given at every
 *		call before too
 *
 * Grows in place if the addresses that follow are free or cached; otherwise the area moves.  An area
 * that shrinks stays in place, and its tail is freed if that is more than a quarter of it.
 *
 * Returns   the area, or NULL with errno as for quire_vmalloc(); then @addr is as it was.  NULL with errno
 *           unchanged if @bytes is 0.
 * Context   as quire_vmalloc().
 * Cost      a few instructions within the pages that the area has; a system call or two where its guard
 *           moves; a lock and O(log ranges) to grow in place or to free the tail; to move a copy, or from
 *           2 MiB on a system call, which moves page tables.
 * Linux     vrealloc().
 */
void *quire_vrealloc(struct quire *q, void *addr, size_t bytes, unsigned flags);

/**
 * quire_vmalloc_size - bytes asked for of the area that @addr points into
 * @q:		instance
 * @addr:	any address
 *
 * Mappings are areas, too; one of quire_vm_map_ram() may be part of a larger one, its vmap block.
 *
 * Returns   the size; 0 if @addr is in no area.
 * Context   may wait for a spin lock; not from a signal handler.
 * Cost      one lock and a few loads, however many areas there are.
 * Linux     get_vm_area_size() of find_vm_area(); is_vmalloc_addr().
 */
size_t quire_vmalloc_size(const struct quire *q, const void *addr);

/**
 * quire_vmalloc_start - first byte of the area that @addr points into
 * @q:		instance
 * @addr:	any address
 *
 * Returns   the first byte; NULL if @addr is in no area.
 * Context   as quire_vmalloc_size().
 * Cost      as quire_vmalloc_size().
 * Linux     find_vm_area().
 */
void *quire_vmalloc_start(const struct quire *q, const void *addr);

/**
 * quire_kvmalloc - memory of any size: up to 64 KiB from pages, else an area
 * @q:		instance
 * @bytes:	at least 1
 * @flags:	QUIRE_*
 *
 * Where no run of pages is long enough, a small size gets an area, too.
 *
 * Returns   as quire_vmalloc().
 * Context   as quire_vmalloc().
 * Cost      as quire_alloc_pages() or quire_vmalloc().
 * Pair      quire_kvfree().
 * Linux     kvmalloc().
 */
void *quire_kvmalloc(struct quire *q, size_t bytes, unsigned flags);

/**
 * quire_kvfree - free memory of quire_kvmalloc()
 * @q:		the instance it came from
 * @addr:	its first byte; NULL does nothing
 *
 * Context   as quire_vfree().
 * Cost      as quire_free_pages() or quire_vfree().
 * Linux     kvfree().
 */
void quire_kvfree(struct quire *q, void *addr);

/**
 * quire_vmap - map pages again, one after the other
 * @q:		an instance with backing:memfd
 * @pages:	addresses of pages of quire_alloc_pages(); any may repeat
 * @count:	pages
 * @flags:	QUIRE_*, but not QUIRE_ZERO
 *
 * Returns   the mapping's first byte, or NULL with errno: EINVAL (no pages, or one that is not a
 *           page of @q), ENOTSUP (backing:anon), ENOSPC, ENOMEM (also at the system's bound on
 *           mappings, even after purging), EOWNERDEAD.
 * Context   as quire_vmalloc().
 * Cost      a look at each page, a lock, O(log ranges), and a system call for each run of pages that are
 *           neighbours already.
 * Pair      quire_vunmap(), before the pages are freed.
 * Linux     vmap().
 */
void *quire_vmap(struct quire *q, void *const *pages, size_t count, unsigned flags);

/**
 * quire_vunmap - free a mapping of quire_vmap()
 * @q:		the instance it came from
 * @addr:	its first byte; NULL does nothing
 *
 * The pages still belong to their owner.  The mapping remains accessible until a purge.
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      a few instructions: the purge makes the system calls, one for many mappings.
 * Linux     vunmap().
 */
void quire_vunmap(struct quire *q, void *addr);

/**
 * quire_vm_map_ram - map a few pages for a short time
 * @q:		an instance with backing:memfd
 * @pages:	as for quire_vmap()
 * @count:	pages
 * @flags:	as for quire_vmap()
 *
 * As quire_vmap(), but up to 64 pages come from a vmap block of this CPU, unless NOLOCK is given.
 *
 * Returns   as quire_vmap().  NOWAIT and ATOMIC are also refused (ENOMEM) while another thread makes the
 *           instance's first such mapping.
 * Context   as quire_vmap(); from a signal handler only with NOLOCK.
 * Cost      a look at each page, one lock of this CPU, and a system call for each run of pages that are
 *           neighbours already; a new block for every 128 to 1,024 pages.
 * Pair      quire_vm_unmap_ram() with the same count.
 * Linux     vm_map_ram(), which has a node in place of flags.
 */
void *quire_vm_map_ram(struct quire *q, void *const *pages, size_t count, unsigned flags);

/**
 * quire_vm_unmap_ram - end a mapping of quire_vm_map_ram()
 * @q:		the instance it came from
 * @addr:	its first byte; NULL does nothing
 * @count:	as given to quire_vm_map_ram()
 *
 * The mapping remains accessible until a purge, or until quire_vm_unmap_aliases().
 *
 * Context   anywhere, signal handlers included; takes no lock and never waits.
 * Cost      a few atomic operations; the purge of the whole block makes the system calls.
 * Linux     vm_unmap_ram().
 */
void quire_vm_unmap_ram(struct quire *q, void *addr, size_t count);

/**
 * quire_vm_unmap_aliases - unmap all freed areas and flush stale translations
 * @q:		instance
 *
 * When it returns, no CPU can reach what was freed or unmapped before the call; fragmented vmap
 * blocks are purged.
 *
 * Context   waits for purges in flight; not from a signal handler.
 * Cost      as quire_vmap_purge(), and a look at every vmap block.
 * Linux     vm_unmap_aliases().
 */
void quire_vm_unmap_aliases(struct quire *q);

/**
 * quire_vmap_purge - purge all lazily freed areas now
 * @q:		instance
 *
 * Freed areas that are cached for reuse are purged, too.
 *
 * Returns   bytes of the areas and mappings that were purged.
 * Context   waits for a purge in flight; not from a signal handler.
 * Cost      a look at every CPU's lists, a sort of what was freed, and for up to 1,024 merged ranges a
 *           few system calls with one flush of translations on the CPUs that the process runs on.
 */
size_t quire_vmap_purge(struct quire *q);

/* One area, as a walk shows it. */
struct quire_vmap_area {
	uint32_t struct_bytes; /* what this version of the library fills */
	uint32_t kind;	       /* QUIRE_VMAP_* */
	void *addr;
	size_t bytes; /* as counted above: whole pages, without the guard page */
	size_t asked_bytes;
};
enum quire_vmap_kind {
	QUIRE_VMAP_ALLOC = 1, /* quire_vmalloc() */
	QUIRE_VMAP_PAGES = 2, /* quire_vmap() */
	QUIRE_VMAP_BLOCK = 3, /* a vmap block, or a quire_vm_map_ram() of more than 64 pages */
};

/**
 * quire_vmap_walk - call @visit for each area in use, by rising address
 * @q:		instance
 * @visit:	called with no lock held; returns false to end the walk
 * @arg:	handed to @visit
 *
 * Areas that come or go meanwhile may or may not be seen.  @visit may free the area it is shown.
 *
 * Returns   areas visited; 0 in a child of fork with backing:memfd.
 * Context   may wait for a spin lock; not from a signal handler.
 * Cost      for each area one lock, and a step over each free or cached range before it.
 */
size_t quire_vmap_walk(const struct quire *q,
		       bool (*visit)(const struct quire_vmap_area *area, void *arg), void *arg);

/**
 * quire_text_vmallocinfo - one line for each area in use, in the shape of /proc/vmallocinfo
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   as quire_vmap_walk().
 * Cost      as quire_vmap_walk(), and a line of text for each area.
 */
size_t quire_text_vmallocinfo(const struct quire *q, char *buffer, size_t bytes);

/* What areas hold and have done. */
struct quire_vmap_stat {
	uint32_t struct_bytes; /* before a call its size, afterwards what was filled */
	uint32_t page_shift;
	uint64_t span_bytes;		     /* addresses reserved for areas */
	uint64_t busy_areas, busy_bytes;     /* in use; all three count bytes of areas, as above */
	uint64_t cached_areas, cached_bytes; /* freed, kept for reuse */
	uint64_t lazy_areas, lazy_bytes;     /* freed, waiting for the purge */
	uint64_t lazy_max_bytes;
	uint64_t free_bytes, largest_free_bytes; /* of addresses; fragmentation */
	uint64_t free_ranges;
	uint64_t allocs, frees;
	uint64_t reused;	/* allocations served without a system call or the tree */
	uint64_t tree_allocs;	/* served from the tree of free ranges */
	uint64_t tree_compares; /* nodes visited by tree operations */
	uint64_t tree_operations;
	uint64_t purges;		      /* that found something */
	uint64_t purged_areas, purged_ranges; /* areas freed by them, after merging */
	uint64_t purged_bytes;		      /* of areas */
	uint64_t flushes;     /* calls that took memory away, each one flush of translations */
	uint64_t purge_waits; /* allocations that waited for a purge */
	uint64_t refusals;
	uint64_t
		refusals_spurious; /* purge:counter and purge:lock: a purge in flight would have helped */
	uint64_t areas_per_hold_max; /* returned under one hold of the lock */
	uint64_t vmap_blocks;	     /* live ones */
	uint64_t vmap_block_maps;    /* mappings of quire_vm_map_ram() that one served */
	uint64_t guards_installed;
	uint64_t metadata_bytes;
};

#define QUIRE_VMAP_STAT_INIT QUIRE_SIZED_(struct quire_vmap_stat)

/**
 * quire_vmap_stat_read - what areas hold and have done
 * @q:		instance
 * @stat:	initialised; to be filled
 *
 * Exact while no other thread uses the instance.
 *
 * Returns   0; -EINVAL if @stat's size is not set; -EOWNERDEAD where shared frames are another process's.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      a look at every area, those that were freed and not purged included, under one lock that
 *           other calls wait for.
 */
int quire_vmap_stat_read(const struct quire *q, struct quire_vmap_stat *stat);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop
#endif
