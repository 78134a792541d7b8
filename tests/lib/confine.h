/* SPDX-License-Identifier: MIT */
/*
 * confine.h - what a system may impose on a program: refused calls, limits, hidden files, small stacks
 *
 * Filters, limits and hidden files last for the rest of the calling process and are for children
 * (expect_life(), expect_death(), fork).  What cannot be set up stops the child by CHECK, but for
 * confine_hide(), which a system may forbid.  No function here uses cmocka.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* From here on system call @call fails with @error in this thread and those it starts.  0: it does
 * nothing and says that it did. */
void confine_deny(long call, int error);
/* The same, but only while the low half of argument @index (from 0) is @value. */
void confine_deny_argument(long call, unsigned index, uint32_t value, int error);
/* The same as confine_deny(), and counts the attempts: a thread started here answers them.  Once a
 * process.  Signals may be blocked around the attempt, as libc does when it starts threads. */
void confine_deny_counted(long call, int error);
uint64_t confine_denied_nr(void);

/* Both the soft and the hard limit, unless the hard one is lower already. */
void confine_limit(int resource, rlim_t value);

/* Mounts an empty file system over @path, in a mount namespace of this process alone.  False if the
 * system permits no such thing. */
bool confine_hide(const char *path);

/*
 * Runs @body(@arg) on a thread with a stack of @stack_bytes (at least PTHREAD_STACK_MIN; libc's
 * descriptor and the program's static TLS are in it) with a guard below.  Returns the bytes that were
 * touched under the frame that called @body.
 */
size_t confine_to_stack(size_t stack_bytes, void (*body)(void *arg), void *arg);
/* Runs it in a signal handler, on an alternate stack of @stack_bytes with a guard below.  Returns the
 * bytes that were touched under the handler's own frame. */
size_t confine_to_signal_stack(size_t stack_bytes, void (*body)(void *arg), void *arg);

#endif
