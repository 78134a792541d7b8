/* SPDX-License-Identifier: MIT */
#include "machine/linux/system.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "machine/atomic.h"

#define NAME_RANGE	0x53564d41L /* PR_SET_VMA */
/* 4 KiB hold the worst list of 1,000 CPUs, and a line for each of about 14 hierarchies of cgroups. */
#define TEXT_BYTES	4096
#define NAME_RANGE_ANON 0L /* PR_SET_VMA_ANON_NAME */

/* A file of /proc may answer in pieces; a signal may interrupt.  With @line reads to the end of a line
 * only, so no call that reads nothing follows. */
static long read_fd(int fd, char *buffer, size_t bytes, bool line)
{
	size_t done = 0;

	while (done < bytes && !(line && done != 0 && buffer[done - 1] == '\n')) {
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

static long read_file(const char *path, char *buffer, size_t bytes, bool line)
{
	long fd = SYSTEM_CALL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	long got;

	if (fd < 0)
		return fd;
	got = read_fd((int)fd, buffer, bytes - 1, line);
	SYSTEM_CALL(SYS_close, (int)fd);
	if (got >= 0)
		buffer[got] = '\0';
	return got;
}

long system_read_line(const char *path, char *buffer, size_t bytes)
{
	return read_file(path, buffer, bytes, true);
}

char *system_file_text(const char *path)
{
	long text = SYSTEM_CALL(SYS_mmap, NULL, (size_t)TEXT_BYTES, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);

	if (text < 0 && text > -4096)
		return NULL;
	if (read_file(path, (char *)text, TEXT_BYTES, false) > 0)
		return (char *)text;
	system_file_text_free((char *)text);
	return NULL;
}

void system_file_text_free(char *text)
{
	SYSTEM_CALL(SYS_munmap, text, (size_t)TEXT_BYTES);
}

/*
 * Two threads may both be the first, and find the same.  A kernel without names says EINVAL, a filter
 * what it likes: the ranges are in order, so the next one is refused as well.  Want of memory passes.
 */
void system_name_range(void *addr, size_t bytes, const char *name)
{
	static bool refuses; /* atomic, relaxed */
	long error;

	if (load_relaxed(&refuses))
		return;
	error = SYSTEM_CALL(SYS_prctl, NAME_RANGE, NAME_RANGE_ANON, addr, bytes, name);
	if (error != 0 && error != -ENOMEM)
		store_relaxed(&refuses, true);
}

void system_dump_range(void *addr, size_t bytes, bool dump)
{
	SYSTEM_CALL(SYS_madvise, addr, bytes, dump ? MADV_DODUMP : MADV_DONTDUMP);
}
