/* SPDX-License-Identifier: MIT */
/*
 * stacks/stacks.h - per-CPU stacks of small numbers, for every module that caches something per CPU
 *
 * machine/stack.h has the sequences that pop and push; this module has the rest of a stack's life.
 * Its users decide what a number means, which classes there are, how many entries a class keeps, and
 * what becomes of entries that are taken out.
 *
 * Words
 *   set      one user's stacks on all slots (struct stacks)
 *   slot     a CPU, or a number that the kernel gives a running thread (machine/stack.h)
 *   class    one stack on each slot.  It has a header and room for entries in the slot's region;
 *            where, is computed once (stacks_lay_out())
 *   door     a lock and the classes of one slot that it protects.  Mostly all of them; the page
 *            allocator has a door for each zone
 *   room     entries that a class has place for
 *   keeps    entries that a class accepts now: 0 to its room.  All classes of a door keep at most
 *            the set's cap together
 *   cold     no class of the door keeps anything: the next push on it fails, so its caller takes a
 *            slow path and can tell the worker.  A pop still succeeds until the stack is empty
 *   warm     not cold
 *
 * Contract
 *
 *   S1  Who may close.  Only the holder of the door closes, opens, changes what a class keeps, or
 *       takes entries out.  Pushes and pops need no lock; pushes and pops of many at once are made
 *       by a holder of some door of the same set.
 *   S2  Closers are counted.  The first one closes, the last open opens.  A door that is closed for
 *       a drain or a fork therefore stays closed when somebody else closes and opens it meanwhile.
 *       Nothing but the last open makes a closed stack accept anything.
 *   S3  What a fence promises.  When it returns, every sequence on that slot that began before the
 *       close has either committed or will start again and be refused.  From then on until the
 *       last open, top and all entries of the door belong to its holder.  Before the fence they
 *       belong to the sequences; reading them is allowed as a hint (stacks_held()).
 *   S4  Order.  A sequence reads its bound before it reads top, as other CPUs see it.  So the closer
 *       writes top before it writes the bounds that open, with a release.  The two bounds are one
 *       word: a sequence never sees half a close.
 *   S5  First use.  A region reads zero, and a header of zeroes refuses both push and pop.  But it
 *       refuses no pop once top has been written: low is still 0 then.  So the first use is a close,
 *       a fence and an open like any other (stacks_begin_locked()).
 *   S6  What is kept.  A class that is made to keep less refuses pushes at once; entries above the
 *       new bound stay until they are popped or taken.
 *   S7  Fork.  The thread that forks takes every door in order, closes those in use, and fences
 *       before the address space is copied, because its pages are copied one after the other.  While
 *       it keeps the locks it may use the set itself; a door that it uses for the first time then
 *       stays closed, because the end of the fork opens every door in use.  In the child everything
 *       is cold: the worker is gone, and the first free has to call for another.
 *   S8  An isolated CPU has no stacks: its headers stay zero, and it is never fenced.
 *
 * tests/sim/stacks/stacks_sim.c explores S1 to S7; tests/unit/stacks/stacks_test.c has sets of several shapes, S8,
 * and the first use in a fork.
 */
#ifndef STACKS_STACKS_H
#define STACKS_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/lock.h"
#include "machine/stack.h"

/* Slot 0's region begins at most so far inside its page. */
#define STACKS_OFFSET_MAX 4096u

struct stacks_class {
	uint16_t header; /* (c) number of its header in the region: the class of the sequences */
	uint16_t room;	 /* (c) */
	uint16_t low;	 /* (c) its first entry; stacks_lay_out() computes it */
};

/* A set.  Everything is constant after its creation. */
struct stacks {
	struct cpu_stacks cpu;	  /* what the sequences are given */
	const uint64_t *isolated; /* bit a CPU that has no stacks; NULL: none */
	struct stacks_class *class;
	uint16_t classes_nr;
	bool committed; /* all regions were made usable with the set; else each at its first use */
	uint32_t cap;	/* entries that one door keeps at most; 0: as its classes' rooms allow */
};

/*
 * A user embeds one in what it has for a CPU.  Keys: (c) constant; (l) under lock; (r) written under
 * lock, and read without it as a hint.
 */
struct stacks_door {
	struct lock lock;
	lock_token kept;     /* (l) over a fork, or a hold that outlasts a function */
	uint16_t slot;	     /* (c) */
	uint16_t first, end; /* (c) its classes */
	uint16_t closed_nr;  /* (l) S2 */
	uint32_t keeps_nr;   /* (l) what its classes keep, in all */
	bool ready;	     /* (r) it was used: forks and drains pass over it otherwise */
	bool usable; /* (r) it has stacks: not isolated, sequences exist, memory was there */
	bool warm;   /* (r) some class keeps entries */
};

/* ---- layout.c: where everything is ---- */

/* Computes where entries begin, behind @headers_nr headers.  The user has filled in class[] but for
 * low, and the arrangement must fit into a region. */
void stacks_lay_out(struct stacks *s, unsigned headers_nr);
/* Does this slot ever have stacks?  S8. */
bool stacks_has(const struct stacks *s, unsigned slot);
/* Makes all regions readable, up to @end, the end of their reservation.  0 or -ENOMEM. */
int stacks_commit_readable(const struct stacks *s, char *end);
/* Makes one slot's region usable.  0 or -ENOMEM. */
int stacks_commit(const struct stacks *s, unsigned slot);

/* ---- door.c: closing and opening ---- */

void stacks_door_init(struct stacks_door *door, enum lock_rank rank, unsigned slot, unsigned first,
		      unsigned end);
/* The door's first use (S5).  0; or -ENOMEM if the slot's region cannot be had: the door is as unused
 * as before, and the next call may succeed. */
int stacks_begin_locked(const struct stacks *s, struct stacks_door *door);
/* The same for a caller whose next call closes the door, and who fences before anybody opens it: until
 * then the stacks refuse as they were made. */
int stacks_begin_unopened_locked(const struct stacks *s, struct stacks_door *door);
/* In place of a begin that failed: the door is used from now on, and has no stacks. */
void stacks_begin_bare_locked(const struct stacks *s, struct stacks_door *door);
void stacks_close_locked(const struct stacks *s, struct stacks_door *door);
void stacks_open_locked(const struct stacks *s, struct stacks_door *door);
/* S3, for one slot or for all.  Isolated CPUs are not interrupted. */
void stacks_fence_slot(const struct stacks *s, unsigned slot);
void stacks_fence_all(const struct stacks *s);

/* S7.  Between the two, for all doors of a set, comes one fence. */
void stacks_fork_prepare(const struct stacks *s, struct stacks_door *door);
void stacks_fork_done(const struct stacks *s, struct stacks_door *door, bool child);
/* In a child: @n closers are gone with their threads. */
void stacks_fork_drop_closers_locked(struct stacks_door *door, unsigned n);

/* ---- keep.c: how much is kept, and what is there ---- */

/* What a class keeps now. */
unsigned stacks_keeps_locked(const struct stacks *s, const struct stacks_door *door,
			     unsigned index);
/* Makes it @n, or as much of that as its room and the cap allow; at once if the door is open.  The
 * door becomes warm, also one without stacks, if @n is not 0.  Returns what the class keeps. */
unsigned stacks_keep_locked(const struct stacks *s, struct stacks_door *door, unsigned index,
			    unsigned n);
/* After a slow path: @first if the class kept nothing, else twice as much as before; at most @most. */
unsigned stacks_grow_locked(const struct stacks *s, struct stacks_door *door, unsigned index,
			    unsigned first, unsigned most);
/* Makes the door cold.  What its stacks hold can still be popped. */
void stacks_cool_locked(const struct stacks *s, struct stacks_door *door);
/* Entries of a class.  Exact when closed and fenced, else a hint. */
unsigned stacks_held(const struct stacks *s, const struct stacks_door *door, unsigned index);
/* Them, the oldest first.  Stable while closed and fenced, or while no thread uses the set. */
const uint32_t *stacks_entries(const struct stacks *s, const struct stacks_door *door,
			       unsigned index);
/* Brings the memory that a class's first entries are in, so that no push has to wait for it. */
void stacks_touch_locked(const struct stacks *s, struct stacks_door *door, unsigned index);
/* Takes the newest @most, or all there are, out of a closed and fenced class.  They are at *@entries,
 * the oldest first, until the door is opened.  Returns how many. */
unsigned stacks_take_locked(const struct stacks *s, const struct stacks_door *door, unsigned index,
			    unsigned most, const uint32_t **entries);

#endif
