/* SPDX-License-Identifier: MIT */
/*
 * vmap_lazy.pml - vmap's lazy list: pushes without a lock, one purge at a time (src/vmap/lazy.c, purge.c, resort.c)
 *
 * Two threads free an area each.  Publishing counts the area, then pushes it by compare-and-swap, and does not touch it
 * afterwards (R15, R16).  A purge takes the whole list by one exchange under purge_mutex, finishes a gather, and
 * then frees each area and subtracts it from lazy_pages (R19, R20); an allocation may have it at once.  A rescue pops areas by compare-and-swap under
 * the mutex, uses them and frees them again.  The last resort of an allocation waits for the mutex, and purges and looks for
 * an area until nothing was freed meanwhile; it is refused only if nothing is freed or in flight (R17, V11).
 *
 * What is broken by a definition, spin must find:
 *   PUBLISH_FIRST      an area is counted after it was published
 *   TOUCH_AFTER        it is written to after it was published
 *   TAKE_BY_LOAD       the purge reads the list and then clears it
 *   EARLY_DECREMENT    lazy_pages is lowered before the areas are free
 *   FREE_BEFORE_FLUSH  areas are free before the gather has finished
 *   POP_UNLOCKED       a rescue pops without purge_mutex: the head that it read may have left and come back
 *   NO_WAIT            the last resort does not wait for a purge in flight
 *   ONE_ROUND          it looks once
 */
#define AREAS 2
#define NONE  255

mtype = { USED, LAZY, FLYING, FREE }; /* FLYING: off the list, not yet free */
mtype state[AREAS] = USED;
byte next[AREAS] = NONE;
bool published[AREAS]; /* a ghost: on the list */
bool mapped[AREAS] = true; /* some CPU may still have a translation */

byte head = NONE;
byte lazy_pages = 0; /* of one page each */
byte mutex_free = 1;
byte ended = 0;

inline lock() { atomic { mutex_free == 1 -> mutex_free = 0 } }
inline unlock() { mutex_free = 1 }

inline count_down()
{
	atomic {
		assert(lazy_pages != 0);
		lazy_pages--
	}
}

inline publish(i)
{
	state[i] = LAZY;
#ifndef PUBLISH_FIRST
	lazy_pages++;
#endif
	do
	:: old = head;
	   next[i] = old;
	   if
	   :: atomic { head == old -> head = i; published[i] = true };
	      break
	   :: head != old
	   fi
	od;
#ifdef PUBLISH_FIRST
	lazy_pages++;
#endif
#ifdef TOUCH_AFTER
	state[i] = LAZY;
#endif
	skip
}

/* Under the mutex; @all: the list as it was. */
inline purge()
{
#ifdef TAKE_BY_LOAD
	all = head;
	head = NONE;
#else
	atomic { all = head; head = NONE };
#endif
	at = all;
	do
	:: at == NONE -> break
	:: else ->
	   atomic {
		assert(state[at] == LAZY && published[at]);
		state[at] = FLYING;
		published[at] = false
	   };
#ifdef EARLY_DECREMENT
	   count_down();
#endif
#ifndef FREE_BEFORE_FLUSH
	   mapped[at] = false; /* the gather, which finishes before any is free */
#endif
	   at = next[at]
	od;
	at = all;
	do
	:: at == NONE -> break
	:: else ->
	   all = next[at];
	   atomic {
		assert(lazy_pages != 0); /* it may be too large, never too small (V4) */
		state[at] = FREE
	   };
#ifdef FREE_BEFORE_FLUSH
	   mapped[at] = false;
#endif
#ifndef EARLY_DECREMENT
	   count_down();
#endif
	   at = all
	od
}

/* An area that is free has a new user. */
inline take(i)
{
	atomic {
		state[i] == FREE ->
		assert(!mapped[i]);
		state[i] = USED;
		mapped[i] = true;
		next[i] = NONE
	}
}

active [AREAS] proctype freer() /* the first two processes: of area _pid */
{
	byte old;

	publish(_pid);
	ended++
}

active proctype purger()
{
	byte all, at;

	lock();
	purge();
	unlock();
	ended++
}

active proctype rescuer()
{
	byte one, then, old;

#ifndef POP_UNLOCKED
	lock();
#endif
	do
	:: one = head;
	   if
	   :: one == NONE -> break
	   :: else ->
	      then = next[one];
	      if
	      :: atomic {
			head == one ->
			head = then;
			assert(state[one] == LAZY && published[one]);
			state[one] = USED;
			published[one] = false
	         };
	         break
	      :: head != one
	      fi
	   fi
	od;
	if
	:: one != NONE -> count_down()
	:: else
	fi;
#ifndef POP_UNLOCKED
	unlock();
#endif
	if
	:: one != NONE -> publish(one)
	:: else
	fi;
	ended++
}

/* Any allocation: finds an area as soon as it is free, uses it and frees it. */
active proctype allocator()
{
	byte old, mine = NONE;

	if
	:: take(0) -> mine = 0
	:: take(1) -> mine = 1
	:: true
	fi;
	if
	:: mine != NONE ->
	   assert(state[mine] == USED);
	   publish(mine)
	:: else
	fi;
	ended++
}

active proctype last_resort()
{
	byte all, at, mine = NONE, old;
	bool locked = true;

#ifdef NO_WAIT
	if
	:: atomic { mutex_free == 1 -> mutex_free = 0 }
	:: mutex_free == 0 -> locked = false
	fi;
#else
	lock();
#endif
	do
	:: if
	   :: locked -> purge()
	   :: else
	   fi;
	   if
	   :: take(0) -> mine = 0
	   :: take(1) -> mine = 1
	   :: atomic {
		state[0] != FREE && state[1] != FREE ->
		skip
	      }
	   fi;
	   if
	   :: mine != NONE -> break
	   :: else
	   fi;
	   atomic {
		if
#ifdef ONE_ROUND
		:: true ->
#else
		:: lazy_pages == 0 || !locked ->
#endif
			/* Refused. */
			assert(!published[0] && state[0] != FLYING && state[0] != FREE);
			assert(!published[1] && state[1] != FLYING && state[1] != FREE);
			break
		:: else
		fi
	   }
	od;
	if
	:: locked -> unlock()
	:: else
	fi;
	/* The new user frees it. */
	if
	:: mine != NONE -> publish(mine)
	:: else
	fi;
	ended++
}

/* The end: what is counted is what is on the list, and all of it can be reached. */
active proctype checker()
{
	byte n, at;

	atomic {
		ended == AREAS + 4 ->
		assert(mutex_free == 1);
		at = head;
		do
		:: at == NONE -> break
		:: else ->
			assert(n < AREAS && state[at] == LAZY && published[at]);
			n++;
			at = next[at]
		od;
		assert(lazy_pages == n);
		assert(n == published[0] + published[1])
	}
}
