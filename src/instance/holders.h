/* SPDX-License-Identifier: MIT */
/*
 * instance/holders.h - who keeps something switched off, by thread
 *
 * A child of fork has one thread.  What others had switched off at that moment nobody in it would ever
 * switch on; so their holds end with them, and those of the forking thread stay.
 *
 * HOLDERS_NR threads at a time are known by name; holds of more are counted, and end in any child.
 * Whoever switches on ends a hold of its own, or else another's.
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
