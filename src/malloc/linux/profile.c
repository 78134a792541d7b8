/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/profile.c - the profile's calls, its file and its signal
 *
 * The file is made without a name and gets it when it is complete, so that neither a kill nor a full disk leaves half of one.
 * Memory for writing is mapped, and given back.  One call writes at a time: another one is refused, since a handler
 * cannot wait for what it interrupted.
 */
#include <quire/profile.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "machine/atomic.h"
#include "machine/linux/system.h"
#include "machine/process.h"
#include "malloc/heap.h"
#include "malloc/linux/pprof.h"
#include "malloc/profile.h"
#include "malloc/profile_file.h"
#include "malloc/traces.h"

/* Lines of 65,530 mappings, twice over. */
#define MAPS_BYTES ((size_t)16 << 20)

static struct {
	uint32_t busy;		/* atomic: a call writes */
	uint32_t process;	/* (c) that took the name; others, its children, write nothing */
	char name[PATH_MAX];	/* (c) of the file that a signal and the end write; empty: none */
	char program[PATH_MAX]; /* the writer's, as is the next */
	char temporary[PATH_MAX + 32];
} own;

/* ---- what is read ---- */

/* Since 1970. */
static uint64_t now_ns(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *map_room(size_t bytes)
{
	void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return room != MAP_FAILED ? room : NULL;
}

/* As a text, as far as there is room; empty if the system refuses. */
static void read_maps(char *text, size_t room)
{
	if (system_read_text("/proc/self/maps", text, room) < 0)
		text[0] = '\0';
}

/* The file's first part as it is mapped.  It may be unmapped at any moment. */
static bool read_mapped(void *arg, const struct pprof_module *module, uint64_t offset, void *to,
			size_t bytes)
{
	struct iovec here = { .iov_base = to, .iov_len = bytes };
	struct iovec there = { .iov_base = (void *)(uintptr_t)(module->base + offset),
			       .iov_len = bytes };

	(void)arg;
	return module->base != 0 && SYSTEM_CALL(SYS_process_vm_readv, getpid(), &here, 1L, &there,
						1L, 0L) == (long)bytes;
}

/* ---- the file ---- */

static int write_out(void *arg, const void *bytes, size_t bytes_nr)
{
	long fd = *(const long *)arg;
	const char *from = bytes;

	while (bytes_nr != 0) {
		long n = SYSTEM_CALL(SYS_write, fd, from, bytes_nr);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		from += n;
		bytes_nr -= (size_t)n;
	}
	return 0;
}

/* The profile to an open file. */
static int write_profile(long fd)
{
	const struct traces *traces = profile_traces();
	size_t scratch_bytes = pprof_scratch_bytes(traces);
	uint64_t age_ns = profile_age_ns();
	char *maps = map_room(MAPS_BYTES), *scratch = map_room(scratch_bytes);
	struct pprof pprof = {
		.traces = traces,
		.mean_shift = profile_mean_shift(),
		.time_ns = now_ns() - age_ns,
		.duration_ns = age_ns,
		.maps = maps,
		.program = own.program,
		.read = read_mapped,
		.write = write_out,
		.arg = &fd,
		.scratch = scratch,
		.scratch_bytes = scratch_bytes,
	};
	long bytes = SYSTEM_CALL(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", own.program,
				 sizeof(own.program) - 1);
	int error = -ENOMEM;

	own.program[bytes > 0 ? bytes : 0] = '\0';
	if (maps != NULL && scratch != NULL) {
		read_maps(maps, MAPS_BYTES);
		error = pprof_write(&pprof);
	}
	if (maps != NULL)
		munmap(maps, MAPS_BYTES);
	if (scratch != NULL)
		munmap(scratch, scratch_bytes);
	return error;
}

/* A name beside @path that no other process has. */
static void name_temporary(const char *path)
{
	struct text text;

	text_init(&text, own.temporary, sizeof(own.temporary));
	text_put(&text, path);
	text_put(&text, ".");
	text_put_u64(&text, (uint64_t)getpid());
	text_put(&text, ".part");
}

/* A file without a name in @path's folder, or where there is none such one with the temporary name.  -errno: refused. */
static long open_file(const char *path, bool *has_name)
{
	const char *slash = strrchr(path, '/');
	struct text text;
	long fd;

	text_init(&text, own.temporary, sizeof(own.temporary));
	text_put_bytes(&text, slash != NULL ? path : ".",
		       slash != NULL ? (size_t)(slash - path) + 1 : 1);
	fd = SYSTEM_CALL(SYS_openat, AT_FDCWD, own.temporary, O_TMPFILE | O_WRONLY | O_CLOEXEC,
			 0666);
	*has_name = fd < 0;
	name_temporary(path);
	if (fd == -EOPNOTSUPP || fd == -EISDIR)
		fd = SYSTEM_CALL(SYS_openat, AT_FDCWD, own.temporary,
				 O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
	return fd;
}

static int give_name(long fd, const char *path, bool has_name)
{
	char here[32];
	struct text text;
	long error = 0;

	text_init(&text, here, sizeof(here));
	text_put(&text, "/proc/self/fd/");
	text_put_u64(&text, (uint64_t)fd);
	if (!has_name) {
		SYSTEM_CALL(SYS_unlinkat, AT_FDCWD, own.temporary,
			    0L); /* of a process that was killed */
		error = SYSTEM_CALL(SYS_linkat, AT_FDCWD, here, AT_FDCWD, own.temporary,
				    (long)AT_SYMLINK_FOLLOW);
	}
	if (error == 0)
		error = SYSTEM_CALL(SYS_renameat2, AT_FDCWD, own.temporary, AT_FDCWD, path, 0L);
	if (error != 0)
		SYSTEM_CALL(SYS_unlinkat, AT_FDCWD, own.temporary, 0L);
	return (int)error;
}

static int write_file(const char *path)
{
	bool has_name;
	long fd;
	int error;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open_file(path, &has_name);
	if (fd < 0)
		return (int)fd;
	error = write_profile(fd);
	if (error == 0)
		error = give_name(fd, path, has_name);
	else if (has_name)
		SYSTEM_CALL(SYS_unlinkat, AT_FDCWD, own.temporary, 0L);
	SYSTEM_CALL(SYS_close, fd);
	return error;
}

/* ---- calls ---- */

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

int quire_profile_start(size_t mean_bytes)
{
	return malloc_begin() ? profile_start(profile_shift(mean_bytes)) : -ENOMEM;
}

int quire_profile_stop(void)
{
	return profile_stop();
}

int quire_profile_write(const char *path)
{
	int error;

	if (profile_traces() == NULL)
		return -ENODATA;
	if (exchange_acquire(&own.busy, 1) != 0)
		return -EBUSY;
	error = write_file(path);
	store_release(&own.busy, 0); /* pairs with the exchange */
	return error;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* ---- the file that the environment names ---- */

static void warn(const char *what, int error)
{
	char line[512]; /* a longer name is cut */
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: ");
	text_put(&text, what);
	text_put(&text, " ");
	text_put(&text, own.name);
	text_put(&text, ": ");
	text_put(&text, strerrordesc_np(-error));
	text_end_line(&text);
	malloc_warn(line);
}

static void write_named(void)
{
	int error =
		own.name[0] != '\0' && profile_traces() != NULL ? quire_profile_write(own.name) : 0;

	if (error != 0)
		warn("cannot write the profile", error);
}

/* -EBUSY: the code that the signal interrupts starts or stops it, so there is nothing to say. */
static void start_or_warn(void)
{
	unsigned shift = profile_mean_shift();
	int error = profile_start(shift != 0 ? shift : PROFILE_SHIFT_DEFAULT);

	if (error == -ENOTSUP)
		malloc_warn("quire: profile_signal: refused, since debug, hardened, sample or "
			    "a command looks at blocks\n");
	else if (error == -ENOMEM)
		malloc_warn("quire: profile_signal: refused, no addresses are left\n");
}

/* The first one turns it on, the next one writes it and turns it off. */
static void handle(int number)
{
	int error = errno;

	(void)number;
	if (!profile_is_on()) {
		start_or_warn();
	} else {
		(void)profile_stop();
		write_named();
	}
	errno = error;
}

/* "%p" in the name stands for the process's number. */
static void take_name(const char *name)
{
	struct text text;

	text_init(&text, own.name, sizeof(own.name));
	for (; *name != '\0'; name++) {
		if (name[0] == '%' && name[1] == 'p') {
			text_put_u64(&text, (uint64_t)getpid());
			name++;
		} else {
			text_put_bytes(&text, name, 1);
		}
	}
	if (text.bytes >= sizeof(own.name)) {
		own.name[0] = '\0';
		malloc_warn("quire: QUIRE_PROFILE is too long a name; ignored\n");
	}
}

void profile_file_begin(unsigned number)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK };
	const char *name = process_env(PROFILE_VARIABLE);

	if (name != NULL) {
		own.process = (uint32_t)getpid();
		take_name(name);
	}
	if (number == 0)
		return;
	sigemptyset(&action.sa_mask);
	if (sigaction((int)number, &action, NULL) != 0)
		malloc_warn("quire: profile_signal: there is no such signal; ignored\n");
}

void profile_file_fork_child(void)
{
	store_relaxed(&own.busy, 0u); /* whoever wrote is not here */
}

void profile_file_tell_maps(char *maps, size_t bytes)
{
	read_maps(maps, bytes);
}

void profile_file_end(void)
{
	if (own.process != 0 && own.process == (uint32_t)getpid())
		write_named();
}
