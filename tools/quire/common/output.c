/* SPDX-License-Identifier: MIT */
#include "common/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/command.h"

#define LINKS_MAX 40u /* as many as Linux follows */

FILE *output_begin(struct output *output)
{
	*output = (struct output){ .file = NULL };
	output->file = open_memstream(&output->text, &output->bytes);
	return output->file;
}

int output_write_all(int fd, const char *text, size_t bytes)
{
	while (bytes != 0) {
		ssize_t written = write(fd, text, bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		text += written;
		bytes -= (size_t)written;
	}
	return 0;
}

/* 0 or the first error; some file systems tell of a full disk only here. */
static int close_file(int fd, int error)
{
	return close(fd) != 0 && error == 0 ? -errno : error;
}

/* For a device or a pipe, where a failure cannot undo what was written. */
static int write_in_place(const struct output *output, const char *path)
{
	int fd = open(path, O_WRONLY | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return close_file(fd, output_write_all(fd, output->text, output->bytes));
}

/* Keeps the file with all its names: nothing is overwritten before there is space for all. */
static int overwrite(const struct output *output, const char *path, const struct stat *old)
{
	int fd = open(path, O_WRONLY);
	int error;

	if (fd < 0)
		return -errno;
	error = output->bytes != 0 ? -posix_fallocate(fd, 0, (off_t)output->bytes) : 0;
	if (error)
		(void)!ftruncate(fd, old->st_size);
	else
		error = output_write_all(fd, output->text, output->bytes);
	if (!error && ftruncate(fd, (off_t)output->bytes) != 0)
		error = -errno;
	return close_file(fd, error);
}

/* Sets mode and owner of the replaced file, or the default mode of a new file. */
static int set_mode(int fd, const struct stat *old)
{
	mode_t mask;

	if (old != NULL)
		return (fchown(fd, old->st_uid, old->st_gid) != 0 ||
			fchmod(fd, old->st_mode & 07777) != 0)
			       ? -errno
			       : 0;
	mask = umask(0);
	umask(mask);
	return fchmod(fd, 0666 & ~mask) != 0 ? -errno : 0;
}

/* Writes a temporary file beside @path and renames it.  @is_possible: only the writing or the
 * rename can have failed. */
static int replace(const struct output *output, const char *path, const struct stat *old,
		   bool *is_possible)
{
	char temporary[PATH_MAX];
	int fd, error;

	*is_possible = false;
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkstemp(temporary);
	if (fd < 0)
		return -errno;
	error = set_mode(fd, old);
	*is_possible = !error;
	if (!error)
		error = output_write_all(fd, output->text, output->bytes);
	error = close_file(fd, error);
	if (!error && rename(temporary, path) != 0)
		error = -errno;
	if (error)
		(void)unlink(temporary);
	return error;
}

/* Finds the file that a dangling link names: follows one link after another, each from its own
 * directory, as the system does.  0 or -errno. */
static int follow(const char *path, char target[PATH_MAX])
{
	char link[PATH_MAX];
	ssize_t bytes;

	if (snprintf(target, PATH_MAX, "%s", path) >= PATH_MAX)
		return -ENAMETOOLONG;
	for (unsigned i = 0; (bytes = readlink(target, link, sizeof(link))) >= 0; i++) {
		const char *slash = strrchr(target, '/');
		size_t kept = link[0] == '/' || slash == NULL ? 0 : (size_t)(slash + 1 - target);

		if (i == LINKS_MAX)
			return -ELOOP;
		if (kept + (size_t)bytes >= PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(target + kept, link, (size_t)bytes);
		target[kept + (size_t)bytes] = '\0';
	}
	return errno == ENOENT || errno == EINVAL ? 0 : -errno;
}

static int write_to(const struct output *output, const char *path)
{
	char target[PATH_MAX];
	bool is_possible;
	struct stat old;
	int error;

	if (stat(path, &old) != 0) {
		error = follow(path, target);
		return error ? error : replace(output, target, NULL, &is_possible);
	}
	if (!S_ISREG(old.st_mode))
		return write_in_place(output, path);
	if (access(path, W_OK) != 0)
		return -errno;
	if (realpath(path, target) == NULL || old.st_nlink > 1)
		return overwrite(output, path, &old);
	error = replace(output, target, &old, &is_possible);
	return error && !is_possible ? overwrite(output, target, &old) : error;
}

int output_end(struct output *output, const char *path)
{
	int error = ferror(output->file) ? -ENOMEM : 0;

	if (fclose(output->file) != 0 && !error)
		error = -errno;
	if (!error) {
		/* A reader that went away is an error like any other. */
		void (*old)(int) = signal(SIGPIPE, SIG_IGN);

		error = write_to(output, path);
		(void)signal(SIGPIPE, old);
	}
	free(output->text);
	*output = (struct output){ .file = NULL };
	return error;
}

/* ---- standard output ------------------------------------------------------------------------- */

/* More than is printed between two flushes, so that a flush finds a failed write, while errno tells
 * its reason. */
#define STDOUT_BYTES ((size_t)256 << 10)

static void (*on_file_limit)(int); /* of SIGXFSZ, as this program found it */

void output_before_exec(void)
{
	(void)signal(SIGXFSZ, on_file_limit);
}

/*
 * The next file that is opened would get a closed stream's number, and what is printed would stand in it.  So the number is
 * taken by what fails as before, EBADF, but for stderr: what nobody wants to read is gone.  A program that is run
 * finds the stream closed.
 */
static void keep_numbers_of_streams(void)
{
	static const int modes[] = {
		[STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_WRONLY
	};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			(void)!open("/dev/null",
				    modes[fd] | O_CLOEXEC); /* the least that is free */
}

void output_init(void)
{
	static char buffer[STDOUT_BYTES]; /* of libc's own the size is libc's */

	keep_numbers_of_streams();
	if (isatty(STDOUT_FILENO) != 1)
		(void)setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	on_file_limit = signal(SIGXFSZ, SIG_IGN); /* a limit is an error like any other */
}

static int first_error; /* of standard output */

static void note(bool failed)
{
	if (failed && first_error == 0)
		first_error = errno != 0 ? errno : -1; /* errno of an earlier write is gone */
}

static int say(const char *who)
{
	static bool said;

	if (first_error == 0)
		return 0;
	if (!said)
		fprintf(stderr, "%s: standard output: %s\n", who,
			first_error > 0 ? strerror(first_error) : "not all could be written");
	said = true;
	return EXIT_UNWRITTEN;
}

int output_flush(const char *who)
{
	errno = 0;
	note(fflush(stdout) != 0 || ferror(stdout));
	return say(who);
}

int output_exit(const char *who, int status)
{
	int error;

	errno = 0;
	note(ferror(stdout) || fflush(stdout) != 0);
	note(fclose(stdout) != 0 && errno != EBADF);
	error = say(who);
	return error ? error : status;
}
