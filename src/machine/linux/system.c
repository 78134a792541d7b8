/* SPDX-License-Identifier: MIT */
#include "machine/linux/system.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define NAME_RANGE	0x53564d41L /* PR_SET_VMA */
#define NAME_RANGE_ANON 0L	    /* PR_SET_VMA_ANON_NAME */

/* A file of /proc may answer in pieces; a signal may interrupt. */
static long read_all(int fd, char *buffer, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		long got = SYSTEM_CALL(SYS_read, fd, buffer + done, bytes - done);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return got;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (long)done;
}

long system_read_file(const char *path, char *buffer, size_t bytes)
{
	long fd = SYSTEM_CALL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	long got;

	if (fd < 0)
		return fd;
	got = read_all((int)fd, buffer, bytes - 1);
	SYSTEM_CALL(SYS_close, (int)fd);
	if (got >= 0)
		buffer[got] = '\0';
	return got;
}

void system_name_range(void *addr, size_t bytes, const char *name)
{
	SYSTEM_CALL(SYS_prctl, NAME_RANGE, NAME_RANGE_ANON, addr, bytes, name);
}

void system_dump_range(void *addr, size_t bytes, bool dump)
{
	SYSTEM_CALL(SYS_madvise, addr, bytes, dump ? MADV_DODUMP : MADV_DONTDUMP);
}
