/* SPDX-License-Identifier: MIT */
/*
 * stacks_close.pml - who may touch a CPU's stack while it is closed (S1 to S4 in src/stacks/stacks.h)
 *
 * One CPU with one stack of two entries.  The CPU's task runs sequences that pop and push: each reads its bound,
 * then top, and commits by one store of top; until then it has no effect, and a fence restarts it.  Two closers take
 * the door's lock, close the stack by one store of both bounds, drop the lock, fence, take all entries under
 * the lock, and open it with the last open (S2).  Entries are not told apart: their number is conserved.
 *
 * Unlike the scenarios this has no source: it says that the protocol is right, not that the core follows it.
 * What is broken by a definition, spin must find:
 *   NO_FENCE           a closer does not fence (mutant stacks_fence_left_out)
 *   NO_NEST            the first open opens the stack, although another closed it, too (stacks_opened_by_any_closer)
 *   SECOND_NO_FENCE    a closer that finds the stack closed does not fence (S3)
 *   TOP_FIRST          sequences read top before their bound (stack_bulk_reads_top_first)
 *   OPEN_FIRST         the closer opens the stack before it stores top (stacks_open_before_top)
 */
#define ROOM	 2
#define CLOSERS	 2
#define SEQUENCES 2 /* of the CPU's task */

/* The header.  Both bounds are one word: open or closed (S4). */
bool open = true;
byte top = 1;

byte lock_free = 1;
byte closed_nr = 0;
byte restart = 0; /* counts fences: a sequence that began before one may not commit after it */

byte held = 1;	  /* by the CPU's task and the buddy together: what is not on the stack */
byte owners = 0;  /* closers that own the entries now */
bool fenced = false; /* a ghost: a fence has ended since the stack was closed (S3) */

#define ENTRIES (1 + 1)

inline lock() { atomic { lock_free == 1 -> lock_free = 0 } }
inline unlock() { lock_free = 1 }

/*
 * The CPU's task.  A sequence commits in one step if no fence came since it began; what it did not commit it begins
 * again.  The kernel makes that step one with the check: it restarts whom it interrupts.
 */
inline sequence(push)
{
	do
	:: began = restart;
#ifdef TOP_FIRST
	   saw_top = top;
	   saw_open = open;
#else
	   saw_open = open;
	   saw_top = top;
#endif
	   if
	   :: !saw_open || (push && (saw_top == ROOM || held == 0)) || (!push && saw_top == 0) -> break
	   :: else ->
		if
		:: atomic {
			began == restart ->
			/* From the fence until the last open the closers own top. */
			assert(!fenced && owners == 0);
			if
			:: push -> held--; top = saw_top + 1
			:: else -> held++; top = saw_top - 1
			fi
		   }
		   break
		:: atomic { began != restart -> skip }
		fi
	   fi
	od
}

active proctype cpu()
{
	byte i, began, saw_top;
	bool saw_open;

	do
	:: i < SEQUENCES ->
		if
		:: sequence(true)
		:: sequence(false)
		fi;
		i++
	:: else -> break
	od
}

inline fence() { atomic { restart++; fenced = !open } }
inline open_stack() { atomic { open = true; fenced = false } }

active [CLOSERS] proctype closer()
{
	byte taken;
	bool first;

	lock();
	first = closed_nr == 0;
	closed_nr++;
	if
	:: first -> open = false
	:: else
	fi;
	unlock();
#ifndef NO_FENCE
#ifdef SECOND_NO_FENCE
	if
	:: first -> fence()
	:: else
	fi;
#else
	fence();
#endif
#endif
	lock();
	owners++;
	taken = top;
#ifdef OPEN_FIRST
	closed_nr--;
	if
	:: closed_nr == 0 -> owners = 0; open_stack()
	:: else -> owners--
	fi;
	top = 0;
#else
	top = 0;
	held = held + taken;
	unlock();
	lock();
	owners--;
	closed_nr--;
	if
#ifdef NO_NEST
	:: true -> open_stack()
#else
	:: closed_nr == 0 -> open_stack()
	:: else
#endif
	fi;
#endif
#ifdef OPEN_FIRST
	held = held + taken;
#endif
	unlock()
}

/* Nothing is lost, and nothing is there twice. */
active proctype checker()
{
	timeout -> assert(held + top == ENTRIES && closed_nr == 0 && open && lock_free == 1)
}
