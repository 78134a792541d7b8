/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/debug_log.c - where debug:on reports what was not freed
 *
 * At its end a program may have closed stderr, or opened another file under its number.  A copy of the descriptor would
 * outlive that, but also keep a pipe open whose reader waits for its end.  So stderr is used if it is
 * still the same file, and QUIRE_DEBUG_LOG names a file that is opened for each line.
 */
#include "malloc/debug.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/linux/system.h"
#include "machine/process.h"

#define PATH_BYTES 1024

/* Written before the heap is ready. */
static struct {
	char path[PATH_BYTES]; /* "": none */
	bool has_error;
	dev_t device;
	ino_t node;
} log_;

static bool stat_error(struct stat *stat)
{
	int error = errno;
	bool is_open = fstat(STDERR_FILENO, stat) == 0;

	errno = error;
	return is_open;
}

void debug_log_begin(void)
{
	const char *path = process_env("QUIRE_DEBUG_LOG");
	struct stat stat = { .st_dev = 0 };

	if (path != NULL && strlen(path) < sizeof(log_.path))
		memcpy(log_.path, path, strlen(path) + 1);
	log_.has_error = stat_error(&stat);
	log_.device = stat.st_dev;
	log_.node = stat.st_ino;
}

static bool error_is_the_same(void)
{
	struct stat stat;

	return log_.has_error && stat_error(&stat) && stat.st_dev == log_.device &&
	       stat.st_ino == log_.node;
}

void debug_log(const char *line)
{
	long fd;

	if (log_.path[0] == '\0') {
		if (error_is_the_same())
			SYSTEM_CALL(SYS_write, STDERR_FILENO, line, strlen(line));
		return;
	}
	fd = SYSTEM_CALL(SYS_openat, AT_FDCWD, log_.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			 0600);
	if (fd < 0)
		return;
	SYSTEM_CALL(SYS_write, fd, line, strlen(line));
	SYSTEM_CALL(SYS_close, fd);
}

uint32_t debug_log_process(void)
{
	return (uint32_t)getpid();
}
