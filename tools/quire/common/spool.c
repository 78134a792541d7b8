/* SPDX-License-Identifier: MIT */
#include "common/spool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct spool {
	struct spool *next;
	FILE *copy;
	char path[];
};

static struct spool *spools; /* the copies; only one thread uses the list */

static int copy_all(FILE *from, FILE *to)
{
	char bytes[32768];
	size_t bytes_nr;

	while ((bytes_nr = fread(bytes, 1, sizeof(bytes), from)) != 0)
		if (fwrite(bytes, 1, bytes_nr, to) != bytes_nr)
			return -1;
	return ferror(from) || fflush(to) != 0 ? -1 : 0;
}

static struct spool *spool_make(const char *path)
{
	struct spool *spool = calloc(1, sizeof(*spool) + strlen(path) + 1);
	FILE *from = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	int error;

	if (spool == NULL || from == NULL || (spool->copy = tmpfile()) == NULL ||
	    copy_all(from, spool->copy) != 0) {
		error = errno;
		if (spool != NULL && spool->copy != NULL)
			fclose(spool->copy);
		if (from != NULL && from != stdin)
			fclose(from);
		free(spool);
		errno = error;
		return NULL;
	}
	if (from != stdin)
		fclose(from);
	strcpy(spool->path, path);
	spool->next = spools;
	spools = spool;
	return spool;
}

/* Opens a new file description, so that its offset is not shared. */
static FILE *open_copy(const struct spool *spool)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(spool->copy));
	return fopen(path, "rb");
}

/* Not so a device such as /dev/zero: it has no end. */
static bool is_read_once(const struct stat *status)
{
	return S_ISFIFO(status->st_mode) || S_ISSOCK(status->st_mode);
}

FILE *spool_open(const char *path)
{
	struct spool *spool = spools;
	struct stat status;

	if (strcmp(path, "-") != 0 && (stat(path, &status) != 0 || !is_read_once(&status)))
		return fopen(path, "rb");
	while (spool != NULL && strcmp(spool->path, path) != 0)
		spool = spool->next;
	if (spool == NULL)
		spool = spool_make(path);
	return spool != NULL ? open_copy(spool) : NULL;
}
