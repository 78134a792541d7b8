/* SPDX-License-Identifier: MIT */
/*
 * resident.c - VmRSS and VmHWM of /proc/PID/status
 *
 * smaps_rollup would be exact, but it walks the page tables and holds the process's lock meanwhile: its time
 * grows with what is measured.  These two are sums of counters that the kernel keeps by CPU or by thread, and
 * are wrong by at most some dozen pages for each.
 */
#include "run/resident.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/observed.h"
#include "malloc/owner.h"

static bool read_line(const char *text, const char *name, uint64_t *bytes)
{
	const char *at = strstr(text, name);
	uint64_t kib;

	if (at == NULL || sscanf(at + strlen(name), " %" SCNu64, &kib) != 1)
		return false;
	*bytes = kib << 10;
	return true;
}

/* False where /proc is that of another pid namespace, in which our numbers are others'. */
static bool is_own_proc(void)
{
	char text[32];
	ssize_t bytes = readlink("/proc/self", text, sizeof(text) - 1);

	if (bytes <= 0)
		return false;
	text[bytes] = '\0';
	return atoi(text) == getpid();
}

bool resident_read(pid_t pid, struct resident *resident)
{
	char text[4096];
	ssize_t bytes;
	int fd;

	if (!is_own_proc())
		return false;
	snprintf(text, sizeof(text), "/proc/%d/status", pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (bytes <= 0)
		return false;
	text[bytes] = '\0';
	/* A process that has ended, or is ending, has neither line. */
	return read_line(text, "\nVmHWM:", &resident->peak_bytes) &&
	       read_line(text, "\nVmRSS:", &resident->bytes);
}

bool resident_read_owner(uint64_t who, struct resident *resident)
{
	uint32_t pid = owner_pid(who);

	return resident_read((pid_t)pid, resident) &&
	       owner_is(who, owner_word(pid, observed_start_ticks(pid)));
}
