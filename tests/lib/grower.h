/* SPDX-License-Identifier: MIT */
/*
 * grower.h - a thread that stands in the middle of getting memory from the system
 *
 * Its system call is held up before it is made (backing.h), with whatever locks it holds, until
 * grower_end().  One at a time in a process.  Uses cmocka.
 */
#ifndef TESTS_GROWER_H
#define TESTS_GROWER_H

#include <pthread.h>
#include <stdint.h>

#include <quire/quire.h>

struct grower {
	struct quire *q;
	void *(*take)(struct quire *q);
	void *taken;
	pthread_t thread;
};

/* A thread's body; @arg is a struct grower; grower_start() makes one, too. */
void *grower_run(void *arg);
/* Until some thread is held up: one that gets nowhere is a finding, and no reason to wait for ever. */
void grower_await(void);
/* A thread that calls @take and stands in its @nth system call for memory when this returns. */
void grower_start(struct grower *grower, uint64_t nth);
void grower_end(struct grower *grower);

#endif
