/* SPDX-License-Identifier: MIT */
#include "record/unnamed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int unnamed_open(const char *beside)
{
	const char *slash = strrchr(beside, '/');
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%.*s.quire-record-XXXXXX",
		     slash != NULL ? (int)(slash + 1 - beside) : 0, beside) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}
