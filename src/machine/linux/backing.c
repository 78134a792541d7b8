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

/* Calls to go until one fails; 0: none will. */
struct backing_fault {
	uint64_t calls_left;
	bool is_lasting;
	int error;
	/* The vectored call: one more than the ranges it may serve; 0: all. */
	size_t stop_after_plus_1;
	int stop_error;
};

/* All atomic and relaxed: the tests that set them make the calls in the same thread, or start the
 * others afterwards. */
static struct backing_fault fault;
static uint64_t calls_nr;
/* Calls to go until one is held up, and whether one is: a futex word. */
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

/* Counts a call; gives 0, or the -errno with which it is to fail. */
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

/*
 * Under mlockall(MCL_FUTURE) a new mapping is locked and must fit into RLIMIT_MEMLOCK, whether or not
 * anybody can touch it.  One that grows is locked only if it was before.
 */
static intptr_t map_none_unlocked(void *addr, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	int moves = MREMAP_MAYMOVE | (addr != NULL ? MREMAP_FIXED : 0);
	size_t page_bytes = mem_page_bytes();
	long page = SYSTEM_CALL(SYS_mmap, NULL, page_bytes, PROT_NONE, flags, -1, 0L);
	long mapped;

	if (page < 0 && page > -4096)
		return page;
	SYSTEM_CALL(SYS_munlock, page, page_bytes);
	mapped = SYSTEM_CALL(SYS_mremap, page, page_bytes, bytes, moves, addr);
	if (mapped < 0 && mapped > -4096)
		SYSTEM_CALL(SYS_munmap, page, page_bytes);
	return mapped;
}

intptr_t backing_map_none(void *addr, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (addr != NULL ? MAP_FIXED : 0);
	int error = next_fault();
	long mapped;

	if (error != 0)
		return error;
	mapped = SYSTEM_CALL(SYS_mmap, addr, bytes, PROT_NONE, flags, -1, 0L);
	return mapped == -EAGAIN ? map_none_unlocked(addr, bytes) : mapped;
}

intptr_t backing_map_fresh(void *addr, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
	int error = next_fault();

	if (error != 0)
		return error;
	return SYSTEM_CALL(SYS_mmap, addr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0L);
}

/* Growing a file beyond the process's limit would be answered by a signal. */
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
	/* Kernels before 6.3 do not know that a file may be asked not to be executable. */
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
	int flags = MAP_SHARED | MAP_NORESERVE | (addr != NULL ? MAP_FIXED : 0);
	int error = next_fault();

	if (error != 0)
		return error;
	return SYSTEM_CALL(SYS_mmap, addr, bytes, PROT_NONE, flags, file, 0L);
}

intptr_t backing_map_again(void *addr, void *frames, size_t bytes)
{
	int error = next_fault();

	if (error != 0)
		return error;
	return SYSTEM_CALL(SYS_mremap, frames, 0L, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, addr);
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
