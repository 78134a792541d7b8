/* SPDX-License-Identifier: MIT */
/*
 * loadable.c - would the loader preload a library into a program?
 *
 * The loader is asked, as ldd(1) does: with LD_TRACE_LOADED_OBJECTS it prints what it would load, a line each,
 * and ends.  What it cannot preload is not among them.  dlopen() in this process would say less: a library with
 * much thread-local memory can be preloaded only, and a malloc() does not belong in here.
 */
#include "run/loadable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/output.h"
#include "run/preload.h"

static _Noreturn void list(const char *path, char *const *arguments, const char *library,
			   int out_fd)
{
	int null_fd = open("/dev/null", O_RDWR);

	output_before_exec();
	if (null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 && dup2(null_fd, STDERR_FILENO) >= 0 &&
	    dup2(out_fd, STDOUT_FILENO) >= 0 && preload_first(library) == 0 &&
	    setenv("LD_TRACE_LOADED_OBJECTS", "1", 1) == 0)
		execv(path, arguments);
	_exit(EXIT_FAILURE);
}

/* "\tNAME => FILE (ADDRESS)", or "\tFILE (ADDRESS)" of one with a slash. */
static bool names(const char *line, const char *library)
{
	size_t bytes = strlen(library);

	return line[0] == '\t' && strncmp(line + 1, library, bytes) == 0 && line[1 + bytes] == ' ';
}

bool loadable(const char *path, char *const *arguments, const char *library)
{
	bool is_listed = false;
	char *line = NULL;
	size_t room = 0;
	FILE *file;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	pid = fork();
	if (pid == 0)
		list(path, arguments, library, ends[1]);
	close(ends[1]);
	file = fdopen(ends[0], "r");
	if (file == NULL) {
		close(ends[0]);
	} else {
		while (getline(&line, &room, file) > 0)
			is_listed = is_listed || names(line, library);
		fclose(file);
	}
	free(line);
	if (pid > 0)
		(void)TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
	return is_listed;
}
