/* SPDX-License-Identifier: MIT */
/*
 * page.h - blocks of 2^order pages, naturally aligned
 *
 * Order 0 is one page; the largest order is QUIRE_ORDER_MAX.  The content is unspecified unless
 * QUIRE_ZERO is given.  All frees are legal anywhere, including signal handlers.
 *
 * QUIRE_NOWAIT and QUIRE_ATOMIC.  Such a call waits for no other thread's work, only for spin locks
 * that are held for a bounded number of pages; it may make system calls that commit addresses.
 * While another thread commits pageblocks, the call commits others.  It is refused only
 *   - at the limit: NOWAIT does not use the reserve below the min watermark, ATOMIC leaves three
 *     eighths of it; neither drains other CPUs' lists, so pages there may be missed;
 *   - if the system refuses to commit memory;
 *   - if other threads are committing all pageblocks that are not in use yet: the last 4 to 32 MiB
 *     of the limit, or 15 threads at once that all may not wait;
 *   - while quire_release() or the worker is returning the last free pageblocks.
 * QUIRE_NOLOCK commits nothing and is served from committed memory.
 */
#ifndef QUIRE_PAGE_H
#define QUIRE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <quire/quire.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

#define QUIRE_ORDER_MAX 10
#define QUIRE_ORDERS	(QUIRE_ORDER_MAX + 1)

/**
 * quire_alloc_pages - take 2^order contiguous pages
 * @q:		instance
 * @order:	0..QUIRE_ORDER_MAX
 * @flags:	QUIRE_*
 *
 * Returns   the block, aligned to its own size; or NULL with errno EINVAL (order or flags),
 *           ENOMEM (nothing left, after every CPU's lists were drained unless a flag forbids it), or
 *           EOWNERDEAD (backing:memfd, in a child of fork: see quire_backing).
 * Context   may wait for other CPUs' locks and for memory being given back, and before a refusal runs
 *           the program's shrinkers, or waits for another thread's (quire_shrinker_register()); with NOWAIT or
 *           ATOMIC waits only for a spin lock, with NOLOCK for nothing; from a signal handler only with NOLOCK.
 * Cost      orders 0..4, and blocks of 2 MiB: a few instructions from this CPU's stack, and one lock for
 *           each batch that refills it; others: a lock and O(orders).  System calls for every 4 to 32
 *           MiB that are used for the first time.
 * Pair      quire_free_pages() with the same order.
 * Linux     alloc_pages(), but it returns the address.
 */
void *quire_alloc_pages(struct quire *q, unsigned order, unsigned flags);

/**
 * quire_free_pages - give a block back
 * @q:		the instance it came from
 * @addr:	the block; NULL does nothing
 * @order:	as allocated, or as left by quire_split_pages()
 *
 * Context   anywhere, signal handlers included; never waits for memory.  May start the worker's
 *           thread, but in no handler: docs/locking.md.
 * Cost      as quire_alloc_pages(); it makes no system call but to wake the worker or start its thread.
 * Linux     free_pages().
 */
void quire_free_pages(struct quire *q, void *addr, unsigned order);

/**
 * quire_alloc_pages_bulk - fill the empty entries of an array with single pages
 * @q:		instance
 * @pages:	entries that are not NULL stay as they are
 * @count:	entries of @pages
 * @flags:	QUIRE_*
 *
 * Returns   how many entries are filled now, in the whole array, those that were before included.
 *           Less than @count means that a page was refused, with errno as for quire_alloc_pages();
 *           entries after the refused one that were empty are still NULL, and what was filled is the
 *           caller's.
 * Context   as quire_alloc_pages().
 * Cost      one pop for up to 64 pages of this CPU's stack; otherwise as quire_alloc_pages().
 * Linux     alloc_pages_bulk().
 */
size_t quire_alloc_pages_bulk(struct quire *q, void **pages, size_t count, unsigned flags);

/**
 * quire_free_pages_bulk - give back many single pages, of any zones in any order
 * @q:		instance
 * @pages:	entries that are NULL are passed over; all are NULL afterwards
 * @count:	entries of @pages
 *
 * Context   anywhere, signal handlers included; never waits for memory.
 * Cost      one lock a batch instead of one a page.
 */
void quire_free_pages_bulk(struct quire *q, void **pages, size_t count);

/**
 * quire_alloc_pages_exact - take contiguous pages for a size that is no power of two
 * @q:		instance
 * @bytes:	rounded up to whole pages; 1 .. the largest block
 * @flags:	QUIRE_*
 *
 * The unused end of the block goes back at once.
 *
 * Returns   the pages, or NULL with errno as for quire_alloc_pages(); EINVAL also for @bytes out of range.
 * Context   as quire_alloc_pages().
 * Cost      as quire_alloc_pages() for the next power of two, and a free for each page at its end.
 * Pair      quire_free_pages_exact() with the same size.
 * Linux     alloc_pages_exact().
 */
void *quire_alloc_pages_exact(struct quire *q, size_t bytes, unsigned flags);

/**
 * quire_free_pages_exact - give back what quire_alloc_pages_exact() returned
 * @q:		the instance it came from
 * @addr:	the pages; NULL does nothing
 * @bytes:	as allocated
 *
 * A line about misuse names quire_free_pages(), which frees each page: its fast path is told no name.
 *
 * Context   as quire_free_pages().
 * Cost      as quire_free_pages(), for each page.
 * Linux     free_pages_exact().
 */
void quire_free_pages_exact(struct quire *q, void *addr, size_t bytes);

/**
 * quire_split_pages - make 2^order single pages of one block
 * @q:		instance
 * @addr:	an allocated block
 * @order:	its order
 *
 * Afterwards each page is freed individually, with order 0, in any order and by any thread.
 * Freeing the whole block with @order is misuse ("wrong order"): split pages and single pages of
 * different owners look alike, so the free might hit pages of another owner.
 *
 * Context   anywhere, signal handlers included; takes no lock.
 * Cost      one store for each page.
 * Linux     split_page().
 */
void quire_split_pages(struct quire *q, void *addr, unsigned order);

/**
 * quire_alloc_contig_range - take the pages of a given range, if all of them are free
 * @q:		instance
 * @addr:	the first page's first byte
 * @bytes:	rounded up to whole pages; any number of pageblocks, all of one zone
 * @flags:	QUIRE_ZERO, or 0
 *
 * Nothing is moved out of the way.  The range's pageblocks are isolated, so that no page of it is handed out meanwhile, and
 * every CPU's stacks and lists are drained; afterwards they are as before.  The pages are single ones, as after
 * quire_split_pages(), and may be freed one by one.
 *
 * Returns   0; -EBUSY if a page of the range is in use, or a pageblock of it is not online or isolated already; -EINVAL for a
 *           range that is not of this instance, not of one zone, empty or not of whole pages, or for a flag; -ENOMEM if
 *           the limit permits no more, after all has been tried that quire_alloc_pages() tries; -EOWNERDEAD in a child of
 *           fork with backing:memfd.  Nothing has changed then, but that pageblocks reserved for QUIRE_ATOMIC are not.
 * Context   may wait; not from a signal handler.
 * Cost      visits every slot's lists twice, with one fence, and empties them; a store for each page, and O(orders) for each free
 *           run of its pageblocks.
 * Pair      quire_free_contig_range().
 * Linux     alloc_contig_range(); the kernel migrates what is in use.
 */
int quire_alloc_contig_range(struct quire *q, void *addr, size_t bytes, unsigned flags);

/**
 * quire_free_contig_range - give single pages that are neighbours back, past the CPUs' stacks
 * @q:		the instance they came from
 * @addr:	the first one; NULL does nothing
 * @bytes:	rounded up to whole pages
 *
 * They are in the buddy at once, so that whole pageblocks of them are whole again.
 *
 * Context   as quire_free_pages().
 * Cost      a lock for each page.
 * Linux     free_contig_range().
 */
void quire_free_contig_range(struct quire *q, void *addr, size_t bytes);

/**
 * quire_page_address - first byte of the page that holds an address
 * @q:		instance
 * @addr:	any address
 *
 * Returns   the page; NULL if the address is not one of this instance's pages, free or not.
 * Context   anywhere, signal handlers included; takes no lock.
 * Cost      a few instructions.
 * Linux     PTR_ALIGN_DOWN(), and virt_addr_valid().
 */
void *quire_page_address(const struct quire *q, const void *addr);

/**
 * quire_block_order - order of an allocated block
 * @q:		instance
 * @addr:	its first byte
 *
 * Returns   0..QUIRE_ORDER_MAX; -EINVAL if no allocated block begins there; -EOWNERDEAD in a child of
 *           fork with backing:memfd.
 * Context   anywhere, signal handlers included; takes no lock.
 * Cost      a few instructions.
 * Linux     compound_order().
 */
int quire_block_order(const struct quire *q, const void *addr);

/**
 * quire_page_bytes - size of a page of this instance, in bytes
 * @q:		instance
 *
 * Returns   a power of two, as the option page_shift says; it never changes.
 * Context   anywhere, signal handlers included.
 * Cost      one load.
 * Linux     PAGE_SIZE.
 */
size_t quire_page_bytes(const struct quire *q);

/*
 * Slots.  A slot is one set of stacks and lists, which one CPU uses at a time.  Slots are numbered as
 * the kernel numbers the threads of this process that run at the same time (mm_cid: 0, 1, ... as many
 * as really run), so that memory follows the CPUs in use; by CPU number with `isolated:` or more than
 * one zone, or where the kernel has no such numbers.  So the number of a slot is not that of a CPU,
 * which quire_cpu() returns.
 */

/**
 * quire_drain_slot - empty one slot's stacks and lists into the buddy
 * @q:		instance
 * @slot:	0..quire_slots() - 1, in use or not; with any other number the call does nothing
 *
 * Returns   pages moved to the buddy.
 * Context   may wait for a lock; not from a signal handler.  Nothing runs on the CPU that uses the
 *           slot but, if it is busy, one fence.
 * Cost      one fence and about 15 ns a page.
 * Linux     drain_pages().
 */
size_t quire_drain_slot(struct quire *q, unsigned slot);

/**
 * quire_slot - number of the slot that the caller uses now
 * @q:		instance
 *
 * Returns   0..quire_slots() - 1; a hint as soon as it is returned.
 * Context   anywhere, signal handlers included.
 * Cost      a few instructions; a call of sched_getcpu() where there are no per-CPU sequences.
 */
unsigned quire_slot(const struct quire *q);

/**
 * quire_drain_all - quire_drain_slot() for every slot with one fence, and the zones' depots
 * @q:		instance
 *
 * Returns   pages moved to the buddy.
 * Context   as quire_drain_slot().
 * Cost      one fence on the CPUs in use, a look at every slot's lists, and about 15 ns a page.
 * Linux     drain_all_pages(); but it never skips the work because another thread is at it.
 */
size_t quire_drain_all(struct quire *q);

/**
 * quire_pcp_disable - switch per-CPU stacks and lists off: high 0, batch 1, and drained
 * @q:		instance
 *
 * Until quire_pcp_enable() every free goes straight to the buddy.  Holds nest and are counted by
 * thread.  A child of fork keeps the holds of the forking thread; those of other threads end, and
 * a quire_pcp_enable() for one of them does nothing.  If more than 16 threads hold one at once,
 * the holds of those beyond 16 end in any child.
 *
 * Context   may wait; not from a signal handler.
 * Cost      one mutex; the first hold visits every slot's lists, with one fence, and empties them.
 * Pair      quire_pcp_enable().
 * Linux     zone_pcp_disable().
 */
void quire_pcp_disable(struct quire *q);

/**
 * quire_pcp_enable - end a hold of quire_pcp_disable(), from any thread
 * @q:		instance
 *
 * After the last one frees go to per-CPU stacks and lists again.
 *
 * Context   may wait; not from a signal handler.
 * Cost      one mutex; after the last hold one visit to every slot's lists.
 * Pair      quire_pcp_disable().
 * Linux     zone_pcp_enable().
 */
void quire_pcp_enable(struct quire *q);

/*
 * Pageblocks.  A pageblock is 2 MiB of an instance's addresses, aligned to its size, with one lifetime
 * class.  A block, without page, is what an allocation returned.
 */

/**
 * quire_isolate_pageblock - keep the free pages of one pageblock from being handed out
 * @q:		instance
 * @addr:	any address in it
 *
 * When it returns, no list but the buddy's isolated one holds a page of the pageblock; pages that
 * are freed later go there too.
 *
 * Returns   0; -EINVAL for a foreign address; -EBUSY if it is isolated already or not online;
 *           -EOWNERDEAD in a child of fork with backing:memfd.
 * Context   may wait; not from a signal handler.
 * Cost      visits every slot's lists twice, with one fence, and empties them; O(orders) for each free run
 *           of the pageblock.
 * Pair      quire_unisolate_pageblock().
 * Linux     start_isolate_page_range().
 */
int quire_isolate_pageblock(struct quire *q, void *addr);

/**
 * quire_unisolate_pageblock - let the pages of an isolated pageblock be handed out again
 * @q:		instance
 * @addr:	any address in it
 *
 * Returns   0; -EINVAL if it is not isolated; -EOWNERDEAD in a child of fork with backing:memfd.
 * Context   may wait for memory being given back; not from a signal handler.
 * Cost      a mutex, a lock, and O(orders) for each free run of the pageblock.
 * Pair      quire_isolate_pageblock().
 * Linux     undo_isolate_page_range().
 */
int quire_unisolate_pageblock(struct quire *q, void *addr);

/**
 * quire_offline_pageblock - isolate a pageblock and take it away: its memory and its struct pages go
 * @q:		instance
 * @addr:	any address in it
 *
 * Returns   0; -EBUSY if a page of it is in use (it is then as before); -EINVAL for a
 *           foreign address; -EOWNERDEAD in a child of fork with backing:memfd.
 * Context   may wait; not from a signal handler.
 * Cost      as quire_isolate_pageblock(), and the system calls that take the memory away.
 * Linux     offline_pages().
 */
int quire_offline_pageblock(struct quire *q, void *addr);

/* What an instance holds and has done.  Pages are the instance's pages.  Gauges may be torn
 * against each other while other threads run; each is right by itself. */
struct quire_page_stat {
	uint32_t struct_bytes; /* before a call its size, afterwards what was filled */
	uint32_t page_shift;
	uint32_t pageblock_order; /* 2 MiB */
	uint32_t zones_nr;
	uint64_t limit_pages;	  /* most that is handed out, areas and per-CPU memory included */
	uint64_t online_pages;	  /* in pageblocks that are committed */
	uint64_t free_pages;	  /* in the buddy */
	uint64_t cached_pages;	  /* on stacks, lists and depots */
	uint64_t allocated_pages; /* counted: online = free + cached + allocated + deferred */
	uint64_t deferred_pages;  /* freed by handlers, not taken in yet */
	uint64_t reported_pages;  /* free, without memory: given back, or never used */
	uint64_t pinned_pages;	  /* of those, in pageblocks of which something is allocated */
	/* Pageblocks of which something is allocated, but less than a 20th: what is, and what is not */
	uint64_t sparse_blocks, sparse_used_pages, sparse_rest_pages;
	uint64_t metadata_bytes; /* committed for struct page, state and pageblock records */
	uint64_t refills;	 /* stacks and lists filled from the buddy */
	uint64_t spills;	 /* stacks and lists emptied into the buddy */
	uint64_t list_allocs, list_frees;   /* served by a list under the pcp lock */
	uint64_t depot_moves;		    /* entries exchanged with a depot */
	uint64_t buddy_allocs, buddy_frees; /* served by the buddy directly, one by one */
	uint64_t zone_lock_acquisitions;
	uint64_t drains;	  /* slots drained */
	uint64_t deferred_frees;  /* frees that got no lock at first */
	uint64_t fallback_claims; /* whole pageblocks that changed type */
	uint64_t fallback_steals; /* pages taken from a pageblock of another type */
	uint64_t emptying_frees;  /* frees sent around the stacks: their pageblock was emptying */
	uint64_t reports, reported_total_pages; /* gathers, and pages they gave back */
	uint64_t reused_pages;	  /* reported pages taken into use again within one delay */
	uint64_t refusals;	  /* allocations refused */
	uint64_t fork_lost_pages; /* in a child: pages other threads had in their hands */
	/* Of the whole process: the most mappings that Quire may add to a few of each instance, how many
	 * it has added, and how many requests for one were refused, including those that succeeded after
	 * a purge.  At the most, Quire gives no advice about huge pages, sets no guard that needs a
	 * mapping, and refuses further aliases (ENOMEM). */
	uint64_t mappings_max, mappings, mappings_refused;
};

#define QUIRE_PAGE_STAT_INIT QUIRE_SIZED_(struct quire_page_stat)

/**
 * quire_page_stat_read - what the page allocator holds and has done
 * @q:		instance
 * @stat:	initialised; to be filled
 *
 * Exact while no other thread uses the instance.
 *
 * Returns   0; -EINVAL if @stat's size is not set; -EOWNERDEAD where shared frames are another
 *           process's.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      a look at every zone, every slot's lists and every run of pages (a millisecond for 4 GiB of single pages), and at
 *           most once a second some twenty calls to read what the system permits.
 */
int quire_page_stat_read(const struct quire *q, struct quire_page_stat *stat);

/**
 * quire_text_buddyinfo - free runs by zone and order, in the shape of /proc/buddyinfo
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      one lock and a line of text for each zone.
 * Linux     /proc/buddyinfo.
 */
size_t quire_text_buddyinfo(const struct quire *q, char *buffer, size_t bytes);

/**
 * quire_text_pagetypeinfo - free runs and pageblocks by type, in the shape of /proc/pagetypeinfo
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      one lock and some lines of text for each zone, and a look at every pageblock.
 * Linux     /proc/pagetypeinfo.
 */
size_t quire_text_pagetypeinfo(const struct quire *q, char *buffer, size_t bytes);

/**
 * quire_text_zoneinfo - counts, watermarks and lists, in the shape of /proc/zoneinfo; at its
 *	end the process's budget of mappings, as in struct quire_page_stat
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      one lock for each zone, and some lines of text for each zone and each slot.
 * Linux     /proc/zoneinfo.
 */
size_t quire_text_zoneinfo(const struct quire *q, char *buffer, size_t bytes);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop
#endif
