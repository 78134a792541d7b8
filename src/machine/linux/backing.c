/* SPDX-License-Identifier: MIT */
#include "machine/linux/backing.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/futex.h"
#include "machine/linux/system.h"
#include "machine/mem.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

/* Calls left until one fails; 0: none fails. */
struct backing_fault {
	uint64_t calls_left;
	bool is_lasting;
	int error;
	/* For the next call that replaces a mapping; 0: none. */
	int late_error;
	/* For the next vectored call: one more than the ranges it serves; 0: all. */
	size_t stop_after_plus_1;
	int stop_error;
};

/* All atomic and relaxed: the tests that set them make the calls in the same thread, or start the
 * other threads afterwards. */
static struct backing_fault fault;
static uint64_t calls_nr;
/* Calls left until one is delayed, and whether one is: a futex word. */
static uint64_t hold_left;
static uint32_t holding;

static void fail_at(uint64_t nth, bool is_lasting, int error)
{
	store_relaxed(&fault.error, error);
	store_relaxed(&fault.is_lasting, is_lasting);
	store_relaxed(&fault.calls_left, nth);
}

void backing_fail_after(uint64_t nth, int error)
{
	fail_at(nth, false, error);
}

void backing_fail_from(uint64_t nth, int error)
{
	fail_at(nth, true, error);
}

void backing_stop_after(size_t ranges_nr, int error)
{
	store_relaxed(&fault.stop_error, error);
	store_relaxed(&fault.stop_after_plus_1, ranges_nr + 1);
}

void backing_fail_late(int error)
{
	store_relaxed(&fault.late_error, error);
}

void backing_hold_at(uint64_t nth)
{
	store_release(&hold_left, nth);
}

bool backing_is_holding(void)
{
	return load_acquire(&holding) != 0;
}

void backing_go_on(void)
{
	store_release(&holding, UINT32_C(0));
	futex_wake_all(&holding);
}

static void hold_up(void)
{
	uint64_t left = load_acquire(&hold_left);

	while (left != 0 && !cas_acq_rel(&hold_left, &left, left - 1))
		;
	if (left != 1)
		return;
	store_release(&holding, UINT32_C(1));
	while (load_acquire(&holding) != 0)
		futex_wait(&holding, 1);
}

uint64_t backing_calls_nr(void)
{
	return load_relaxed(&calls_nr);
}

/* Counts a call.  Returns 0, or the -errno with which it is to fail. */
static int next_fault(void)
{
	uint64_t left = load_relaxed(&fault.calls_left);

	fetch_add_relaxed(&calls_nr, UINT64_C(1));
	if (UNLIKELY(load_relaxed(&hold_left) != 0))
		hold_up();
	while (left != 0) {
		uint64_t then = left > 1 ? left - 1 : load_relaxed(&fault.is_lasting);

		if (cas_acq_rel(&fault.calls_left, &left, then))
			return left == 1 ? -load_relaxed(&fault.error) : 0;
	}
	return 0;
}

static bool is_refusal(long result)
{
	return result < 0 && result > -4096;
}

/*
 * A call that replaces a mapping may unmap it and then be refused: mmap() of writable memory under
 * strict overcommit (before Linux 6.12), mremap() if the kernel lacks memory of its own.  That
 * leaves a hole in a reservation, which the next mmap() of another thread may get, and which we
 * would then map over.  So the hole is closed at once by an inaccessible mapping.  One page is
 * always available; it is mapped first and then grown, since the whole may exceed what may be
 * locked (below).  Returns true if there was a hole.
 */
static bool close_hole(void *addr, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	size_t page_bytes = mem_page_bytes();
	unsigned char present;
	long page, grown;

	if (SYSTEM_CALL(SYS_mincore, addr, page_bytes, &present) != -ENOMEM)
		return false;
	page = SYSTEM_CALL(SYS_mmap, addr, page_bytes, PROT_NONE, flags, -1, 0L);
	/* Another mapping may have these addresses now: both owners would write there. */
	CHECK_VALUES(page == (intptr_t)addr, (uintptr_t)addr, page);
	SYSTEM_CALL(SYS_munlock, page, page_bytes);
	grown = SYSTEM_CALL(SYS_mremap, page, page_bytes, bytes, 0L);
	CHECK_VALUES(grown == page, (uintptr_t)addr, grown);
	return true;
}

/* For tests: does what a call does that is refused too late.  0, or the -errno. */
static int late_fault(void *addr, size_t bytes)
{
	int error = load_relaxed(&fault.late_error);

	if (LIKELY(error == 0) || addr == NULL)
		return 0;
	store_relaxed(&fault.late_error, 0);
	SYSTEM_CALL(SYS_munmap, addr, bytes);
	return -error;
}

/* mmap() and mremap() at @addr, replacing the mapping there, or anywhere if @addr is NULL. */
static long map_over(void *addr, size_t bytes, int protection, int flags, int file)
{
	long mapped = late_fault(addr, bytes);

	if (mapped == 0)
		mapped = SYSTEM_CALL(SYS_mmap, addr, bytes, protection,
				     flags | (addr != NULL ? MAP_FIXED : 0), file, 0L);
	return mapped;
}

static long move_over(void *addr, size_t bytes, const void *from, size_t from_bytes)
{
	int moves = MREMAP_MAYMOVE | (addr != NULL ? MREMAP_FIXED : 0);
	long mapped = late_fault(addr, bytes);

	if (mapped == 0)
		mapped = SYSTEM_CALL(SYS_mremap, from, from_bytes, bytes, moves, addr);
	return mapped;
}

/* Leaves no hole after a refusal. */
static long closed(long mapped, void *addr, size_t bytes)
{
	if (UNLIKELY(is_refusal(mapped)) && addr != NULL)
		(void)close_hole(addr, bytes);
	return mapped;
}

/*
 * Under mlockall(MCL_FUTURE) a new mapping is locked and must fit into RLIMIT_MEMLOCK, even if it
 * is inaccessible.  One that grows is locked only if it was before.
 */
static long map_none_unlocked(void *addr, size_t bytes)
{
	size_t page_bytes = mem_page_bytes();
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	long page = SYSTEM_CALL(SYS_mmap, NULL, page_bytes, PROT_NONE, flags, -1, 0L);
	long mapped;

	if (is_refusal(page))
		return page;
	SYSTEM_CALL(SYS_munlock, page, page_bytes);
	mapped = move_over(addr, bytes, (void *)page, page_bytes);
	if (is_refusal(mapped))
		SYSTEM_CALL(SYS_munmap, page, page_bytes);
	return mapped;
}

intptr_t backing_map_none(void *addr, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	int error = next_fault();
	long mapped;

	if (error != 0)
		return error;
	mapped = map_over(addr, bytes, PROT_NONE, flags, -1);
	if (mapped == -EAGAIN)
		mapped = map_none_unlocked(addr, bytes);
	if (LIKELY(!is_refusal(mapped)) || addr == NULL)
		return mapped;
	/* The mapping that closes a hole is the one that was requested. */
	return close_hole(addr, bytes) ? (intptr_t)addr : mapped;
}

intptr_t backing_map_fresh(void *addr, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	int error = next_fault();

	if (error != 0)
		return error;
	return closed(map_over(addr, bytes, PROT_READ | PROT_WRITE, flags, -1), addr, bytes);
}

/* Growing a file beyond the process's limit raises a signal. */
static bool is_too_large(size_t bytes)
{
	struct rlimit limit;

	return SYSTEM_CALL(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) != 0 ||
	       bytes > limit.rlim_cur;
}

int backing_make_file(const char *name, size_t bytes)
{
	int error = next_fault();
	int file;

	if (error != 0)
		return error;
	if (is_too_large(bytes))
		return -EFBIG;
	/* Kernels before 6.3 refuse the flag for files that are not executable. */
	file = (int)SYSTEM_CALL(SYS_memfd_create, name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (file == -EINVAL)
		file = (int)SYSTEM_CALL(SYS_memfd_create, name, MFD_CLOEXEC);
	if (file < 0)
		return file;
	error = (int)SYSTEM_CALL(SYS_ftruncate, file, bytes);
	if (error == 0)
		return file;
	SYSTEM_CALL(SYS_close, file);
	return error;
}

intptr_t backing_map_file(void *addr, size_t bytes, int file)
{
	int error = next_fault();

	if (error != 0)
		return error;
	return closed(map_over(addr, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, file), addr,
		      bytes);
}

intptr_t backing_map_again(void *addr, void *frames, size_t bytes)
{
	int error = next_fault();

	if (error != 0)
		return error;
	return closed(move_over(addr, bytes, frames, 0), addr, bytes);
}

intptr_t backing_move(void *addr, void *from, size_t bytes)
{
	long flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, mapped;
	int error = next_fault();

	if (error != 0)
		return error;
	mapped = late_fault(addr, bytes);
	if (mapped == 0)
		mapped = SYSTEM_CALL(SYS_mremap, from, bytes, bytes, flags, addr);
	return closed(mapped, addr, bytes);
}

int backing_unmap(void *addr, size_t bytes)
{
	int error = next_fault();

	return error != 0 ? error : (int)SYSTEM_CALL(SYS_munmap, addr, bytes);
}

int backing_protect(void *addr, size_t bytes, int protection)
{
	int error = next_fault();

	return error != 0 ? error : (int)SYSTEM_CALL(SYS_mprotect, addr, bytes, protection);
}

int backing_advise(void *addr, size_t bytes, int advice)
{
	int error = next_fault();

	return error != 0 ? error : (int)SYSTEM_CALL(SYS_madvise, addr, bytes, advice);
}

intptr_t backing_advise_vector(int pidfd, const struct iovec *ranges, size_t ranges_nr, int advice)
{
	int error = next_fault();
	size_t stop_plus_1 = load_relaxed(&fault.stop_after_plus_1);

	if (stop_plus_1 != 0) {
		store_relaxed(&fault.stop_after_plus_1, (size_t)0);
		if (stop_plus_1 == 1)
			error = -load_relaxed(&fault.stop_error);
		else if (stop_plus_1 <= ranges_nr)
			ranges_nr = stop_plus_1 - 1;
	}
	if (error != 0)
		return error;
	return SYSTEM_CALL(SYS_process_madvise, pidfd, ranges, ranges_nr, advice, 0L);
}
