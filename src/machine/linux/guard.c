/* SPDX-License-Identifier: MIT */
/*
 * guard.c - pages on which every access faults
 *
 * A guard is a marker in the page table (Linux 6.13), which needs no mapping of its own, so a
 * process may have millions.  Each process probes once, on a page of its own, whether the kernel
 * knows markers.  If it does not, and in locked memory, which takes no markers, a guard is an
 * inaccessible mapping.  A process may have 65,530 mappings, so such guards have a budget
 * (mappings.c).  Once there has been such a guard, guards are removed in both ways.
 */
#include "machine/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/annotate_ops.h"
#include "machine/linux/backing.h"
#include "machine/linux/gather.h"
#include "machine/linux/system.h"

enum guards {
	GUARDS_UNKNOWN,
	GUARDS_ARE_MARKERS,
	GUARDS_ARE_MAPPINGS,
};

/* Atomic, relaxed: a caller that removes a guard knows of it, so the guard has been set before. */
static bool has_mappings;

/* Bypasses backing.h: the answer holds for the process, so no fault that a test injects may decide
 * it. */
static enum guards probe(void)
{
	size_t bytes = mem_page_bytes();
	long page = SYSTEM_CALL(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
	long installed, removed;

	if (page < 0 && page > -4096)
		return GUARDS_UNKNOWN;
	/* Under mlockall(MCL_FUTURE) the page is locked, and a marker would be refused for that. */
	SYSTEM_CALL(SYS_munlock, page, bytes);
	installed = SYSTEM_CALL(SYS_madvise, page, bytes, BACKING_GUARD_INSTALL);
	removed = SYSTEM_CALL(SYS_madvise, page, bytes, BACKING_GUARD_REMOVE);
	SYSTEM_CALL(SYS_munmap, page, bytes);
	return installed == 0 && removed == 0 ? GUARDS_ARE_MARKERS : GUARDS_ARE_MAPPINGS;
}

bool mem_guard_works(void)
{
	static uint32_t answer; /* atomic: two threads that probe get the same answer */
	enum guards guards = (enum guards)load_relaxed(&answer);

	if (guards == GUARDS_UNKNOWN) {
		/* LeakSanitizer reads all that /proc/self/maps lists as readable, so a marker
		 * kills it. */
		guards = annotate_has_lsan() ? GUARDS_ARE_MAPPINGS : probe();
		store_relaxed(&answer, (uint32_t)guards);
	}
	return guards == GUARDS_ARE_MARKERS;
}

static void check_range(const void *addr, size_t bytes)
{
	size_t misaligned = ((uintptr_t)addr | bytes) & (mem_page_bytes() - 1);

	CHECK_VALUES(misaligned == 0 && bytes != 0, (uintptr_t)addr, bytes);
}

/* The kernel gives up an install that keeps racing with faults, with EINTR. */
static int advise(void *addr, size_t bytes, int advice)
{
	int error;

	do
		error = backing_advise(addr, bytes, advice);
	while (error == -EINTR);
	return error;
}

/*
 * Before Linux 5.18 the system keeps locked memory, so it is cleared here: the range must read zero
 * once the guard is removed.  Making the range accessible again merges it with its neighbours and
 * takes no new charge.
 */
static int clear_behind(void *addr, size_t bytes)
{
	int error = backing_protect(addr, bytes, PROT_READ | PROT_WRITE);

	if (error != 0)
		return error;
	memset(addr, 0, bytes);
	return backing_protect(addr, bytes, PROT_NONE);
}

/* Makes a range inaccessible and discards its memory, as a marker does. */
static int forbid(void *addr, size_t bytes)
{
	int error = backing_protect(addr, bytes, PROT_NONE);

	if (error != 0)
		return error;
	store_relaxed(&has_mappings, true);
	if (backing_advise(addr, bytes, MADV_DONTNEED) == 0 ||
	    backing_advise(addr, bytes, BACKING_DONTNEED_LOCKED) == 0)
		return 0;
	return clear_behind(addr, bytes);
}

/* Makes a guard that is a mapping of its own, if the budget allows it. */
static int map_guard(void *addr, size_t bytes)
{
	int error;

	if (!mem_mappings_take(MAPPINGS_GUARDS, MAPPINGS_A_GUARD))
		return -ENOSPC;
	error = forbid(addr, bytes);
	if (error == 0)
		return 0;
	mem_mappings_give(MAPPINGS_GUARDS, MAPPINGS_A_GUARD);
	return -ENOMEM;
}

int mem_guard(void *addr, size_t bytes, bool *mapped)
{
	int error = -EINVAL;

	check_range(addr, bytes);
	if (mem_guard_works())
		error = advise(addr, bytes, BACKING_GUARD_INSTALL);
	*mapped = error == -EINVAL;
	if (!*mapped)
		return error == 0 ? 0 : -ENOMEM;
	error = map_guard(addr, bytes);
	*mapped = error == 0;
	return error;
}

int mem_unguard(void *addr, size_t bytes)
{
	int error = 0;

	check_range(addr, bytes);
	if (mem_guard_works())
		error = advise(addr, bytes, BACKING_GUARD_REMOVE);
	if (error == 0 && load_relaxed(&has_mappings))
		error = backing_protect(addr, bytes, PROT_READ | PROT_WRITE);
	return error == 0 ? 0 : -ENOMEM;
}

void mem_unguard_ranges(struct mem_range *ranges, unsigned ranges_nr)
{
	struct gather gather = { .ranges = ranges, .ranges_nr = ranges_nr };

	for (unsigned i = 0; i < ranges_nr; i++)
		ranges[i].error = 0;
	if (mem_guard_works() && ranges_nr != 0)
		gather_advise(&gather, BACKING_GUARD_REMOVE);
	for (unsigned i = 0; i < ranges_nr; i++) {
		if (ranges[i].error != 0 || load_relaxed(&has_mappings))
			ranges[i].error = mem_unguard(ranges[i].addr, ranges[i].bytes);
	}
}
