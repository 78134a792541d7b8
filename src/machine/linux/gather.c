/* SPDX-License-Identifier: MIT */
/*
 * gather.c - unbacking many ranges with few system calls
 *
 * Every madvise(DONTNEED) interrupts the other CPUs that run this process; a vectored call
 * interrupts them once for all of its ranges.  process_madvise on the own process is that call:
 *
 *   way        needs                                             decided by
 *   SELF       PIDFD_SELF (later than 6.13)                      a probe on a good range
 *   PIDFD      6.13, and a pidfd, opened for each gather: one    a probe on a good range
 *              kept over fork would name the parent
 *   SINGLE     nothing                                           both were refused
 *
 * Each process probes once.  A refusal of a real call never changes the way, since it may concern
 * one range only; that range gets a call of its own, and the rest continue.
 *
 * Limits of one call: 1,024 ranges (UIO_MAXIOV), and INT_MAX bytes in total, rounded down to pages,
 * beyond which the kernel truncates silently.  A call has at most RANGES_A_CALL ranges, so that the
 * vector fits on any thread's stack, or as many as fit into the buffer that the caller provides.
 *
 * A short return is normal: the kernel stops at the first range it refuses.  The ranges before it
 * are done, the refused range is retried alone, and if it is locked, its content is discarded
 * with DONTNEED_LOCKED; after the first locked range the rest of the gather uses that advice
 * directly.
 *
 * Guards use the same calls with an advice of their own (guard.c).  Frames do not: MADV_REMOVE
 * empties one range per call and needs no file descriptor.  Aliases are removed from the page
 * tables together, which keeps their content, and are then replaced by fresh memory one by one,
 * which interrupts no CPU.
 */
#include "machine/mem.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/annotate_ops.h"
#include "machine/linux/backing.h"
#include "machine/linux/gather.h"
#include "machine/linux/system.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#define PIDFD_OF_SELF (-10000) /* PIDFD_SELF_THREAD: any thread names the whole address space */

/* 128 entries of 16 bytes are 2 KiB, a quarter of the stack that a call may use: a caller with more
 * ranges lends its own storage. */
#define RANGES_A_CALL	  128
/* UIO_MAXIOV. */
#define RANGES_A_CALL_MAX 1024u

_Static_assert(sizeof(struct mem_vector) == sizeof(struct iovec) &&
		       offsetof(struct mem_vector, bytes) == offsetof(struct iovec, iov_len),
	       "what is lent is an iovec");

enum way {
	WAY_UNKNOWN,
	WAY_SELF,
	WAY_PIDFD,
	WAY_SINGLE,
};

/* The progress of a gather: the next byte to take away. */
struct gather_walk {
	struct gather *gather;
	unsigned range_idx;
	size_t done_bytes; /* of that range */
	int advice;
	int pidfd;
	struct iovec *vector;
	unsigned vector_max;
};

static size_t call_bytes_max(void)
{
	return (size_t)INT_MAX & ~(mem_page_bytes() - 1);
}

/* ---- which way ---- */

static long open_own_pidfd(void)
{
	return SYSTEM_CALL(SYS_pidfd_open, getpid(), 0);
}

/* Drops one written page through @pidfd; the page must read zero afterwards.  Bypasses backing.h:
 * the answer holds for the process, so no fault that a test injects may decide it. */
static bool probe_pidfd(int pidfd, volatile char *page)
{
	struct iovec range = { .iov_base = (void *)page, .iov_len = mem_page_bytes() };
	long done;

	*page = 1;
	done = SYSTEM_CALL(SYS_process_madvise, pidfd, &range, 1L, MADV_DONTNEED, 0L);
	return done == (long)range.iov_len && *page == 0;
}

static enum way probe_page(volatile char *page)
{
	enum way way = WAY_SINGLE;
	long pidfd;

	if (annotate_has_valgrind()) /* it knows neither call and prints a long warning for each */
		return WAY_SINGLE;
	if (probe_pidfd(PIDFD_OF_SELF, page))
		return WAY_SELF;
	pidfd = open_own_pidfd();
	if (pidfd < 0)
		return WAY_SINGLE;
	if (probe_pidfd((int)pidfd, page))
		way = WAY_PIDFD;
	SYSTEM_CALL(SYS_close, (int)pidfd);
	return way;
}

/*
 * The good range is a page of our own.  Under mlockall(MCL_FUTURE) it is locked, and the call would
 * be refused for that, so it is unlocked first.
 */
static enum way probe(void)
{
	size_t bytes = mem_page_bytes();
	long page = SYSTEM_CALL(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
	enum way way;

	if (page < 0 && page > -4096)
		return WAY_UNKNOWN;
	SYSTEM_CALL(SYS_munlock, page, bytes);
	way = probe_page((volatile char *)page);
	SYSTEM_CALL(SYS_munmap, page, bytes);
	return way;
}

/* Two threads may both probe; they get the same answer.  If there is no memory for the probe, a
 * later call probes. */
static enum way probe_once(void)
{
	static uint32_t answer; /* atomic: enum way */
	enum way way = (enum way)load_relaxed(&answer);

	if (way == WAY_UNKNOWN) {
		way = probe();
		store_relaxed(&answer, (uint32_t)way);
	}
	return way;
}

/* ---- one call ---- */

static struct mem_range *current_range(const struct gather_walk *walk)
{
	return &walk->gather->ranges[walk->range_idx];
}

static bool is_walked(const struct gather_walk *walk)
{
	return walk->range_idx == walk->gather->ranges_nr;
}

static void next_range(struct gather_walk *walk)
{
	walk->range_idx++;
	walk->done_bytes = 0;
}

/* Skips the @bytes that a call has done. */
static void advance(struct gather_walk *walk, size_t bytes)
{
	while (bytes != 0) {
		size_t left_bytes = current_range(walk)->bytes - walk->done_bytes;

		if (bytes < left_bytes) {
			walk->done_bytes += bytes;
			return;
		}
		bytes -= left_bytes;
		next_range(walk);
	}
}

/* Fills the vector with the next ranges, up to both limits.  Returns the number of entries. */
static unsigned fill_vector(const struct gather_walk *walk)
{
	size_t room_bytes = call_bytes_max();
	size_t done_bytes = walk->done_bytes;
	unsigned filled = 0;

	for (unsigned i = walk->range_idx; i < walk->gather->ranges_nr; i++) {
		const struct mem_range *range = &walk->gather->ranges[i];
		size_t bytes = range->bytes - done_bytes;

		if (filled == walk->vector_max || room_bytes == 0)
			break;
		if (bytes > room_bytes)
			bytes = room_bytes;
		walk->vector[filled].iov_base = (char *)range->addr + done_bytes;
		walk->vector[filled++].iov_len = bytes;
		room_bytes -= bytes;
		done_bytes = 0;
	}
	return filled;
}

/* Gives the current range, or the rest of it, a call of its own. */
static void take_alone(struct gather_walk *walk)
{
	struct mem_range *range = current_range(walk);
	char *addr = (char *)range->addr + walk->done_bytes;
	size_t bytes = range->bytes - walk->done_bytes;

	range->error = backing_advise(addr, bytes, range->shared ? MADV_REMOVE : walk->advice);
	if (!range->shared && range->error == -EINVAL && walk->advice == MADV_DONTNEED) {
		range->error = backing_advise(addr, bytes, BACKING_DONTNEED_LOCKED);
		if (range->error == 0)
			walk->advice = BACKING_DONTNEED_LOCKED;
	}
	next_range(walk);
}

static void take_vector(struct gather_walk *walk)
{
	unsigned filled = fill_vector(walk);
	size_t asked_bytes = 0;
	intptr_t done;

	for (unsigned i = 0; i < filled; i++)
		asked_bytes += walk->vector[i].iov_len;
	done = backing_advise_vector(walk->pidfd, walk->vector, filled, walk->advice);
	if (done > 0)
		advance(walk, (size_t)done);
	if (done != (intptr_t)asked_bytes)
		take_alone(walk);
}

/* ---- a whole gather ---- */

static void walk_vectored(struct gather_walk *walk)
{
	while (!is_walked(walk))
		take_vector(walk);
}

/* A function of its own, so that only the calls that need the vector have it on their stack. */
static __attribute__((noinline)) void walk_with_own_vector(struct gather_walk *walk)
{
	struct iovec vector[RANGES_A_CALL];

	walk->vector = vector;
	walk->vector_max = RANGES_A_CALL;
	walk_vectored(walk);
}

static void walk_singly(struct gather_walk *walk)
{
	while (!is_walked(walk))
		take_alone(walk);
}

static bool any_shared(const struct gather *gather)
{
	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		if (gather->ranges[i].shared)
			return true;
	}
	return false;
}

/* Gives all ranges one advice, in as few system calls as possible. */
void gather_advise(struct gather *gather, int advice)
{
	struct gather_walk walk = { .gather = gather, .advice = advice };
	enum way way = probe_once();
	long pidfd = PIDFD_OF_SELF;

	if (way == WAY_PIDFD)
		pidfd = open_own_pidfd();
	walk.pidfd = (int)pidfd;
	/* One range needs no vector.  If no descriptor is free for the pidfd, only this gather is
	 * slow. */
	if (way == WAY_SINGLE || way == WAY_UNKNOWN || pidfd == -EMFILE || pidfd == -ENFILE ||
	    gather->ranges_nr == 1 || any_shared(gather)) {
		walk_singly(&walk);
	} else if (gather->vector != NULL) {
		walk.vector = (struct iovec *)(void *)gather->vector;
		walk.vector_max = gather->vector_max < RANGES_A_CALL_MAX ? gather->vector_max
									 : RANGES_A_CALL_MAX;
		walk_vectored(&walk);
	} else {
		walk_with_own_vector(&walk);
	}
	if (way == WAY_PIDFD && pidfd >= 0)
		SYSTEM_CALL(SYS_close, (int)pidfd);
}

static void unmap(struct gather *gather)
{
	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		struct mem_range *range = &gather->ranges[i];
		intptr_t mapped = backing_map_none(range->addr, range->bytes);

		range->error = mapped == (intptr_t)range->addr ? 0 : (int)mapped;
		if (range->error == 0)
			mem_set_apart(range->addr, range->bytes);
	}
}

static void unmap_frames(struct gather *gather)
{
	/* This removes all translations with one flush.  A range that is refused here gets its own
	 * flush below. */
	if (gather->ranges_nr > 1)
		gather_advise(gather, MADV_DONTNEED);
	for (unsigned i = 0; i < gather->ranges_nr; i++)
		gather->ranges[i].error =
			mem_unmap_frames(gather->ranges[i].addr, gather->ranges[i].bytes);
}

static uint64_t *counted; /* atomic: where bytes that were taken away are counted, or NULL */

void gather_count(uint64_t *bytes)
{
	store_release(&counted, bytes); /* pairs with the load below */
}

size_t gather_finish(struct gather *gather)
{
	uint64_t *count = load_acquire(&counted); /* pairs with the store above */
	size_t taken_bytes = 0;

	if (gather->ranges_nr == 0)
		return 0;
	if (gather->kind == GATHER_UNMAP)
		unmap(gather);
	else if (gather->kind == GATHER_UNMAP_FRAMES)
		unmap_frames(gather);
	else
		gather_advise(gather, MADV_DONTNEED);
	for (unsigned i = 0; i < gather->ranges_nr; i++)
		taken_bytes += gather->ranges[i].error == 0 ? gather->ranges[i].bytes : 0;
	if (count != NULL && gather->kind != GATHER_UNMAP_FRAMES)
		fetch_add_relaxed(count, taken_bytes);
	return taken_bytes;
}
