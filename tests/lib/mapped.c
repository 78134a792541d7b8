/* SPDX-License-Identifier: MIT */
#include "mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "confine.h"
#include "machine/linux/annotate_ops.h"
#include "machine/linux/backing.h"

bool is_accessible(const void *addr)
{
	int ends[2];
	ssize_t written;

	CHECK(pipe(ends) == 0);
	written = write(ends[1], addr, 1);
	close(ends[0]);
	close(ends[1]);
	return written == 1;
}

bool mapping_has_flag(const void *addr, const char *flag)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	bool inside = false, found = false, has = false;
	char line[1024], word[8];

	CHECK(file != NULL);
	snprintf(word, sizeof(word), " %s", flag);
	while (fgets(line, sizeof(line), file) != NULL) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			inside = start <= (uintptr_t)addr && (uintptr_t)addr < end;
		} else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			found = true;
			has = strstr(line, word) != NULL;
		}
	}
	fclose(file);
	CHECK_VALUES(found, (uintptr_t)addr, 0);
	return has;
}

uint64_t mapped_bytes(const void *addr, size_t bytes, const char *line)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	uintptr_t from = (uintptr_t)addr;
	size_t name_bytes = strlen(line);
	uint64_t sum = 0;
	bool inside = false;
	char text[1024];

	CHECK(file != NULL);
	while (fgets(text, sizeof(text), file) != NULL) {
		unsigned long start, end, kib;

		if (sscanf(text, "%lx-%lx ", &start, &end) == 2)
			inside = from <= start && end <= from + bytes;
		else if (inside && strncmp(text, line, name_bytes) == 0 &&
			 sscanf(text + name_bytes, ": %lu kB", &kib) == 1)
			sum += (uint64_t)kib << 10;
	}
	fclose(file);
	return sum;
}

/* As the kernel lays them out: PAGEMAP_SCAN. */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_request {
	uint64_t bytes, flags, start, end, walk_end, regions, regions_max, pages_max;
	uint64_t inverted, all_of, any_of, report;
};
#define SCAN_PAGES	0xc0606610ul
#define SCAN_PRESENT	(UINT64_C(1) << 3)
#define SCAN_ZERO_PAGE	(UINT64_C(1) << 5)
#define SCAN_HUGE	(UINT64_C(1) << 6)
#define SCAN_REGIONS_NR 64u

bool mapped_pages_read(const void *addr, size_t bytes, struct mapped_pages *pages)
{
	struct scan_region region[SCAN_REGIONS_NR];
	struct scan_request request = {
		.bytes = sizeof(request),
		.start = (uintptr_t)addr,
		.end = (uintptr_t)addr + bytes,
		.regions = (uintptr_t)region,
		.regions_max = SCAN_REGIONS_NR,
		.any_of = SCAN_PRESENT,
		.report = SCAN_PRESENT | SCAN_ZERO_PAGE | SCAN_HUGE,
	};
	int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), n = 0;

	*pages = (struct mapped_pages){ .present = 0 };
	while (n >= 0 && request.start < request.end) {
		n = ioctl(file, SCAN_PAGES, &request);
		for (int i = 0; i < n; i++) {
			uint64_t found = region[i].end - region[i].start;

			if ((region[i].categories & SCAN_ZERO_PAGE) == 0)
				pages->present += found;
			if ((region[i].categories & SCAN_HUGE) != 0)
				pages->huge += found;
		}
		request.start = request.walk_end;
	}
	if (file >= 0)
		close(file);
	return n >= 0;
}

#define HUGE_ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"

bool kernel_knows_huge_pages(void)
{
	return access(HUGE_ENABLED, R_OK) == 0;
}

bool kernel_gives_huge_pages(void)
{
	char text[64] = "";
	FILE *file = fopen(HUGE_ENABLED, "r");
	bool gives = file != NULL && fgets(text, sizeof(text), file) != NULL &&
		     strstr(text, "[never]") == NULL;

	if (file != NULL)
		fclose(file);
	return gives;
}

bool kernel_has_guards(void)
{
	static char memory[65536] __attribute__((aligned(65536)));
	bool has = madvise(memory, sizeof(memory), BACKING_GUARD_INSTALL) == 0;

	madvise(memory, sizeof(memory), BACKING_GUARD_REMOVE);
	return has && !annotate_has_lsan();
}

void deny_guards(void)
{
	confine_deny_argument(SYS_madvise, 2, BACKING_GUARD_INSTALL, EINVAL);
}
