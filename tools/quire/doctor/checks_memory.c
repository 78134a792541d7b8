/* SPDX-License-Identifier: MIT */
/* checks_memory.c - how memory goes back: vectored calls, guards, huge pages, files of memory */
#include "doctor/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef PIDFD_SELF
#define PIDFD_SELF (-10000)
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#define RANGES_NR  64u
#define HUGE_BYTES ((size_t)2 << 20)

/* ---- many ranges at once ---- */

struct ranges {
	char *base;
	size_t page;
	struct iovec each[RANGES_NR]; /* every second page */
	int self;
	const char *refused; /* the call that was; NULL: none */
	int error;
};

static void touch(const struct ranges *ranges)
{
	for (unsigned i = 0; i < RANGES_NR; i++)
		*(volatile char *)ranges->each[i].iov_base = 1;
}

static void back_one_by_one(void *arg)
{
	struct ranges *ranges = arg;

	touch(ranges);
	for (unsigned i = 0; i < RANGES_NR; i++)
		madvise(ranges->each[i].iov_base, ranges->page, MADV_DONTNEED);
}

static void back_at_once(void *arg)
{
	struct ranges *ranges = arg;

	touch(ranges);
	ranges->refused = NULL;
	if (syscall(SYS_process_madvise, ranges->self, ranges->each, RANGES_NR, MADV_DONTNEED, 0) <
	    0) {
		ranges->refused = "process_madvise";
		ranges->error = errno;
	}
}

static bool ranges_make(struct ranges *ranges)
{
	ranges->page = (size_t)sysconf(_SC_PAGESIZE);
	ranges->base = mmap(NULL, 2 * RANGES_NR * ranges->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ranges->base == MAP_FAILED)
		return false;
	for (unsigned i = 0; i < RANGES_NR; i++)
		ranges->each[i] = (struct iovec){ .iov_base = ranges->base + 2 * i * ranges->page,
						  .iov_len = ranges->page };
	ranges->self = PIDFD_SELF;
	back_at_once(ranges);
	if (ranges->refused == NULL || ranges->error != EBADF)
		return true;
	ranges->self = (int)syscall(SYS_pidfd_open, getpid(), 0); /* a kernel without that number */
	if (ranges->self >= 0) {
		back_at_once(ranges);
	} else {
		ranges->refused = "pidfd_open";
		ranges->error = errno;
	}
	return true;
}

static void look_process_madvise(struct finding *finding)
{
	struct ranges ranges = { .base = NULL };

	if (!ranges_make(&ranges)) {
		found(finding, FINDING_NOTE, "not tried: no memory");
		return;
	}
	if (ranges.refused == NULL) {
		found(finding, FINDING_OK,
		      "64 scattered pages go back in %.0f us, one by one in %.0f us",
		      measure_ns(back_at_once, &ranges) / 1e3,
		      measure_ns(back_one_by_one, &ranges) / 1e3);
	} else {
		found(finding, FINDING_MISSING,
		      "%s is refused (%s): a call for each range, 64 scattered pages take %.0f us",
		      ranges.refused, strerrorname_np(ranges.error),
		      measure_ns(back_one_by_one, &ranges) / 1e3);
		if (ranges.error == EPERM)
			mend(finding, "in a filter, allow %s (systemd: SystemCallFilter=%s)",
			     ranges.refused, ranges.refused);
		else
			mend(finding, "Linux 6.13 or later");
	}
	if (ranges.self >= 0)
		close(ranges.self);
	munmap(ranges.base, 2 * RANGES_NR * ranges.page);
}

/* ---- guards ---- */

struct guarded {
	char *page; /* in the middle of a mapping */
	size_t bytes;
};

static void guard_light(void *arg)
{
	struct guarded *it = arg;

	madvise(it->page, it->bytes, MADV_GUARD_INSTALL);
	madvise(it->page, it->bytes, MADV_GUARD_REMOVE);
}

static void guard_mapped(void *arg)
{
	struct guarded *it = arg;

	mprotect(it->page, it->bytes, PROT_NONE);
	mprotect(it->page, it->bytes, PROT_READ | PROT_WRITE);
}

static void look_guards(struct finding *finding)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *base =
		mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct guarded it = { .page = base + page, .bytes = page };

	if (base == MAP_FAILED) {
		found(finding, FINDING_NOTE, "not tried: no memory");
		return;
	}
	if (madvise(it.page, page, MADV_GUARD_INSTALL) == 0) {
		found(finding, FINDING_OK,
		      "a guard page costs no mapping: set and removed in %.1f us, by mprotect() in "
		      "%.1f us",
		      measure_ns(guard_light, &it) / 1e3, measure_ns(guard_mapped, &it) / 1e3);
	} else {
		found(finding, FINDING_MISSING,
		      "a guard page is a mapping of its own, of which the system grants a few: "
		      "%.1f us",
		      measure_ns(guard_mapped, &it) / 1e3);
		mend(finding, "Linux 6.13 or later; guard:off does without");
	}
	munmap(base, 3 * page);
}

/* ---- huge pages ---- */

/* kB of huge pages behind the mapping that contains @addr. */
static uint64_t huge_kb(const void *addr)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	uint64_t kb = 0, value;
	bool is_it = false;
	char line[512];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		uintptr_t begin, end;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
			is_it = begin <= (uintptr_t)addr && (uintptr_t)addr < end;
		else if (is_it && sscanf(line, "AnonHugePages: %" SCNu64, &value) == 1)
			kb = value;
	}
	if (file != NULL)
		fclose(file);
	return kb;
}

static void look_huge(struct finding *finding)
{
	char *base = mmap(NULL, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	char *block = (char *)(((uintptr_t)base + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
	char setting[128] = "no setting";

	if (base == MAP_FAILED) {
		found(finding, FINDING_NOTE, "not tried: no memory");
		return;
	}
	read_line("/sys/kernel/mm/transparent_hugepage/enabled", setting, sizeof(setting));
	madvise(block, HUGE_BYTES, MADV_HUGEPAGE);
	*(volatile char *)block = 1;
	if (huge_kb(block) >= 2048)
		found(finding, FINDING_OK, "given when asked for (%s)", setting);
	else if (strstr(setting, "[never]") != NULL || setting[0] == 'n') {
		found(finding, FINDING_MISSING, "never given (%s): a fault for each page", setting);
		mend(finding, "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled");
	} else {
		found(finding, FINDING_NOTE,
		      "not given now (%s): no 2 MiB of free memory in one piece, or a "
		      "setting of the process",
		      setting);
	}
	munmap(base, 2 * HUGE_BYTES);
}

/* ---- files of memory ---- */

static void look_memfd(struct finding *finding)
{
	int fd = memfd_create("quire-doctor", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, 4096) == 0) {
		found(finding, FINDING_OK, "backing:memfd and `quire run` can share memory");
	} else {
		found(finding, FINDING_MISSING,
		      "refused (%s): no backing:memfd, no figures of `quire run`",
		      strerrorname_np(errno));
		mend(finding, "in a filter, allow memfd_create");
	}
	if (fd >= 0)
		close(fd);
}

const struct check checks_memory[] = {
	{ .name = "process_madvise", .look = look_process_madvise },
	{ .name = "guards", .look = look_guards },
	{ .name = "huge pages", .look = look_huge },
	{ .name = "memfd", .look = look_memfd },
	{ .name = NULL },
};
