/* SPDX-License-Identifier: MIT */
#include "mapped.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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
