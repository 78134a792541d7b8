/* SPDX-License-Identifier: MIT */
/*
 * child.h - a program as a child: starting it, watching it, passing signals on
 *
 * The child stays in this process's group.  What the terminal sends goes to the whole group, so the child has
 * it already; what somebody sent to this process alone is passed on.  If the child stops, and only then, this
 * process stops too, so that the shell has its job back; if this process is continued, so is the child.
 */
#ifndef QUIRE_TOOL_RUN_CHILD_H
#define QUIRE_TOOL_RUN_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "run/preload.h"

struct child_request {
	const char *path;
	char **arguments;
	const struct preload *preload; /* NULL: as it is */
	const char *other;	       /* NULL, or a library that is first in LD_PRELOAD */
	bool reads_nothing;	       /* standard input is /dev/null */
};

struct child {
	pid_t pid;
	uint64_t begin_ns;
	/* Of this process, before. */
	sigset_t signals;
	struct sigaction on_child;
};

/* How it ended. */
struct child_end {
	int status;	   /* to exit with: its own, or 128 + the signal */
	int signal;	   /* 0: none */
	bool had_children; /* that it waited for: @usage has them in it */
	uint64_t end_ns;
	struct rusage usage;
};

/* 0; or the errno of what failed: of exec, if @*is_exec.  Pair: child_watch(). */
int child_start(struct child *child, const struct child_request *request, bool *is_exec);
/* Until it ends, with @sample(@arg) every now and then: often at first, more seldom later. */
void child_watch(struct child *child, void (*sample)(void *arg, uint64_t now_ns), void *arg,
		 struct child_end *end);

/* Nanoseconds from one sample to the next, @ns after the beginning: 0 -> 100 us, 1 s -> 31 ms, 1 h -> 250 ms. */
uint64_t child_sample_after_ns(uint64_t ns);

#endif
