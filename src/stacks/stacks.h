/* SPDX-License-Identifier: MIT */
/*
 * stacks/stacks.h - per-CPU stacks of small numbers, for every module that caches something per CPU
 *
 * machine/stack.h has the sequences that pop and push.  This module does the rest: layout, memory,
 * first use, closing, draining and fork.  Its users decide what a number means, which classes there
 * are, how many entries a class keeps, and what happens to entries that are taken out.
 *
 * Words
 *   set      one user's stacks on all slots (struct stacks)
 *   slot     a CPU, or the number that the kernel gives to a running thread (machine/stack.h)
 *   class    one stack on each slot.  It has a header and an array of entries in the slot's region;
 *            stacks_lay_out() computes their positions once
 *   door     a lock and the classes of one slot that it protects: usually all of them, but the page
 *            allocator has one door per zone
 *   room     capacity of a class's array, in entries
 *   keeps    number of entries that a class currently accepts, from 0 to its room.  The classes of
 *            one door together keep at most the set's cap
 *   weight   what an entry of a class counts against the cap: 1 if the cap is a number of entries, its
 *            size if the cap is a number of bytes
 *   cold     said of a door: none of its classes keeps anything.  The next push fails, so the caller
 *            takes a slow path and can tell the worker.  Pops succeed until the stack is empty
 *   warm     not cold
 *
 * Entries.  A region has (STACKS_STRIDE - STACKS_OFFSET_MAX) / 4 words: 31,744.  A header takes four of them, and
 * every entry of each class's room one: with 127 classes, 245 entries each.
 *
 * Contract
 *
 *   S1  Locking.  Closing, opening, changing what a class keeps, and taking entries out require the
 *       door's lock.  Pops, of one entry or of several, and single pushes need no lock.  A push of
 *       several reads no guard, so its caller holds some door of the set: a thread that closes all
 *       doors waits for it.
 *   S2  Closing nests.  closed_nr counts the closes; the first one closes the stacks, and only the
 *       matching last open reopens them.  So a door that is closed for a drain or a fork stays closed
 *       when another thread closes and opens it meanwhile.
 *   S3  Fence.  When a fence returns, every sequence on that slot that began before the close has
 *       either committed, or will restart and be refused.  From then until the last open, the closer
 *       owns top and all entries of the door.  Before the fence the sequences own them; other
 *       threads may read them, but only as a hint (stacks_held()).  A closer that finds the door
 *       closed fences too: the first closer may not have done so yet.
 *   S4  Order.  A sequence reads its bound before top, also in the order that other CPUs observe.
 *       The closer therefore writes top first, and then stores the opening bounds with a release.
 *       Both bounds are in one word, so a sequence never sees a half-closed stack.
 *   S5  First use.  Fresh regions read as zero, and an all-zero header refuses both push and pop.  But
 *       while top is being set for the first time, low is still 0, and the header would not refuse a
 *       pop.  So the first use closes, fences and opens like any later one (stacks_begin_locked());
 *       only while nobody but the set's maker knows it can there be no fence (stacks_begin_alone_locked()).
 *       If regions are not committed in advance, it also commits the slot's, under the door's lock: the
 *       one place where a spin lock is held over a system call that commits memory.  It happens once
 *       for each slot, and a caller that cannot wait for it only tries the lock.
 *   S6  Keeping less.  A class that is made to keep less refuses the pushes that begin afterwards; those
 *       under way end at the next fence.  Entries above the new bound stay until they are popped or
 *       taken, so keeps and cap bound what is accepted, not what is held.
 *   S7  Fork.  The forking thread takes all doors in order, closes those in use, and fences.  It does
 *       so before the address space is copied, since the kernel copies page by page.  While it holds
 *       the locks it may use the set itself.  A door that it uses for the first time meanwhile stays
 *       closed until the end of the fork, which opens every door in use.  In the child all doors are
 *       cold: the worker does not exist there, so the first free must take the slow path and start it.
 *       Prepare must run from a process_member's fork_prepare (machine/process.h), which lends the locks
 *       taken there to the thread's later calls.  In a pthread_atfork() handler of a user's own, the
 *       thread would hold them like any lock: its calls until the end of the fork would count as
 *       nested, and wait for the thread itself if they acquired one.
 *   S8  Isolated CPUs have no stacks: their headers stay zero, and they are never fenced.
 *
 * tests/sim/stacks/stacks_sim.c explores S1 to S8, but for a first use during a fork.
 * tests/unit/stacks/stacks_test.c tests that, and sets of several shapes.
 */
#ifndef STACKS_STACKS_H
#define STACKS_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/lock.h"
#include "machine/stack.h"

/* Upper bound of the offset in its page at which slot 0's region begins. */
#define STACKS_OFFSET_MAX 4096u

struct stacks_class {
	uint16_t header; /* (c) index of its header in the region: the sequences' `class` */
	uint16_t room;	 /* (c) */
	uint16_t weight; /* (c) of an entry; stacks_lay_out() makes 0 a 1 */
	uint32_t low;	 /* (c) index of its first entry; set by stacks_lay_out() */
};

/* A set.  Everything is constant after its creation. */
struct stacks {
	struct cpu_stacks cpu;	  /* the part that sequences use */
	const uint64_t *isolated; /* bitmap of the CPUs that have no stacks; NULL: none */
	struct stacks_class *class;
	uint16_t classes_nr;
	bool committed; /* all regions are already committed; else each is at its first use */
	uint32_t cap;	/* most that one door keeps, by weight; 0: bounded by room alone */
};

/*
 * Users embed one in their per-CPU structure.  Keys: (c) constant; (l) under lock; (r) written
 * under lock, read without it as a hint.
 */
struct stacks_door {
	struct lock lock;
	lock_token kept;       /* (l) token of a hold that outlasts a function, as in a fork */
	uint16_t slot;	       /* (c) */
	uint16_t first, end;   /* (c) its classes are [first, end) */
	uint16_t closed_nr;    /* (l) S2 */
	uint32_t keeps_weight; /* (l) of all that its classes keep */
	bool ready;	       /* (r) the first use is done; forks and drains skip other doors */
	bool usable; /* (r) has stacks: CPU not isolated, sequences available, memory committed */
	bool warm;   /* (r) some class keeps entries */
};

/* ---- layout.c: positions and memory ---- */

/* Computes each class's low; the entries follow @headers_nr headers.  The caller has set cpu and all other
 * fields of class[].  Everything must fit into one region. */
void stacks_lay_out(struct stacks *s, unsigned headers_nr);
/* True if this slot can have stacks (S8). */
bool stacks_has(const struct stacks *s, unsigned slot);
/* Commits all regions for reading, up to @end, the end of the reservation.  Returns 0 or
 * -ENOMEM. */
int stacks_commit_readable(const struct stacks *s, char *end);
/* Reserves @records_bytes for what the user has for each slot, committed and zero, followed by the
 * regions, which can be read.  Returns the records, or NULL if the system refuses; *@bytes is what to
 * release then. */
void *stacks_reserve(struct stacks *s, size_t records_bytes, const char *name, size_t *bytes);

/* ---- door.c: closing and opening ---- */

void stacks_door_init(struct stacks_door *door, enum lock_rank rank, unsigned slot, unsigned first,
		      unsigned end);
/* The door's first use (S5).  Returns 0, or -ENOMEM if the slot's region could not be committed;
 * then nothing has changed, and a later call may succeed. */
int stacks_begin_locked(const struct stacks *s, struct stacks_door *door);
/* The same without the close, fence and open.  The caller's next call must close the door, and the
 * caller must fence before the door is opened; until then the all-zero headers refuse. */
int stacks_begin_unopened_locked(const struct stacks *s, struct stacks_door *door);
/* The first use while the set is made: without the fence, since no thread knows the set yet. */
int stacks_begin_alone_locked(const struct stacks *s, struct stacks_door *door);
/* To call when a begin has failed: makes the door ready, without stacks.  A door that is ready already
 * may hold entries, and is a bug here. */
void stacks_begin_bare_locked(const struct stacks *s, struct stacks_door *door);
void stacks_close_locked(const struct stacks *s, struct stacks_door *door);
void stacks_open_locked(const struct stacks *s, struct stacks_door *door);
/* The fence of S3, for one slot or for all.  Isolated CPUs are not interrupted. */
void stacks_fence_slot(const struct stacks *s, unsigned slot);
void stacks_fence_all(const struct stacks *s);

/* S7.  Prepare all doors of the set, fence once, fork, and call done for all doors. */
void stacks_fork_prepare(const struct stacks *s, struct stacks_door *door);
void stacks_fork_done(const struct stacks *s, struct stacks_door *door, bool child);
/* In a child: discounts the closes of @n threads that do not exist there. */
void stacks_fork_drop_closers_locked(struct stacks_door *door, unsigned n);

/* ---- keep.c: how much a class keeps, and its entries ---- */

/* Returns how many entries the class keeps. */
unsigned stacks_keeps_locked(const struct stacks *s, const struct stacks_door *door,
			     unsigned index);
/* Makes the class keep @n entries, or as many as its room and the cap allow.  Returns how many it
 * keeps.  If the door is open, every push that begins afterwards obeys.  The door is warm as long as a
 * class keeps something.  A door without stacks becomes warm if @n is not 0, for users that have
 * another place for entries, and stays so until stacks_cool_locked(). */
unsigned stacks_set_keeps_locked(const struct stacks *s, struct stacks_door *door, unsigned index,
				 unsigned n);
/* After a slow path: the class keeps @first entries if it kept none, else twice as many as before;
 * in either case at most @most.  Returns how many it keeps. */
unsigned stacks_grow_locked(const struct stacks *s, struct stacks_door *door, unsigned index,
			    unsigned first, unsigned most);
/* Makes the door cold.  Entries on its stacks can still be popped. */
void stacks_cool_locked(const struct stacks *s, struct stacks_door *door);
/* Number of entries on a class's stack.  Exact while closed and fenced, else a hint. */
unsigned stacks_held(const struct stacks *s, const struct stacks_door *door, unsigned index);
/* Those entries, oldest first.  Stable while closed and fenced, or while no thread uses the set. */
const uint32_t *stacks_entries(const struct stacks *s, const struct stacks_door *door,
			       unsigned index);
/* Faults in the page of the class's first entries, so that no push takes that page fault. */
void stacks_touch_locked(const struct stacks *s, struct stacks_door *door, unsigned index);
/* Takes the newest @most entries, or all if there are fewer, from a closed and fenced class.  They
 * stay at *@entries, oldest first, until the door is opened.  Returns how many. */
unsigned stacks_take_locked(const struct stacks *s, const struct stacks_door *door, unsigned index,
			    unsigned most, const uint32_t **entries);

#endif
