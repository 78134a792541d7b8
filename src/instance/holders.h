/* SPDX-License-Identifier: MIT */
/*
 * instance/holders.h - the threads that keep something switched off
 *
 * A child of fork has one thread.  No thread of the child would ever switch on again what other
 * threads of the parent had switched off.  So their holds end in the child, and those of the
 * forking thread stay.
 *
 * Up to HOLDERS_NR threads are recorded individually; holds of further threads are only counted,
 * and end in every child.  A thread that switches on ends a hold of its own if it has one, else
 * another's.
 */
#ifndef INSTANCE_HOLDERS_H
#define INSTANCE_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>

#define HOLDERS_NR 16u

/* Under a mutex that fork takes. */
struct holders {
	uint32_t nr;	   /* in all */
	uint32_t ended_nr; /* by forks: a pair may still come, and does nothing */
	uint32_t nr_of[HOLDERS_NR];
	uint64_t thread[HOLDERS_NR]; /* of each record in use */
};

/* True if it is the first. */
bool holders_add(struct holders *holders);
/* True if it was the last.  @function is what the caller misused if there is none. */
bool holders_drop(struct holders *holders, const char *function);
/* In the child.  True if there were some, and none is left. */
bool holders_fork_child(struct holders *holders);

#endif
