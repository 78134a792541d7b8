/* SPDX-License-Identifier: MIT */
#include "machine/linux/system.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "machine/atomic.h"
#include "machine/linux/sanitizer.h"

#define NAME_RANGE	0x53564d41L /* PR_SET_VMA */
/* 4 KiB hold the worst list of 1,000 CPUs, and a line for each of about 14 hierarchies of cgroups. */
#define TEXT_BYTES	4096
#define NAME_RANGE_ANON 0L /* PR_SET_VMA_ANON_NAME */

/* One piece; a signal may interrupt. */
static long read_some(int fd, char *buffer, size_t bytes)
{
	long got;

	do
		got = SYSTEM_CALL(SYS_read, fd, buffer, bytes);
	while (got == -EINTR);
	return got;
}

/* A file of /proc may answer in pieces.  With @line reads to the end of a line only, so no call that reads
 * nothing follows. */
static long read_fd(int fd, char *buffer, size_t bytes, bool line)
{
	size_t done = 0;

	while (done < bytes && !(line && done != 0 && buffer[done - 1] == '\n')) {
		long got = read_some(fd, buffer + done, bytes - done);

		if (got < 0)
			return got;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (long)done;
}

static long open_file(const char *path)
{
	return SYSTEM_CALL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

static long read_file(const char *path, char *buffer, size_t bytes, bool line)
{
	long fd = open_file(path);
	long got;

	if (fd < 0)
		return fd;
	got = read_fd((int)fd, buffer, bytes - 1, line);
	SYSTEM_CALL(SYS_close, (int)fd);
	if (got >= 0)
		buffer[got] = '\0';
	return got;
}

long system_read_text(const char *path, char *buffer, size_t bytes)
{
	return read_file(path, buffer, bytes, false);
}

long system_read_line(const char *path, char *buffer, size_t bytes)
{
	return read_file(path, buffer, bytes, true);
}

/* Reads on behind what there is: the bytes, 0 at the end, or -errno. */
static long read_on(struct system_lines *lines)
{
	long got = read_some(lines->fd, lines->buffer + lines->got, lines->bytes - lines->got);

	if (got > 0)
		lines->got += (size_t)got;
	return got;
}

/* Drops the line before; what was read behind it moves to the front. */
static void drop_line(struct system_lines *lines)
{
	lines->got -= lines->used;
	memmove(lines->buffer, lines->buffer + lines->used, lines->got);
	lines->used = 0;
}

long system_lines_next(struct system_lines *lines)
{
	bool fits = true;
	char *end;
	long got;

	drop_line(lines);
	for (;;) {
		end = memchr(lines->buffer, '\n', lines->got);
		if (end != NULL) {
			*end = '\0';
			lines->used = (size_t)(end - lines->buffer) + 1;
			if (fits)
				return 1;
			drop_line(lines);
			fits = true;
			continue;
		}
		if (lines->got == lines->bytes) {
			lines->got = 0;
			fits = false;
		}
		got = read_on(lines);
		if (got <= 0)
			return got;
	}
}

long system_lines_open(struct system_lines *lines, const char *path, char *buffer, size_t bytes)
{
	long fd = open_file(path);

	*lines = (struct system_lines){ .fd = fd < 0 ? -1 : (int)fd,
					.buffer = buffer,
					.bytes = bytes };
	return fd < 0 ? fd : system_lines_next(lines);
}

void system_lines_close(struct system_lines *lines)
{
	if (lines->fd >= 0)
		SYSTEM_CALL(SYS_close, lines->fd);
	lines->fd = -1;
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

void system_close(int fd)
{
	if (MACHINE_TSAN)
		(void)close(fd);
	else
		SYSTEM_CALL(SYS_close, fd);
}

long system_dup_away(long fd)
{
	static const long least[] = { 200, STDERR_FILENO + 1 };
	long moved = fd;

	for (unsigned i = 0; fd >= 0 && i < sizeof(least) / sizeof(least[0]); i++) {
		moved = SYSTEM_CALL(SYS_fcntl, (int)fd, F_DUPFD_CLOEXEC, least[i]);
		if (moved >= 0)
			break;
	}
	return moved;
}
