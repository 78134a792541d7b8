/* SPDX-License-Identifier: MIT */
/* calls.c - how many system calls something makes: see calls.h */
#include "calls.h"

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nobody else asks for it. */
#define MARK	   ((long)SYS_getpriority)
#define NOT_TRACED 77

/* What PTRACE_O_TRACESYSGOOD adds to the signal of a stop at a call. */
#define AT_A_CALL (SIGTRAP | 0x80)

struct counting {
	struct calls *calls;
	unsigned marks_nr;
};

void calls_mark(void)
{
	syscall(MARK, 0L, 0L);
}

static void note_call(struct counting *counting, uint64_t call)
{
	struct calls *calls = counting->calls;

	if (call == (uint64_t)MARK) {
		counting->marks_nr++;
	} else if (counting->marks_nr == 1) {
		if (calls->nr < CALLS_KEPT)
			calls->list[calls->nr] = call;
		calls->nr++;
	}
}

/* One stop of one thread, which goes on then. */
static void note_stop(struct counting *counting, pid_t thread, int signal)
{
	struct __ptrace_syscall_info info;
	int pass = signal != SIGTRAP && signal != SIGSTOP && signal != AT_A_CALL ? signal : 0;

	if (signal == AT_A_CALL &&
	    ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) > 0 &&
	    info.op == PTRACE_SYSCALL_INFO_ENTRY)
		note_call(counting, info.entry.nr);
	ptrace(PTRACE_SYSCALL, thread, NULL, pass);
}

static pid_t start(void (*body)(void *arg), void *arg)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(NOT_TRACED);
	raise(SIGSTOP);
	body(arg);
	_exit(0);
}

bool calls_count(void (*body)(void *arg), void *arg, struct calls *calls)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	struct counting counting = { .calls = calls };
	pid_t child = start(body, arg), thread;
	int status = 0;

	memset(calls, 0, sizeof(*calls));
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		return false;
	if (ptrace(PTRACE_SETOPTIONS, child, NULL, options) != 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		return false;
	}
	ptrace(PTRACE_SYSCALL, child, NULL, NULL);
	while ((thread = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status))
			note_stop(&counting, thread, WSTOPSIG(status));
		else if (thread == child)
			break;
	}
	calls->status = status;
	return counting.marks_nr == 2 || status != 0;
}
