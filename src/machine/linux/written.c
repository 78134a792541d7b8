/* SPDX-License-Identifier: MIT */
/*
 * written.c - which pages of a range have memory
 *
 * The system walks its page tables (PAGEMAP_SCAN, Linux 6.7) and skips untouched parts, so a
 * range for 256 CPUs of which two have written costs as much as one for two.  On older systems the
 * query reads page by page.  mincore() would be wrong: a page that is swapped out is not in core,
 * but not zero either.
 *
 * The file is opened for each call, because a descriptor inherited over fork would show the parent.
 */
#include "machine/mem.h"

#include <fcntl.h>
#include <string.h>

#include "base/check.h"
#include "machine/linux/system.h"
#include "machine/linux/written.h"

#define SCAN_REQUEST 0xc0606610ul
#define IS_PRESENT   (UINT64_C(1) << 3)
#define IS_SWAPPED   (UINT64_C(1) << 4)
#define IS_ZERO_PAGE (UINT64_C(1) << 5)
#define REGIONS_MAX  32u

/* In the layout of the kernel interface. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_request {
	uint64_t bytes, flags, start, end, walk_end, regions, regions_max, pages_max;
	uint64_t inverted, all_of, any_of, report;
};

_Static_assert(sizeof(struct scan_request) == 96, "the request's number tells its size");

static void mark(const struct mem_stretches *s, uintptr_t from, uintptr_t end, uint64_t *masks)
{
	size_t unit = s->page_bytes;

	for (size_t i = (from - (uintptr_t)s->addr) / s->stride_bytes; i < s->nr; i++) {
		uintptr_t base = (uintptr_t)s->addr + i * s->stride_bytes;
		uintptr_t first = from > base ? (from - base) / unit : 0, last;

		if (base >= end)
			return;
		last = (end - base + unit - 1) / unit;
		last = last < s->pages ? last : s->pages;
		if (first < last)
			masks[i] |= ~UINT64_C(0) >> (64 - (last - first)) << first;
	}
}

static int scan(int fd, const struct mem_stretches *s, uint64_t *masks)
{
	struct scan_region region[REGIONS_MAX];
	struct scan_request request = {
		.bytes = sizeof(request),
		.start = (uintptr_t)s->addr,
		.end = (uintptr_t)s->addr + (s->nr - 1) * s->stride_bytes +
		       s->pages * s->page_bytes,
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
				mark(s, (uintptr_t)region[i].start, (uintptr_t)region[i].end,
				     masks);
		if (request.walk_end <= request.start)
			return -EINVAL;
		request.start = request.walk_end;
	}
	return 0;
}

static int read_entries(int fd, const struct mem_stretches *s, uint64_t *masks)
{
	unsigned each = (unsigned)(s->page_bytes / mem_page_bytes());
	uint64_t entry[64];

	for (unsigned i = 0; i < s->nr; i++) {
		uintptr_t page = ((uintptr_t)s->addr + i * s->stride_bytes) / mem_page_bytes();

		for (unsigned at = 0, n; at < s->pages * each; at += n) {
			long got;

			n = s->pages * each - at < 64 ? s->pages * each - at : 64;
			got = SYSTEM_CALL(SYS_pread64, fd, entry, n * sizeof(entry[0]),
					  (long)((page + at) * sizeof(entry[0])));
			if (got != (long)(n * sizeof(entry[0])))
				return got < 0 ? (int)got : -EIO;
			for (unsigned k = 0; k < n; k++)
				masks[i] |= (uint64_t)(entry[k] >> 62 != 0) << ((at + k) / each);
		}
	}
	return 0;
}

int written_ask(const struct mem_stretches *s, enum written_way way, uint64_t *masks)
{
	long fd = SYSTEM_CALL(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
	int error = -ENOSYS;

	CHECK(s->nr != 0 && s->pages != 0 && s->pages <= 64);
	CHECK(s->page_bytes % mem_page_bytes() == 0 && s->pages * s->page_bytes <= s->stride_bytes);
	if (fd < 0)
		return (int)fd;
	memset(masks, 0, s->nr * sizeof(masks[0]));
	if (way != WRITTEN_BY_PAGE)
		error = scan((int)fd, s, masks);
	if (error && way != WRITTEN_BY_SCAN)
		error = read_entries((int)fd, s, masks);
	SYSTEM_CALL(SYS_close, (int)fd);
	return error;
}

int mem_find_written(const struct mem_stretches *stretches, uint64_t *masks)
{
	return written_ask(stretches, WRITTEN_ANY_WAY, masks);
}

bool mem_reading_takes_memory(void)
{
	size_t page = mem_page_bytes();
	struct mem_stretches s = { .stride_bytes = page, .page_bytes = page, .nr = 1, .pages = 1 };
	char *addr = mem_reserve(page, page, "quire-probe");
	uint64_t mask = 0;

	if (addr == NULL)
		return false;
	s.addr = addr;
	if (mem_commit(addr, page) == 0) {
		(void)*(volatile char *)addr;
		/* Only a scan distinguishes the zero page from others. */
		if (written_ask(&s, WRITTEN_BY_SCAN, &mask) != 0)
			mask = 0;
	}
	mem_release(addr, page);
	return mask != 0;
}
