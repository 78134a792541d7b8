/* SPDX-License-Identifier: MIT */
/*
 * launch_child.c - starts a shell command with the library preloaded, and measures it
 *
 * Neither this process nor the shell is preloaded, only what the shell starts.  This process is smaller than any
 * other: a process begins with the peak of the one that forked it.  CPU time and peak are those of the command and of all that it
 * waited for.  Its output is dropped; a command that fails refuses the sample.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "harness/proc.h"
#include "malloc/command.h"

#define STARTS_MAX 401u

struct start {
	double wall_ms;
	double cpu_us;
	long peak_kib;
};

static _Noreturn void command_exec(char **arguments)
{
	int nothing = open("/dev/null", O_RDWR);
	char text[4096];
	int bytes = snprintf(text, sizeof(text), "export LD_PRELOAD='%s'; %s", arguments[3],
			     arguments[2]);

	if (chdir(arguments[0]) != 0)
		_exit(126);
	dup2(nothing, STDIN_FILENO);
	dup2(nothing, STDOUT_FILENO);
	if (bytes < 0 || (size_t)bytes >= sizeof(text))
		_exit(126);
	execl("/bin/sh", "sh", "-c", strcmp(arguments[3], "-") == 0 ? arguments[2] : text,
	      (char *)NULL);
	_exit(127);
}

static bool command_start(char **arguments, struct start *start)
{
	uint64_t begin = proc_clock_ns(CLOCK_MONOTONIC);
	struct rusage usage;
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		command_exec(arguments);
	while (pid > 0 && wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
		;
	if (pid < 0 || status != 0)
		return false;
	start->wall_ms = (double)(proc_clock_ns(CLOCK_MONOTONIC) - begin) / 1e6;
	start->cpu_us = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
			(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	start->peak_kib = usage.ru_maxrss;
	return true;
}

static int start_compare(const void *a, const void *b)
{
	double x = ((const struct start *)a)->cpu_us, y = ((const struct start *)b)->cpu_us;

	return (x > y) - (x < y);
}

int malloc_launch(const struct subject *subject, char **arguments)
{
	static struct start starts[STARTS_MAX];
	unsigned nr = (unsigned)atoi(arguments[1]);

	(void)subject;
	if (nr < 1 || nr > STARTS_MAX)
		return puts("refused a number of starts"), 0;
	for (unsigned i = 0; i < nr; i++)
		if (!command_start(arguments, &starts[i]))
			return puts("refused the command failed"), 0;
	qsort(starts, nr, sizeof(starts[0]), start_compare);
	printf("ok %.3f %.1f %ld\n", starts[nr / 2].wall_ms, starts[nr / 2].cpu_us,
	       starts[nr / 2].peak_kib);
	return 0;
}

int malloc_script(const struct subject *subject, char **arguments)
{
	(void)subject;
	execl(arguments[0], arguments[0], arguments[2], arguments[1], (char *)NULL);
	return puts("refused the script is not there"), 0;
}
