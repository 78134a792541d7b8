/* SPDX-License-Identifier: MIT */
/*
 * written.c - which pages of a range have something behind them
 *
 * The system walks its page tables (PAGEMAP_SCAN, Linux 6.7) and passes over what was never touched,
 * so a range of 256 CPUs of which two write costs what two do.  Older systems are asked page by page.
 * Neither is mincore(): what is swapped out is not in core, and not zero.
 *
 * The file is opened for each call: a descriptor that a child inherits would show the parent.
 */
#include "machine/mem.h"

#include <fcntl.h>
#include <string.h>

#include "base/check.h"
#include "machine/linux/system.h"

#define SCAN_REQUEST 0xc0606610ul
#define IS_PRESENT   (UINT64_C(1) << 3)
#define IS_SWAPPED   (UINT64_C(1) << 4)
#define IS_ZERO_PAGE (UINT64_C(1) << 5)
#define REGIONS_MAX  32u

/* As the system lays them out. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_request {
	uint64_t bytes, flags, start, end, walk_end, regions, regions_max, pages_max;
	uint64_t inverted, all_of, any_of, report;
};

_Static_assert(sizeof(struct scan_request) == 96, "the request's number tells its size");

/* What is asked about. */
struct stretches {
	uintptr_t start;
	size_t stride_bytes;
	unsigned nr, pages;
	uint64_t *masks;
};

static void mark(const struct stretches *s, uintptr_t from, uintptr_t end)
{
	size_t unit = mem_page_bytes();

	for (size_t i = (from - s->start) / s->stride_bytes; i < s->nr; i++) {
		uintptr_t base = s->start + i * s->stride_bytes;
		uintptr_t first = from > base ? (from - base) / unit : 0, last;

		if (base >= end)
			return;
		last = (end - base) / unit < s->pages ? (end - base) / unit : s->pages;
		if (first < last)
			s->masks[i] |= ~UINT64_C(0) >> (64 - (last - first)) << first;
	}
}

static int scan(int fd, const struct stretches *s)
{
	struct scan_region region[REGIONS_MAX];
	struct scan_request request = {
		.bytes = sizeof(request),
		.start = s->start,
		.end = s->start + (s->nr - 1) * s->stride_bytes + s->pages * mem_page_bytes(),
		.regions = (uintptr_t)region,
		.regions_max = REGIONS_MAX,
		.any_of = IS_PRESENT | IS_SWAPPED,
		.report = IS_PRESENT | IS_SWAPPED | IS_ZERO_PAGE,
	};

	while (request.start < request.end) {
		long n = SYSTEM_CALL(SYS_ioctl, fd, SCAN_REQUEST, &request);

		if (n < 0)
			return (int)n;
		for (long i = 0; i < n; i++)
			if ((region[i].categories & IS_ZERO_PAGE) == 0)
				mark(s, (uintptr_t)region[i].start, (uintptr_t)region[i].end);
		if (request.walk_end <= request.start)
			return -EINVAL;
		request.start = request.walk_end;
	}
	return 0;
}

static int read_entries(int fd, const struct stretches *s)
{
	uint64_t entry[64];

	for (unsigned i = 0; i < s->nr; i++) {
		uintptr_t page = (s->start + i * s->stride_bytes) / mem_page_bytes();
		long got = SYSTEM_CALL(SYS_pread64, fd, entry, s->pages * sizeof(entry[0]),
				       (long)(page * sizeof(entry[0])));

		if (got != (long)(s->pages * sizeof(entry[0])))
			return got < 0 ? (int)got : -EIO;
		for (unsigned k = 0; k < s->pages; k++)
			s->masks[i] |= (uint64_t)(entry[k] >> 62 != 0) << k;
	}
	return 0;
}

int mem_find_written(const void *addr, size_t stride_bytes, unsigned nr, unsigned pages,
		     uint64_t *masks)
{
	struct stretches s = { (uintptr_t)addr, stride_bytes, nr, pages, masks };
	long fd = SYSTEM_CALL(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
	int error;

	CHECK(nr != 0 && pages != 0 && pages <= 64 && pages * mem_page_bytes() <= stride_bytes);
	if (fd < 0)
		return (int)fd;
	memset(masks, 0, nr * sizeof(masks[0]));
	error = scan((int)fd, &s);
	if (error)
		error = read_entries((int)fd, &s);
	SYSTEM_CALL(SYS_close, (int)fd);
	return error;
}
