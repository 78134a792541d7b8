/* SPDX-License-Identifier: MIT */
/*
 * mem.h - reserving addresses, committing memory, and returning it in batches
 *
 * Addresses and sizes are multiples of mem_page_bytes() and never 0, unless stated otherwise.
 *
 * Gather.  gather_begin, then any number of gather_unback (discards the content; the range stays
 * usable and reads zero) and gather_unmap (an access must fault), then gather_finish.  Until finish
 * returns, some CPU may still access the old memory, so frames and addresses may be reused only
 * afterwards.  On Linux the ranges become vectored process_madvise calls; adjacent ranges are merged,
 * a short return is resumed, and the content of locked memory is discarded with MADV_DONTNEED_LOCKED.
 *
 * Frames.  Memory committed in a reservation of mem_reserve_shared() can be mapped again elsewhere,
 * page by page; such pages are frames, and a mapping of one is an alias.  Neither survives fork: a
 * child has no memory at their addresses.  When a frame's memory is returned, its aliases lose it too.
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
/* Memory of the machine, or of this process's cgroup if that is less, in bytes. */
uint64_t mem_total_bytes(void);

/* The process has one budget of addresses for all that is reserved.  Bytes of it that the next part of
 * an instance should ask for at most, so that others find some too: half of what is left.  A hint. */
size_t mem_reserve_share(void);
/* Reserves addresses without memory, which are not locked and no part of core files.  @align_bytes:
 * power of two.  @name shows in /proc/self/maps, also for what is committed later.  NULL if refused. */
void *mem_reserve(size_t bytes, size_t align_bytes, const char *name);
/* Gives addresses back, with all that is behind them. */
void mem_release(void *addr, size_t bytes);
/* Makes a part of a reservation usable; reads zero; repeating it is harmless.  Locks it if the process
 * has its future memory locked.  0 or -ENOMEM. */
int mem_commit(void *addr, size_t bytes);
/* The same for what need not be in core files: one system call less. */
int mem_commit_apart(void *addr, size_t bytes);
/* Addresses with usable memory behind all of them, which reads zero, is in core files, and is locked if
 * future memory is: mem_reserve() and mem_commit() in one, for small things.  NULL if refused. */
void *mem_map(size_t bytes, const char *name);
/* Makes a part of a reservation readable: reads zero, costs neither memory nor charge until it is
 * committed.  0 or -errno. */
int mem_commit_readonly(void *addr, size_t bytes);
/* Makes it unusable again and gives back its memory and its charge.  0 or -errno. */
int mem_decommit(void *addr, size_t bytes, const char *name);
/* Asks for huge pages behind a range, or for none. */
void mem_advise_huge(void *addr, size_t bytes, bool huge);
/* All memory of the process is locked, so committing populates: grow in small steps.  One system call
 * where it is not. */
bool mem_is_locked(void);
/* Whether future memory was locked when something was reserved, so that commits lock: no system call. */
bool mem_commits_lock(void);

/* Splits huge pages that stand behind a part of a range only, so that taking it away frees memory. */
void mem_split_huge(void *addr, size_t bytes);

/* @nr stretches of @pages pages (at most 64) of @page_bytes, one every @stride_bytes from @addr on. */
struct mem_stretches {
	const char *addr;
	size_t stride_bytes, page_bytes;
	unsigned nr, pages;
};

/*
 * Which pages of committed private memory may hold other than zeroes?  Sets bit p of @masks[i] for
 * page p of stretch i if something is behind a part of it.  0; or -errno if the system cannot tell.
 * Legal anywhere.
 */
int mem_find_written(const struct mem_stretches *stretches, uint64_t *masks);

/* Does reading a page that nobody wrote put memory behind it?  Where the system has no shared page of
 * zeroes it does.  False if nobody can tell: nearly every system has one.  Some system calls. */
bool mem_reading_takes_memory(void);

/* ---- mappings ---- */

/*
 * The system bounds the mappings of a process, and they are the program's.  What of ours would make
 * them in numbers that grow with use has one budget in the process, a small share of that bound, and
 * asks here first.  Refused, it does without: no advice, no guard.
 */
enum mem_mappings {
	MAPPINGS_ADVICE, /* blocks advised otherwise than their neighbours; a part of the budget only */
	MAPPINGS_GUARDS, /* guards that are mappings of their own */
	MAPPINGS_FRAMES, /* aliases of frames */
	MAPPINGS_KINDS_NR,
};
#define MAPPINGS_A_GUARD 2u /* it splits the one that it stands in */

struct mem_mappings_stat {
	uint64_t max; /* all kinds together */
	uint64_t used[MAPPINGS_KINDS_NR];
	uint64_t refused[MAPPINGS_KINDS_NR]; /* requests, since the process began */
};

/* Takes @nr mappings of the budget.  False: it has not so many left; nothing is taken, one request
 * counts as refused. */
bool mem_mappings_take(enum mem_mappings kind, uint32_t nr);
/* The same for what cannot be done without; may exceed the budget. */
void mem_mappings_add(enum mem_mappings kind, uint32_t nr);
/* Gives back what was taken or added. */
void mem_mappings_give(enum mem_mappings kind, uint32_t nr);
void mem_mappings_read(struct mem_mappings_stat *stat);

/* ---- guards ---- */

/* Makes every access to a committed range fault, without a mapping of its own where the system can;
 * what was in it is gone.  Costs a flush only if something was.  A guard survives gather_unback();
 * mem_commit() must not meet one.  *@mapped: it is a mapping, for which MAPPINGS_A_GUARD were taken;
 * the caller gives them back when it is out.  0, -ENOMEM, or -ENOSPC if it would be one beyond the
 * budget. */
int mem_guard(void *addr, size_t bytes, bool *mapped);
/* Takes the guards out of a committed range: where they were it reads zero.  0 or -ENOMEM. */
int mem_unguard(void *addr, size_t bytes);
/* The same for many ranges, in as few calls as the system allows; each range's error says whether it
 * was done. */
void mem_unguard_ranges(struct mem_range *ranges, unsigned ranges_nr);
/* Guards cost no mapping. */
bool mem_guard_works(void);

/* ---- frames ---- */

/* mem_reserve() for memory that can be mapped again.  mem_commit() and mem_release() are for it as
 * for any other; memory goes back by gather_unback_shared(). */
void *mem_reserve_shared(size_t bytes, size_t align_bytes, const char *name);
/* In a child of fork: such a reservation, of which nothing is here, counts no more. */
void mem_forget_shared(size_t bytes);
/*
 * Maps frames one after the other at @addr, in place of what is there: memory that is committed,
 * advised against huge pages, and with nothing behind it on any CPU.  Each frame is @frame_bytes of
 * committed memory of a shared reservation; any may repeat.  0 or -ENOMEM (also at the system's
 * bound on mappings); then some may be mapped, and the range is to go by gather_unmap_frames() all
 * the same.
 */
int mem_map_frames(void *addr, void *const *frames, size_t frames_nr, size_t frame_bytes);

void gather_begin(struct gather *gather, struct mem_range *ranges, unsigned ranges_max);
/* Lends room for the system's vector, up to 1,024 entries, so that so many ranges are one call. */
void gather_lend(struct gather *gather, struct mem_vector *vector, unsigned vector_max);
bool gather_is_full(const struct gather *gather);
void gather_unback(struct gather *gather, void *addr, size_t bytes);
/* For frames, whose aliases lose their content too; costs one call and one flush a merged range. */
void gather_unback_shared(struct gather *gather, void *addr, size_t bytes);
void gather_unmap(struct gather *gather, void *addr, size_t bytes);
/* For what mem_map_frames() mapped: frames stay, aliases go; the range is committed memory again and
 * reads zero.  A refused range is still mapped as it was, or without access: it is to be unmapped again. */
void gather_unmap_frames(struct gather *gather, void *addr, size_t bytes);
/* Returns the bytes taken away; ranges[i].error tells which were not. */
size_t gather_finish(struct gather *gather);
/* After finish: true if the memory at @addr, part of a range that was added, was taken away. */
bool gather_gave_back(const struct gather *gather, const void *addr);

#endif
