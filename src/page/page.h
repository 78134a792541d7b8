/* SPDX-License-Identifier: MIT */
/*
 * page/page.h - the page allocator: its words, the life of a page, its locks
 *
 * Words
 *   frame      index of a page in the instance's reservation: (addr - base) >> page_shift
 *   block      in this module a pageblock (struct pageblock): 2 MiB of frames with one migratetype;
 *              also the unit that is committed, given back and taken offline.  What an
 *              allocation returns is a run here; public headers and misuse messages call that a
 *              block; inside src/page the word always means a pageblock
 *   zone       an equal part of the instance's frames, one for each node
 *   run        2^order frames that are free or allocated together
 *   head       first frame of a run; only heads have a state
 *   whole      said of a block none of whose pages is in use; it is on a zone's whole lists
 *   partial    said of a block with free and used pages; it is in one of a zone's bins
 *   tag        a block's byte: its type, its zone, and whether it is special
 *   special    said of a block whose pages stacks and lists may not hold: it is emptying, isolated or
 *              highatomic
 *   emptying   said of a block that gets no new users, so that it may become whole
 *   row        what a block serves: one type, one type while emptying, highatomic, or isolation
 *   bin        partial blocks with one row, one fullness and one largest free order
 *   slot       a CPU as an instance numbers it: the CPU's own number, or the kernel's compact number
 *              of a running thread (machine/stack.h)
 *   stacks     arrays of frames that belong to one slot; sequences push and pop without a lock
 *   lists      what one slot keeps in one zone beside its stacks, under a lock
 *   door       that lock, and the stacks that its holder may close (stacks/stacks.h)
 *   depot      a zone's stock of frames between the stacks of all slots and the buddy
 *   nested     said of a call in a signal handler that interrupted a lock holder: it may only try locks
 *              (lock_nested())
 *   spares     runs kept for nested calls and others that may only try locks
 *
 * Life of a page.  The state byte of its head says where it is (B5):
 *
 *   from        when                                    to          under
 *   -           its block is committed                  BUDDY       zone lock
 *   BUDDY       a refill or a direct allocation         CACHED or   zone lock
 *                                                       ALLOCATED
 *   CACHED      a stack pops it, a list gives it        ALLOCATED   sequence; pcp lock
 *   ALLOCATED   freed: on a stack, a list, a depot      CACHED      sequence; pcp lock
 *   ALLOCATED   freed: its block is special, or no lock BUDDY       zone lock
 *   ALLOCATED   freed in a handler and no lock was had  DEFERRED    lock-free push
 *   DEFERRED    the next ordinary slow path             BUDDY       zone lock
 *   CACHED      spill, drain                            BUDDY       zone lock
 *   BUDDY       its memory is being given back          REPORTING   zone lock
 *   REPORTING   the gather has finished                 BUDDY       zone lock
 *   BUDDY       its block is taken offline              OFFLINE     zone lock
 *
 * Locks: visit_mutex, pcp_disable_mutex, giveback_mutex, grow_mutex, huge_mutex (waiting); pcp->door.lock, depot->lock,
 * zone->lock (spinning), in this order.  docs/locking.md has the table.
 *
 * Headers, from the structures upwards; each .c includes those that it uses
 *   state.h      the two bytes that fast paths read: a page's state, a block's tag
 *   block.h      pageblocks: free runs inside one, bins, lists of blocks
 *   depot.h      a zone's depot
 *   grow.h       bringing more of a zone online
 *   zone.h       a zone: watermarks, counts
 *   pages.h      struct pages: an instance's pages, which begin with struct quire
 *   layout.h     addresses, frames, blocks and zones, computed from one another
 *   pcp.h        what one slot has in one zone;  stacks.h: which stacks of pages there are
 *   request.h    what an allocation asks for, on its way from alloc.c to the buddy
 *   buddy.h, rmqueue.h, emptying.h    merging and splitting; where a run is taken; what shall empty
 *   alloc.h, free.h, nested.h, drain.h, isolate.h, giveback.h         the paths, for one another
 *   advice.h     which blocks are advised huge pages: a user of src/huge
 *   stat.h, verify.h                  all of an instance's pages
 *   charge.h, kind.h                  for the modules to the right; for the list of modules
 */
#ifndef PAGE_PAGE_H
#define PAGE_PAGE_H

#include <stdint.h>

#include <quire/quire.h>

/* A call with one of these flags waits for no mutex, but may make system calls that commit memory. */
#define FLAGS_NO_MUTEX (QUIRE_NOWAIT | QUIRE_ATOMIC)
/* The same with QUIRE_NOLOCK, with which a call only tries spin locks, too, and commits nothing. */
#define FLAGS_NO_WAIT  (FLAGS_NO_MUTEX | QUIRE_NOLOCK)

#define FRAME_NONE UINT32_MAX
#define ZONES_MAX  8

/* 8 bytes that belong to the page's owner: the allocator while it is free. */
struct page {
	uint32_t prev, next;
};

#endif
