/* SPDX-License-Identifier: MIT */
/*
 * quire_test.h - what the tests share, on top of cmocka
 *
 * A test program is one file with a main() that hands a table to cmocka; tests/meson.build lists
 * it.  Names of tests are claims in the present tense.  A test may not return early, and each must
 * check something: the tidy test says so.
 */
#ifndef QUIRE_TEST_H
#define QUIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

/* Two numbers are equal; both are printed if not. */
#define assert_u64_eq(a, b) assert_int_equal((uint64_t)(a), (uint64_t)(b))

/* Ends the test, which counts as skipped, with a line "SKIPPED: @why" that .ci/run collects. */
void skip_because(const char *why);
/* For what a sanitizer's own memory, mappings or threads get into. */
void skip_if_sanitized(void);

/*
 * fork() for a test: asserts that there is a child.  In the child a failed assertion of cmocka's, a CHECK
 * and a crash end the child, by a signal, where they would otherwise jump back into the list of tests and
 * run the rest of it a second time.  The child dies with the thread that forked it; it ends by _exit().
 */
pid_t child_fork(void);
/* False where no child of a program with threads can go on: ThreadSanitizer follows none that starts threads, and a bare
 * machine has no fork. */
bool can_fork(void);
/* Waits for the child to end.  Returns its wait status. */
int child_wait(pid_t child);

/* Runs @body(@arg) in a child, which may become another program.  @text receives what it writes to standard output and standard
 * error.  Returns its exit status, or -1 if a signal ended it. */
int child_answer(void (*body)(void *arg), void *arg, char *text, size_t bytes);

/*
 * @body(@arg), run in a child, must abort, and some line that it writes to standard error must
 * begin with @line.  What the child wrote is printed if not.
 */
void expect_death(void (*body)(void *arg), void *arg, const char *line);

/* The same, but it must exit with @exit_status. */
void expect_exit(void (*body)(void *arg), void *arg, int exit_status, const char *line);
/* @body(@arg), run in a child, must return; what it wrote and how it ended are printed if not. */
void expect_life(void (*body)(void *arg), void *arg);

/* @body, run in a child, must return 0 within 30 seconds.  If not, the @nth fork and what it returned
 * are named. */
void expect_fork(uint64_t nth, unsigned (*body)(void));

/* Runs @body(0, @arg) .. @body(@threads_nr - 1, @arg) on threads of their own, which all begin
 * together, and waits for them.  A body may not use cmocka's assertions: it has no jump buffer. */
void team_run(unsigned threads_nr, void (*body)(unsigned index, void *arg), void *arg);

/* Pins the calling thread to a CPU; false if it may not run there. */
bool pin_to_cpu(unsigned cpu);
/* The kernel takes the memory of several ranges away by one call.  Asked of it and not of the code under test. */
bool gathers_are_vectored(void);
/* CPUs the process may run on, and the lowest at or above @from (-1: none). */
unsigned allowed_cpus_nr(void);
int allowed_cpu_next(unsigned from);

/* @handler runs at each @signal_nr; interrupted calls go on.  Uses cmocka. */
void signal_handle(int signal_nr, void (*handler)(int signal_nr));
/* SIGALRM every so often; 0: no more. */
void alarm_every_us(long microseconds);
/* Kills this process after so many seconds, unless what it returns is killed before.  A process, for
 * tests that need the alarm for themselves. */
pid_t watchdog_start(unsigned seconds);

/* Of this process, as /proc/self shows it.  */
size_t count_maps(void);
size_t count_fds(void);
/* Without those that are ending: of a thread that was joined the system knows for a moment longer. */
size_t count_threads(void);
/* With them. */
size_t count_tasks(void);
uint64_t resident_bytes(void);
/*
 * What happens by itself is awaited, for so long that only a hang is longer, whatever else the machine
 * has to do; then the check says what there is:
 *
 *	uint64_t end_ns = await_begin();
 *
 *	while (!condition && await_more(end_ns))
 *		;
 */
uint64_t await_begin(void);
/* Naps for a moment; false when 20 s are over. */
bool await_more(uint64_t end_ns);

/* A line "name:  123 kB" of /proc/self/status, in bytes: "VmPTE", "RssAnon". */
uint64_t status_bytes(const char *name);

/*
 * A memory cgroup of our own, so that a figure is what the kernel charges to this process.  enter
 * is false where the system permits none (then skip_because()).  Of both hierarchies, v1 is
 * tried first, since where it holds the memory controller v2 does not.
 */
struct memory_group {
	char path[256];
	char home[256]; /* cgroup.procs of the group that we came from */
	bool is_v2;
};
bool memory_group_enter(struct memory_group *group);
uint64_t memory_group_bytes(const struct memory_group *group);
/* 0: no limit.  False if it was refused. */
bool memory_group_limit(const struct memory_group *group, uint64_t bytes);
void memory_group_leave(struct memory_group *group);

/* A number from the environment, or @otherwise: seeds and lengths of long runs. */
uint64_t env_u64(const char *name, uint64_t otherwise);

/* The text of a file of the source tree; free() it.  QUIRE_SOURCE_ROOT is set by meson. */
char *read_source(const char *path);

#endif
