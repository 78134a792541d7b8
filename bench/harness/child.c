/* SPDX-License-Identifier: MIT */
/* child.c - start a program beside this one, read the one line it prints */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "harness/bench.h"

#define TIMEOUT_MS 120000

/* The path of @name beside this program, or of this program. */
static bool program_path(const char *name, char *path, size_t bytes)
{
	ssize_t n = readlink("/proc/self/exe", path, bytes - 1);
	char *slash;

	if (n <= 0)
		return false;
	path[n] = '\0';
	if (!name)
		return true;
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash + 1 - path) + strlen(name) >= bytes)
		return false;
	strcpy(slash + 1, name);
	return true;
}

static bool cgroup_join(const char *procs)
{
	int fd = open(procs, O_WRONLY | O_CLOEXEC);
	bool joined = fd >= 0 && write(fd, "0", 1) == 1;

	if (fd >= 0)
		close(fd);
	return joined;
}

static _Noreturn void child_exec(const struct child_order *order, const char *path, int out)
{
	char *argv[17] = { (char *)(uintptr_t)path };
	int nothing = open("/dev/null", O_WRONLY);

	for (unsigned i = 0; order->argv[i]; i++)
		argv[i + 1] = (char *)(uintptr_t)order->argv[i];
	dup2(out, STDOUT_FILENO);
	if (order->quiet && nothing >= 0)
		dup2(nothing, STDERR_FILENO);
	if (order->cgroup && !cgroup_join(order->cgroup))
		_exit(3);
	if (order->preload)
		setenv("LD_PRELOAD", order->preload, 1);
	execv(path, argv);
	_exit(127);
}

bool child_start(const struct child_order *order, struct child *child)
{
	char path[PATH_MAX];
	int ends[2];

	if (!program_path(order->program, path, sizeof(path)) || pipe2(ends, O_CLOEXEC) != 0)
		return false;
	fflush(NULL);
	child->pid = fork();
	if (child->pid == 0)
		child_exec(order, path, ends[1]);
	close(ends[1]);
	child->fd = ends[0];
	if (child->pid > 0)
		return true;
	close(ends[0]);
	return false;
}

/* Reads until the child closes its end or time is up; what does not fit is read and dropped. */
static size_t child_read(int fd, char *reply, size_t bytes)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	size_t have = 0;

	while (poll(&poll_fd, 1, TIMEOUT_MS) > 0) {
		char dropped[512];
		bool full = have == bytes - 1;
		ssize_t n = full ? read(fd, dropped, sizeof(dropped))
				 : read(fd, reply + have, bytes - 1 - have);

		if (n <= 0)
			break;
		have += full ? 0 : (size_t)n;
	}
	reply[have] = '\0';
	return have;
}

bool child_finish(struct child *child, char *reply, size_t bytes)
{
	size_t have = child_read(child->fd, reply, bytes);
	int status = 0;

	close(child->fd);
	if (have == 0)
		kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	reply[strcspn(reply, "\n")] = '\0';
	return have > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool child_run(const struct child_order *order, char *reply, size_t bytes)
{
	struct child child;

	return child_start(order, &child) && child_finish(&child, reply, bytes);
}
