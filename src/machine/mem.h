/* SPDX-License-Identifier: MIT */
/*
 * mem.h - reserving addresses, committing memory, and returning it in batches
 *
 * Addresses and sizes are multiples of mem_page_bytes() and never 0, unless stated otherwise.
 *
 * Gather.  gather_begin, then any number of gather_unback (discards the content; the range stays
 * usable and reads zero) and gather_unmap (an access must fault), then gather_finish.  Until finish
 * returns, some CPU may still access the old memory, so frames and addresses may be reused only
 * afterwards.  On Linux the ranges become vectored process_madvise calls; adjacent ranges are
 * merged, a short return is resumed, and the content of locked memory is discarded with
 * MADV_DONTNEED_LOCKED.
 *
 * Frames.  Memory committed in a reservation of mem_reserve_shared() can be mapped again elsewhere,
 * page by page; such pages are frames, and a mapping of one is an alias.  Neither survives fork: a
 * child has no memory at their addresses.  When a frame's memory is returned, its aliases lose it
 * too.
 */
#ifndef MACHINE_MEM_H
#define MACHINE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem_range {
	void *addr;
	size_t bytes;
	int error;   /* after finish: 0, or the -errno for which the range was left alone */
	bool shared; /* frames */
};

/* One entry of a vectored call: storage that a caller may lend. */
struct mem_vector {
	void *addr;
	size_t bytes;
};

enum gather_kind {
	GATHER_UNBACK,
	GATHER_UNMAP,
	GATHER_UNMAP_FRAMES,
};

struct gather {
	struct mem_range *ranges; /* the caller's storage */
	unsigned ranges_nr, ranges_max;
	enum gather_kind kind;	   /* what the ranges collected are for */
	struct mem_vector *vector; /* lent; NULL: 128 entries of the stack */
	unsigned vector_max;
};

/* Size of the system's page; constant for the process. */
size_t mem_page_bytes(void);
/* Bytes of memory of the machine.  One system call. */
uint64_t mem_machine_bytes(void);
/* What sets a limit. */
enum mem_limit_source {
	MEM_LIMIT_GIVEN, /* the program: never the machine's answer */
	MEM_LIMIT_MACHINE,
	MEM_LIMIT_MAX,	     /* memory.max of the cgroup or of one above, or version 1's limit */
	MEM_LIMIT_HIGH,	     /* memory.high: beyond it the process is slowed down */
	MEM_LIMIT_ADDRESSES, /* half of RLIMIT_AS */
};

struct mem_limit {
	uint64_t bytes;
	enum mem_limit_source source;
};

/* The least that applies to this process now; 0 bytes if it cannot be found out at the moment, for want of a
 * descriptor or of memory.  Reads files, two for each cgroup from the process's own up. */
struct mem_limit mem_limit_read(void);

/* The most bytes of addresses that the next part of an instance should reserve, so that others find
 * some too: half of what is left of the process's budget.  A hint. */
size_t mem_reserve_share(void);
/* From here on reservations may take most of the process's addresses: they are the program's malloc. */
void mem_reserve_most(void);
/* Reserves addresses without memory; they are not locked and not part of core files.  @align_bytes:
 * power of two.  @name appears in /proc/self/maps, also for parts committed later.  NULL if
 * refused. */
void *mem_reserve(size_t bytes, size_t align_bytes, const char *name);
/* Returns a reservation's addresses and all its memory to the system. */
void mem_release(void *addr, size_t bytes);
/* Makes a part of a reservation usable; it reads zero.  Repeating the call is harmless.  Under
 * mlockall(MCL_FUTURE) the part is locked.  0 or -ENOMEM. */
int mem_commit(void *addr, size_t bytes);
/* The same for memory that core files need not contain: one system call less. */
int mem_commit_apart(void *addr, size_t bytes);
/* One of these two, @commit, for the whole pages that bytes [from, from + bytes) of an array touch. */
static inline int mem_commit_part(int (*commit)(void *addr, size_t bytes), void *array, size_t from,
				  size_t bytes)
{
	size_t page = mem_page_bytes();
	uintptr_t start = ((uintptr_t)array + from) & ~(page - 1);
	uintptr_t end = ((uintptr_t)array + from + bytes + page - 1) & ~(page - 1);

	return commit((void *)start, end - start);
}
/* Maps usable memory that reads zero, is in core files, and is locked if future memory is:
 * mem_reserve() and mem_commit() in one, for small things; without a name where no mapping is made.  NULL if
 * refused. */
void *mem_map(size_t bytes, const char *name);
/* Makes a part of a reservation readable.  It reads zero, and takes neither memory nor charge until
 * it is committed.  0 or -errno. */
int mem_commit_readonly(void *addr, size_t bytes);
/* Makes a part inaccessible again and returns its memory and its charge.  0 or -errno. */
int mem_decommit(void *addr, size_t bytes, const char *name);
/* Asks the system to back a range with huge pages, or never to do so. */
void mem_advise_huge(void *addr, size_t bytes, bool huge);
/* True if the system gives huge pages where they are advised.  Reads one file, once in a process. */
bool mem_huge_is_given(void);
/* Replaces the memory of an advised range by huge pages with the same content, now.  It copies what was
 * there and zeroes what was not: 0.4 ms for 2 MiB.  0 or -errno. */
int mem_collapse_huge(void *addr, size_t bytes);
/* True if the process's memory is locked, so that committing populates: callers grow in small
 * steps.  One system call if it is not. */
bool mem_is_locked(void);
/* True if a reservation had to be unlocked because future memory is locked, so that commits lock.
 * No system call. */
bool mem_commits_lock(void);

/*
 * Moves the memory of a committed range to another one, which loses its own; the first is empty then, and reads zero.
 * Moves page tables, so it copies nothing and takes no memory.  Each move takes MAPPINGS_A_MOVE for good.  0; -errno, and
 * nothing has moved; or -EBUSY, and nothing has moved, but the second range is not accessible any more.
 */
int mem_move(void *from, void *to, size_t bytes);
#define MAPPINGS_A_MOVE 2u /* it splits the mapping to which it goes */

/* Splits huge pages that a range covers only in part, so that unbacking the range frees memory. */
void mem_split_huge(void *addr, size_t bytes);

/* @nr stretches of @pages pages (at most 64) of @page_bytes, one every @stride_bytes from @addr
 * on. */
struct mem_stretches {
	const char *addr;
	size_t stride_bytes, page_bytes;
	unsigned nr, pages;
};

/*
 * Which pages of committed private memory may hold anything but zeroes?  Sets bit p of @masks[i] if
 * any part of page p of stretch i has memory.  0; or -errno if the system cannot tell.  Legal in
 * any context.
 */
int mem_find_written(const struct mem_stretches *stretches, uint64_t *masks);

/* Does reading a page that was never written allocate memory?  It does where the system has no
 * shared zero page.  False if the system cannot tell, since nearly every system has one.  Costs
 * some system calls. */
bool mem_reading_takes_memory(void);

/* ---- mappings ---- */

/*
 * The system limits the mappings of a process, and the program needs them.  Mappings of ours whose
 * number grows with use share one budget per process, a small part of that limit.  Code that is
 * about to make one asks here first; if refused, it does without the advice or the guard.
 */
enum mem_mappings {
	MAPPINGS_ADVICE, /* blocks advised unlike their neighbours; has only a part of the budget */
	MAPPINGS_GUARDS, /* guards that are mappings of their own */
	MAPPINGS_FRAMES, /* aliases of frames */
	MAPPINGS_MOVES,	 /* memory that was moved; has only a part of the budget */
	MAPPINGS_KINDS_NR,
};
#define MAPPINGS_A_GUARD 2u /* it splits the mapping that contains it */

struct mem_mappings_stat {
	uint64_t max; /* all kinds together */
	uint64_t used[MAPPINGS_KINDS_NR];
	uint64_t refused[MAPPINGS_KINDS_NR]; /* requests, since the process began */
};

/* Takes @nr mappings from the budget.  If fewer are left, takes none, counts one refused request
 * and returns false. */
bool mem_mappings_take(enum mem_mappings kind, uint32_t nr);
/* The same for mappings that cannot be avoided; may exceed the budget. */
void mem_mappings_add(enum mem_mappings kind, uint32_t nr);
/* Returns mappings that were taken or added. */
void mem_mappings_give(enum mem_mappings kind, uint32_t nr);
void mem_mappings_read(struct mem_mappings_stat *stat);

/* ---- guards ---- */

/* Makes every access to a committed range fault, without a mapping of its own where the system can
 * do that.  The content is lost; a flush is needed only if there was any.  A guard survives
 * gather_unback(); mem_commit() must not be called on one.  *@mapped: the guard is a mapping, for
 * which MAPPINGS_A_GUARD were taken; the caller returns them after removing it.  0; -ENOMEM, and some
 * pages may fault then; or -ENOSPC if the mapping would exceed the budget. */
int mem_guard(void *addr, size_t bytes, bool *mapped);
/* Removes the guards from a committed range; where they were it reads zero.  0, or -ENOMEM, and some may be
 * left then. */
int mem_unguard(void *addr, size_t bytes);
/* The same for many ranges, in as few calls as the system allows; sets each range's error.  Parts that are not
 * committed have no guards. */
void mem_unguard_ranges(struct mem_range *ranges, unsigned ranges_nr);
/* True if guards take no mappings, except in locked memory. */
bool mem_guard_works(void);

/* ---- frames ---- */

/* As mem_reserve(), for memory that can be mapped again.  mem_commit() and mem_release() work as
 * usual; gather_unback_shared() returns its memory. */
void *mem_reserve_shared(size_t bytes, size_t align_bytes, const char *name);
/* In a child of fork, where such a reservation does not exist: takes it off the address budget. */
void mem_forget_shared(size_t bytes);
/*
 * Maps frames one after the other at @addr.  The memory there must be committed, advised against
 * huge pages, and have neither a page nor a translation on any CPU.  Each frame is @frame_bytes of
 * committed memory of a shared reservation; a frame may repeat.  0 or -ENOMEM (also at the system's
 * limit on mappings); some frames may be mapped then, so the caller still passes the range to
 * gather_unmap_frames().
 */
int mem_map_frames(void *addr, void *const *frames, size_t frames_nr, size_t frame_bytes);

void gather_begin(struct gather *gather, struct mem_range *ranges, unsigned ranges_max);
/* Lends storage for the system's vector, up to 1,024 entries, so that one call takes as many
 * ranges. */
void gather_lend(struct gather *gather, struct mem_vector *vector, unsigned vector_max);
bool gather_is_full(const struct gather *gather);
void gather_unback(struct gather *gather, void *addr, size_t bytes);
/* For frames; their aliases lose the content too.  Costs one call and one flush per merged
 * range. */
void gather_unback_shared(struct gather *gather, void *addr, size_t bytes);
void gather_unmap(struct gather *gather, void *addr, size_t bytes);
/* For ranges filled by mem_map_frames(): the aliases go and the frames stay; the range is committed
 * memory again and reads zero.  A refused range is still mapped as it was, or is inaccessible, and
 * must be unmapped again. */
void gather_unmap_frames(struct gather *gather, void *addr, size_t bytes);
/* Returns the bytes taken away; ranges[i].error is not 0 for a range that was refused. */
size_t gather_finish(struct gather *gather);
/* Adds the bytes that gathers take away from now on to *@bytes, atomically; NULL: to nothing.  For one watcher
 * of the process. */
void gather_count(uint64_t *bytes);
/* After finish: true if the memory at @addr, part of a range that was added, was taken away. */
bool gather_gave_back(const struct gather *gather, const void *addr);

/* A gather of one range.  Returns the bytes taken away: 0, the system refused. */
static inline size_t gather_unback_one(void *addr, size_t bytes)
{
	struct mem_range one;
	struct gather gather;

	gather_begin(&gather, &one, 1);
	gather_unback(&gather, addr, bytes);
	return gather_finish(&gather);
}

#endif
