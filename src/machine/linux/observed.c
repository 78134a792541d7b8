/* SPDX-License-Identifier: MIT */
/*
 * observed.c - a file of this process that others read
 *
 * Folders.  $XDG_RUNTIME_DIR/quire, which is the user's own and in memory; else /dev/shm/quire-UID, whose parent anybody can write
 * to.  So the folder is opened without following a link, and is used only if it is this user's and nobody else
 * can write to it.  All files are then named relative to it.
 *
 * Names.  PID-START-SPACE, with .N for the process's Nth file.  No two processes have the same, but one that execs has
 * what it was before: its own first file replaces what it finds.
 *
 * Memory is allocated at once: a store to a mapped file whose file system is full is a SIGBUS.
 */
#include "machine/observed.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "machine/atomic.h"
#include "machine/handed.h"
#include "machine/linux/system.h"
#include "machine/process.h"

#define PATH_BYTES 512u

static uint64_t
	files; /* atomic: the process that made them above, how many below: a child begins anew */

/* ---- which process this is ---- */

/* Field 22 of /proc/self/stat; the second is in parentheses, and may contain any byte. */
static uint64_t read_start_ticks(void)
{
	char line[512];
	long got = system_read_line("/proc/self/stat", line, sizeof(line));
	unsigned field = 2;
	uint64_t ticks = 0;
	char *at;

	if (got <= 0)
		return 0;
	for (at = line + got; at != line && *at != ')';)
		at--;
	for (; *at != '\0' && field < 22; at++)
		field += *at == ' ';
	for (; *at >= '0' && *at <= '9'; at++)
		ticks = ticks * 10 + (uint64_t)(*at - '0');
	return ticks;
}

static void read_command(char *command, size_t bytes)
{
	char line[64];
	long got = system_read_line("/proc/self/comm", line, sizeof(line));

	memset(command, 0, bytes);
	for (size_t i = 0; got > 0 && i + 1 < bytes && i < (size_t)got && line[i] != '\n'; i++)
		command[i] = line[i];
}

/* Returns the number of the next file: 1, 2, ... */
static uint32_t count_file(uint32_t pid)
{
	uint64_t before = load_relaxed(&files), now;

	do
		now = before >> 32 == pid ? before + 1 : ((uint64_t)pid << 32) + 1;
	while (!cas_relaxed(&files, &before, now));
	return (uint32_t)now;
}

static void identify(struct observed_process *process)
{
	process->pid = handed_pid();
	process->start_ticks = read_start_ticks();
	process->pids_space = handed_pids_space();
	process->file = count_file(process->pid);
	process->program = handed_program(process->pid);
	process->image = (uint64_t)getauxval(AT_RANDOM); /* where its stack began */
	read_command(process->command, sizeof(process->command));
}

/* ---- the folder ---- */

/* True if it is ours alone. */
static bool is_private(int fd)
{
	struct stat status;
	int errno_before = errno;
	bool is_it = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) &&
		     status.st_uid == (uid_t)SYSTEM_CALL(SYS_geteuid) &&
		     (status.st_mode & 077) == 0;

	errno = errno_before;
	return is_it;
}

/* A descriptor, or -1. */
static int open_folder(const char *path)
{
	int fd;

	SYSTEM_CALL(SYS_mkdirat, AT_FDCWD, path, 0700);
	fd = (int)SYSTEM_CALL(SYS_openat, AT_FDCWD, path,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (is_private(fd))
		return fd;
	SYSTEM_CALL(SYS_close, fd);
	return -1;
}

static int find_folder(void)
{
	const char *runtime = process_env("XDG_RUNTIME_DIR");
	char path[PATH_BYTES];
	struct text text;
	int fd = -1;

	text_init(&text, path, sizeof(path));
	if (runtime != NULL && runtime[0] == '/') {
		text_put(&text, runtime);
		text_put(&text, "/quire");
		if (text.bytes < sizeof(path))
			fd = open_folder(path);
	}
	if (fd >= 0)
		return fd;
	text_init(&text, path, sizeof(path));
	text_put(&text, "/dev/shm/quire-");
	text_put_u64(&text, (uint64_t)SYSTEM_CALL(SYS_geteuid));
	return open_folder(path);
}

/* ---- the file ---- */

static int make_file(int folder, const struct observed_process *process, size_t bytes)
{
	char name[96];
	struct text text;
	int fd;

	text_init(&text, name, sizeof(name));
	text_put_u64(&text, process->pid);
	text_put(&text, "-");
	text_put_u64(&text, process->start_ticks);
	text_put(&text, "-");
	text_put_u64(&text, process->pids_space);
	if (process->file != 1) {
		text_put(&text, ".");
		text_put_u64(&text, process->file);
	}
	SYSTEM_CALL(SYS_unlinkat, folder, name, 0); /* what this process left before exec */
	fd = (int)SYSTEM_CALL(SYS_openat, folder, name,
			      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (SYSTEM_CALL(SYS_fallocate, fd, 0, 0L, (long)bytes) == 0)
		return fd;
	SYSTEM_CALL(SYS_unlinkat, folder, name, 0);
	SYSTEM_CALL(SYS_close, fd);
	return -1;
}

void *observed_create(size_t bytes, struct observed_process *process)
{
	int folder = find_folder(), fd;
	long addr;

	if (folder < 0)
		return NULL;
	identify(process);
	fd = make_file(folder, process, bytes);
	SYSTEM_CALL(SYS_close, folder);
	if (fd < 0)
		return NULL;
	addr = SYSTEM_CALL(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
	SYSTEM_CALL(SYS_close, fd);
	return addr < 0 && addr > -4096 ? NULL : (void *)addr;
}

void observed_release(void *addr, size_t bytes)
{
	SYSTEM_CALL(SYS_munmap, addr, bytes);
}
