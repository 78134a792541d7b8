/* SPDX-License-Identifier: MIT */
/*
 * handed.c - files of another process, in memory and on a disk
 *
 * Of those in memory only files that are sealed against shrinking are mapped: an access behind the end of one
 * that somebody truncates is a SIGBUS in the middle of malloc().  A descriptor that is no such file, because the
 * program was given another one under the same number, has no seals, so this is also what tells them apart.
 */
#include "machine/handed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/text.h"
#include "machine/linux/system.h"

#ifndef F_GET_SEALS
#define F_GET_SEALS   1034
#define F_SEAL_SHRINK 0x0002
#endif

uint32_t handed_pid(void)
{
	return (uint32_t)SYSTEM_CALL(SYS_getpid);
}

/* Device and number of a file; 0 if there is none. */
static uint64_t file_number(const char *path)
{
	struct stat status;
	int errno_before = errno;
	int result = stat(path, &status);

	errno = errno_before;
	return result == 0 ? ((uint64_t)status.st_dev << 40) + status.st_ino : 0;
}

uint64_t handed_pids_space(void)
{
	return file_number("/proc/self/ns/pid");
}

static void begin_path(struct text *text, char *path, size_t bytes, uint32_t pid)
{
	text_init(text, path, bytes);
	text_put(text, "/proc/");
	text_put_u64(text, pid);
}

uint64_t handed_program(uint32_t pid)
{
	char path[64];
	struct text text;

	begin_path(&text, path, sizeof(path), pid);
	text_put(&text, "/exe");
	return file_number(path);
}

int handed_open(uint32_t pid, uint32_t fd)
{
	char path[64];
	struct text text;

	begin_path(&text, path, sizeof(path), pid);
	text_put(&text, "/fd/");
	text_put_u64(&text, fd);
	return (int)SYSTEM_CALL(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NONBLOCK, 0);
}

void handed_close(int fd)
{
	SYSTEM_CALL(SYS_close, fd);
}

static void *map(int fd, uint64_t from, size_t bytes)
{
	long end = SYSTEM_CALL(SYS_lseek, fd, 0L, SEEK_END), addr;

	if (end < 0 || (uint64_t)end < from || (uint64_t)end - from < bytes)
		return NULL;
	addr = SYSTEM_CALL(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   (long)from);
	return addr < 0 && addr > -4096 ? NULL : (void *)addr;
}

void *handed_map(int fd, uint64_t from, size_t bytes)
{
	long seals = SYSTEM_CALL(SYS_fcntl, fd, F_GET_SEALS, 0L);

	return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 ? map(fd, from, bytes) : NULL;
}

void *handed_map_file(int fd, uint64_t from, size_t bytes)
{
	if (SYSTEM_CALL(SYS_fallocate, fd, 0L, (long)from, (long)bytes) != 0)
		return NULL;
	return map(fd, from, bytes);
}

void handed_unmap(void *addr, size_t bytes)
{
	SYSTEM_CALL(SYS_munmap, addr, bytes);
}

void handed_name(char name[16])
{
	SYSTEM_CALL(SYS_prctl, PR_GET_NAME, name, 0L, 0L, 0L);
}

void handed_empty(void *addr, size_t bytes)
{
	SYSTEM_CALL(SYS_madvise, addr, bytes, MADV_REMOVE);
}
