/* SPDX-License-Identifier: MIT */
/*
 * instance/holders.h - which threads hold something switched off
 *
 * A child of fork has only the forking thread.  If other threads of the parent had switched
 * something off, no thread of the child would ever switch it on again.  So their holds end in the
 * child; those of the forking thread stay.
 *
 * Up to HOLDERS_NR threads are recorded individually; holds of further threads are only counted,
 * and end in every child.  A thread that switches on ends a hold of its own if it has one, else
 * another's.
 */
#ifndef INSTANCE_HOLDERS_H
#define INSTANCE_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>

struct quire;

#define HOLDERS_NR 16u

/* The user protects it with a mutex that fork takes. */
struct holders {
	uint32_t nr;	   /* all holds */
	uint32_t ended_nr; /* ended by forks; so many drops may still come, and do nothing */
	uint32_t nr_of[HOLDERS_NR];  /* holds of each recorded thread; 0: the record is free */
	uint64_t thread[HOLDERS_NR]; /* of each record in use */
};

/* Adds a hold of the calling thread.  Returns true if it is the first hold. */
bool holders_add(struct holders *holders);
/* Drops a hold.  Returns true if it was the last.  If there is none, reports misuse of
 * @q by @function. */
bool holders_drop(struct holders *holders, const struct quire *q, const char *function);
/* For the child of a fork.  Returns true if there were holds and none is left. */
bool holders_fork_child(struct holders *holders);

#endif
