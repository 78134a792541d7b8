/* SPDX-License-Identifier: MIT */
/*
 * calls.h - how many system calls something makes
 *
 * A child of this process, which it makes and traces (ptrace), runs @body.  What its threads ask of the
 * system between its two calls of calls_mark() is counted.  No function here uses cmocka, so benchmarks may
 * use it too.
 */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#define CALLS_KEPT 256u

struct calls {
	unsigned nr;
	uint64_t list[CALLS_KEPT]; /* the numbers of the first ones */
	int status;		   /* of the child, as waitpid() has it */
};

/* False if nobody may be traced here, or the system does not tell a call's number (before Linux 5.3). */
bool calls_count(void (*body)(void *arg), void *arg, struct calls *calls);
/* In @body: the beginning, and the end. */
void calls_mark(void);

#endif
