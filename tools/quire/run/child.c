/* SPDX-License-Identifier: MIT */
#include "run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/output.h"
#include "common/progress.h"

/* ---- signals --------------------------------------------------------------------------------- */

/* What is passed on.  Not those of faults of this process's own; nor SIGTTIN and SIGTTOU, which a process gets
 * for what it does itself. */
static void passed_signals(sigset_t *set)
{
	static const int numbers[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGTERM,  SIGUSR1,
				       SIGUSR2, SIGCONT, SIGALRM, SIGWINCH, SIGURG,
				       SIGIO,	SIGPWR,	 SIGTSTP };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(set, numbers[i]);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		sigaddset(set, number);
}

/* Blocked, so that none is lost between the fork and the first wait for it.  An inherited SIG_IGN for SIGCHLD
 * would have the child vanish unseen. */
static void hold_signals(struct child *child)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t set;

	passed_signals(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &child->signals);
	sigaction(SIGCHLD, &usual, &child->on_child);
}

static void release_signals(const struct child *child)
{
	sigaction(SIGCHLD, &child->on_child, NULL);
	sigprocmask(SIG_SETMASK, &child->signals, NULL);
}

/* The kernel sends to the group for the terminal; a process has sent to this one. */
static void pass_on(const struct child *child, const siginfo_t *info)
{
	if (info->si_code == SI_USER || info->si_code == SI_QUEUE || info->si_code == SI_TKILL)
		kill(child->pid, info->si_signo);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* In the child: does not return.  What fails is written to @pipe_fd, which exec closes. */
static _Noreturn void become(const struct child *child, const struct child_request *request,
			     int pipe_fd)
{
	int error = 0, null_fd;
	int report[2] = { 0, 0 };

	if (request->reads_nothing) {
		null_fd = open("/dev/null", O_RDONLY);
		error = null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ? -errno : 0;
		if (null_fd > STDIN_FILENO)
			close(null_fd);
	}
	if (error == 0 && request->preload != NULL)
		error = preload_prepare(request->preload);
	if (error == 0 && request->other != NULL)
		error = preload_first(request->other);
	output_before_exec();
	release_signals(child);
	if (error == 0) {
		execv(request->path, request->arguments);
		error = -errno;
		report[1] = 1;
	}
	report[0] = -error;
	(void)!write(pipe_fd, report, sizeof(report));
	_exit(EXIT_FAILURE);
}

int child_start(struct child *child, const struct child_request *request, bool *is_exec)
{
	int report[2] = { 0, 0 };
	int ends[2];

	*is_exec = false;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	hold_signals(child);
	child->begin_ns = progress_now_ns();
	child->pid = fork();
	if (child->pid == 0)
		become(child, request, ends[1]);
	close(ends[1]);
	if (child->pid < 0) {
		report[0] = errno;
	} else if (TEMP_FAILURE_RETRY(read(ends[0], report, sizeof(report))) == sizeof(report)) {
		*is_exec = report[1] != 0;
		(void)TEMP_FAILURE_RETRY(waitpid(child->pid, NULL, 0));
	}
	close(ends[0]);
	if (report[0] != 0)
		release_signals(child);
	return report[0];
}

/* ---- the end --------------------------------------------------------------------------------- */

/* True if the process, which has ended, had waited for a child: the faults of those are not 0 then.  Field 11
 * of /proc/PID/stat; the second, a name in parentheses, may have anything in it. */
static bool waited_for_children(pid_t pid)
{
	unsigned long faults = 0;
	char text[1024], *at;
	FILE *file;

	snprintf(text, sizeof(text), "/proc/%d/stat", pid);
	file = fopen(text, "re");
	if (file == NULL)
		return true;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	at = strrchr(text, ')');
	return at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %lu", &faults) != 1 ||
	       faults != 0;
}

/* As the terminal would: in a group that no shell watches, nothing happens, and the child's stop is its own.
 * SIGCONT, which ends it, is passed on like any other. */
static void stop_too(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	(void)kill(getpid(), SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL); /* here */
	sigprocmask(SIG_BLOCK, &stop, NULL);
}

/* True if it has ended.  A child that has stopped stops this process too. */
static bool has_ended(const struct child *child, struct child_end *end)
{
	siginfo_t info = { .si_pid = 0 };
	int status;

	if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0 ||
	    info.si_pid == 0)
		return false;
	if (info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED) {
		(void)waitid(P_PID, (id_t)child->pid, &info, WSTOPPED | WNOHANG);
		if (info.si_code == CLD_STOPPED)
			stop_too();
		return false;
	}
	end->had_children = waited_for_children(child->pid);
	if (wait4(child->pid, &status, 0, &end->usage) != child->pid)
		return false;
	end->end_ns = progress_now_ns();
	end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	end->status = end->signal != 0 ? 128 + end->signal : WEXITSTATUS(status);
	return true;
}

/* A sample takes some 20 us.  Programs that end soon have their memory soon: an eighth of the time at first,
 * then every 2 ms, and a 32nd of the time as long as that is not a quarter of a second. */
uint64_t child_sample_after_ns(uint64_t ns)
{
	uint64_t after = ns / 8 < 2000000 ? ns / 8 : 2000000;

	if (after < 100000)
		return 100000;
	if (ns / 32 > after)
		after = ns / 32;
	return after < 250000000 ? after : 250000000;
}

void child_watch(struct child *child, void (*sample)(void *arg, uint64_t now_ns), void *arg,
		 struct child_end *end)
{
	uint64_t next_ns = child->begin_ns;
	sigset_t set;

	passed_signals(&set);
	sigaddset(&set, SIGCHLD);
	while (!has_ended(child, end)) {
		uint64_t now_ns = progress_now_ns();
		struct timespec left = { .tv_sec = 0 };
		siginfo_t info;

		if (now_ns >= next_ns) {
			sample(arg, now_ns);
			next_ns = now_ns + child_sample_after_ns(now_ns - child->begin_ns);
			continue;
		}
		left.tv_nsec = (long)(next_ns - now_ns); /* less than a second */
		if (sigtimedwait(&set, &info, &left) > 0 && info.si_signo != SIGCHLD)
			pass_on(child, &info);
	}
	release_signals(child);
}
