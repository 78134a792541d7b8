/* SPDX-License-Identifier: MIT */
/*
 * observed.c - a file of this process that others read
 *
 * Folders.  $XDG_RUNTIME_DIR/quire, which is the user's own and in memory; else, and where that has no room, /dev/shm/quire-UID,
 * whose parent anybody can write to.  So the folder is opened without following a link, and is used only if it is this
 * user's and nobody else can write to it.  All files are then named relative to it.
 *
 * Names.  PID-START-SPACE, with .N for the process's Nth file: N is the lowest that is free, since several of Quire's libraries
 * may be in a process, and know nothing of each other.  A process that execs keeps its name, and has what it was before in its
 * way.  Each file says which program it is from, and which exec of it: those of another are removed, all others kept.
 * Where addresses are not random, and the program execs itself, its old files are taken for its own and stay until
 * it ends.
 *
 * Descriptors that are not ours.  A program may close all descriptors that it does not know, and open files in their place, while
 * this is running.  So each is moved to a number that the program will hardly be given, and is used, or closed, only if
 * it is what its name says.
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
#include "machine/handed.h"
#include "machine/linux/system.h"
#include "machine/process.h"

#define NAME_BYTES 96u
/* A process has some instances; without an end, a folder full of strange files would be one. */
#define FILES_MAX  1024u

/* ---- which process this is ---- */

/* Field 22 of /proc/PID/stat.  The second is in parentheses, and may contain any byte; the third is the state. */
uint64_t observed_start_ticks(uint32_t pid)
{
	char path[64], stat[1024];
	struct text text;
	unsigned field = 2;
	uint64_t ticks = 0;
	long got;
	char *at;

	text_init(&text, path, sizeof(path));
	text_put(&text, "/proc/");
	if (pid != 0)
		text_put_u64(&text, pid);
	else
		text_put(&text, "self");
	text_put(&text, "/stat");
	got = system_read_text(path, stat, sizeof(stat));
	if (got <= 0)
		return 0;
	for (at = stat + got; at != stat && *at != ')';)
		at--;
	if (at[0] != ')' || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
		return 0;
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

static void identify(struct observed_process *process)
{
	process->pid = handed_pid();
	process->file = 1;
	process->start_ticks = observed_start_ticks(0);
	process->pids_space = handed_pids_space();
	process->program = handed_program(process->pid);
	process->image = (uint64_t)getauxval(AT_RANDOM); /* where its stack began */
	read_command(process->command, sizeof(process->command));
}

/* ---- descriptors ---- */

/* What @name in @folder is, without following a link. */
static bool look_at(int folder, const char *name, struct stat *status)
{
	int errno_before = errno;
	bool is_there = fstatat(folder, name, status, AT_SYMLINK_NOFOLLOW) == 0;

	errno = errno_before;
	return is_there;
}

/* True if @fd is what @name in @folder is; then @status says what that is. */
static bool is_named(int fd, int folder, const char *name, struct stat *status)
{
	struct stat named;
	int errno_before = errno;
	bool is_open = fstat(fd, status) == 0;

	errno = errno_before;
	return is_open && look_at(folder, name, &named) && named.st_dev == status->st_dev &&
	       named.st_ino == status->st_ino;
}

static void close_named(int fd, int folder, const char *name)
{
	struct stat status;

	if (is_named(fd, folder, name, &status))
		system_close(fd);
}

/* Opens it under a number that is out of the program's way.  -errno; -EBADF if the descriptor was taken away. */
static int open_named(int folder, const char *name, long flags, struct stat *status)
{
	long fd = SYSTEM_CALL(SYS_openat, folder, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	long moved;

	if (fd < 0)
		return (int)fd;
	if (!is_named((int)fd, folder, name, status))
		return -EBADF;
	moved = system_dup_away(fd);
	close_named((int)fd, folder, name);
	if (moved < 0 || is_named((int)moved, folder, name, status))
		return (int)moved;
	system_close((int)moved); /* the program's, once more */
	return -EBADF;
}

/* ---- the folders ---- */

bool observed_folder(char path[OBSERVED_PATH_BYTES], unsigned idx)
{
	const char *runtime = process_env("XDG_RUNTIME_DIR");
	struct text text;

	text_init(&text, path, OBSERVED_PATH_BYTES);
	if (idx == 0) {
		if (runtime == NULL || runtime[0] != '/')
			return false;
		text_put(&text, runtime);
		text_put(&text, "/quire");
		return text.bytes < OBSERVED_PATH_BYTES;
	}
	text_put(&text, "/dev/shm/quire-");
	text_put_u64(&text, (uint64_t)SYSTEM_CALL(SYS_geteuid));
	return true;
}

/* A descriptor, or -errno: -EPERM if it is not ours alone. */
static int open_folder(const char *path)
{
	struct stat status;
	int fd = open_named(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &status);

	if (fd < 0)
		return fd;
	if (S_ISDIR(status.st_mode) && status.st_uid == (uid_t)SYSTEM_CALL(SYS_geteuid) &&
	    (status.st_mode & 077) == 0)
		return fd;
	close_named(fd, AT_FDCWD, path);
	return -EPERM;
}

/* ---- names ---- */

static void put_name(char *name, const struct observed_process *process, uint32_t file)
{
	struct text text;

	text_init(&text, name, NAME_BYTES);
	text_put_u64(&text, process->pid);
	text_put(&text, "-");
	text_put_u64(&text, process->start_ticks);
	text_put(&text, "-");
	text_put_u64(&text, process->pids_space);
	if (file != 1) {
		text_put(&text, ".");
		text_put_u64(&text, file);
	}
}

/* True if this process made the file before an exec.  One that is just being made says nothing yet. */
static bool is_left(int folder, const char *name, const struct observed_process *process)
{
	struct observed_process there = { .pid = 0 };
	struct stat status;
	int fd = open_named(folder, name, O_RDONLY | O_NONBLOCK, &status);
	long got;

	if (fd < 0)
		return false;
	got = SYSTEM_CALL(SYS_pread64, fd, &there, sizeof(there), (long)OBSERVED_PROCESS_OFFSET);
	close_named(fd, folder, name);
	return got == (long)sizeof(there) && there.pid == process->pid &&
	       (there.program != process->program || there.image != process->image);
}

/* What is left behind the first file: up to the first number that there is not. */
static void remove_left(int folder, const struct observed_process *process)
{
	struct stat status;
	char name[NAME_BYTES];

	for (uint32_t file = 2; file <= FILES_MAX; file++) {
		put_name(name, process, file);
		if (!look_at(folder, name, &status))
			return;
		if (is_left(folder, name, process))
			SYSTEM_CALL(SYS_unlinkat, folder, name, 0);
	}
}

/* ---- the file ---- */

/* Makes the first that is free from @process->file on, which becomes its number.  A descriptor, or -errno. */
static int make_next(int folder, struct observed_process *process, char *name, struct stat *status)
{
	int fd = -EEXIST;

	for (; process->file <= FILES_MAX; process->file++) {
		put_name(name, process, process->file);
		fd = open_named(folder, name, O_RDWR | O_CREAT | O_EXCL, status);
		if (fd == -EEXIST && is_left(folder, name, process)) {
			SYSTEM_CALL(SYS_unlinkat, folder, name, 0);
			fd = open_named(folder, name, O_RDWR | O_CREAT | O_EXCL, status);
		}
		if (fd != -EEXIST)
			break;
	}
	return fd;
}

/* Says whose it is before anybody reads it, and maps it.  0 or -errno. */
static int fill(int fd, struct observed_file *file)
{
	const struct observed_process *process = &file->process;
	long got = SYSTEM_CALL(SYS_fallocate, fd, 0, 0L, (long)file->bytes);

	if (got == 0)
		got = SYSTEM_CALL(SYS_pwrite64, fd, process, sizeof(*process),
				  (long)OBSERVED_PROCESS_OFFSET);
	if (got != (long)sizeof(*process))
		return got < 0 ? (int)got : -EIO;
	got = SYSTEM_CALL(SYS_mmap, NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
	if (got < 0 && got > -4096)
		return (int)got;
	file->addr = (void *)got;
	return 0;
}

static int make_in(int folder, struct observed_file *file)
{
	char name[NAME_BYTES];
	struct stat status;
	int fd = make_next(folder, &file->process, name, &status), error;

	if (fd < 0)
		return fd;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	if (file->process.file == 1)
		remove_left(folder, &file->process);
	error = fill(fd, file);
	close_named(fd, folder, name);
	if (error)
		SYSTEM_CALL(SYS_unlinkat, folder, name, 0);
	return error;
}

int observed_create(struct observed_file *file, size_t bytes)
{
	char path[OBSERVED_PATH_BYTES];
	int error = -ENOENT;

	*file = (struct observed_file){ .bytes = bytes };
	identify(&file->process);
	for (unsigned i = 0; i < OBSERVED_FOLDERS_NR && error; i++) {
		int folder;

		if (!observed_folder(path, i))
			continue;
		SYSTEM_CALL(SYS_mkdirat, AT_FDCWD, path, 0700);
		folder = open_folder(path);
		error = folder < 0 ? folder : make_in(folder, file);
		file->folder = i;
		if (folder >= 0)
			close_named(folder, AT_FDCWD, path);
	}
	return error;
}

void observed_close(struct observed_file *file)
{
	SYSTEM_CALL(SYS_munmap, file->addr, file->bytes);
	file->addr = NULL;
}

void observed_remove(struct observed_file *file)
{
	char path[OBSERVED_PATH_BYTES], name[NAME_BYTES];
	struct stat status;
	int folder = -ENOENT;

	put_name(name, &file->process, file->process.file);
	if (file->process.pid == handed_pid() && observed_folder(path, file->folder))
		folder = open_folder(path);
	if (folder >= 0) {
		if (look_at(folder, name, &status) && status.st_dev == file->device &&
		    status.st_ino == file->inode)
			SYSTEM_CALL(SYS_unlinkat, folder, name, 0);
		close_named(folder, AT_FDCWD, path);
	}
	observed_close(file);
}
