/* SPDX-License-Identifier: MIT */
/*
 * system.h - system calls that leave errno alone
 *
 * A free() must not change errno, nor may a call in a signal handler.  These calls also bypass
 * libc's wrappers: a tool that allocates may interpose those, and some of them are cancellation
 * points.
 */
#ifndef MACHINE_LINUX_SYSTEM_H
#define MACHINE_LINUX_SYSTEM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Restores the caller's errno.  Returns the result, or -errno. */
static inline long system_result(int errno_before, long result)
{
	if (result == -1)
		result = -errno;
	errno = errno_before;
	return result;
}

/* A macro because the number of arguments varies.  Arguments that the kernel reads as long must be
 * long. */
#define SYSTEM_CALL(...)                                                                           \
	__extension__({                                                                            \
		int errno_before_ = errno;                                                         \
		system_result(errno_before_, syscall(__VA_ARGS__));                                \
	})

/*
 * Reads a file that is one line and ends it with a NUL, in three calls.  Returns the bytes read, at most
 * @bytes - 1, or -errno.
 */
long system_read_line(const char *path, char *buffer, size_t bytes);
/* The same for a file of several lines. */
long system_read_text(const char *path, char *buffer, size_t bytes);
/*
 * Reads a file line by line through a buffer of the caller's, whose start is the line, ended by a NUL in the
 * place of its newline.  Lines that do not fit are left out.  open and next return 1, 0 at the end, or
 * -errno; close may follow any of them.
 */
struct system_lines {
	int fd; /* -1: not open */
	char *buffer;
	size_t bytes;	  /* of the buffer */
	size_t used, got; /* the line with its end; what was read */
};
long system_lines_open(struct system_lines *lines, const char *path, char *buffer, size_t bytes);
long system_lines_next(struct system_lines *lines);
void system_lines_close(struct system_lines *lines);
/* Reads a small file into memory of its own, since callers' stacks are small: up to 4 KiB of text, which
 * system_file_text_free() takes back; NULL if there is none. */
char *system_file_text(const char *path);
void system_file_text_free(char *text);

/* Of a descriptor that fstat() was asked about: ThreadSanitizer, which saw that, has to see this too, or it takes the number's
 * next user for a race. */
void system_close(int fd);
/*
 * Gives a descriptor another number, too.  A program expects that the next file it opens has the lowest: shells redirect by
 * numbers, and one that has closed its standard streams opens others in their place.  So ours are moved away, where the
 * limit permits.  Returns the other, or -errno; a @fd that is -errno is returned.
 */
long system_dup_away(long fd);

/* Tells the system the name of a range of private memory for /proc/self/maps.  Best effort: it needs
 * Linux 5.17, and is not asked again after a refusal. */
void system_name_range(void *addr, size_t bytes, const char *name);

/* Whether a range is part of core files.  Best effort: it may need one more mapping. */
void system_dump_range(void *addr, size_t bytes, bool dump);

#endif
