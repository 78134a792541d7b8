/* SPDX-License-Identifier: MIT */
/*
 * lock.h - spin locks, sleeping mutexes, and the order in which they are taken
 *
 * A spin lock is held for a bounded number of steps, and its holder never sleeps.  acquire and try
 * return a token that release takes: empty on Linux, the interrupt state on a machine where a lock
 * must exclude handlers.  So lock sites are the same on all machines.
 *
 * Signal handlers are our interrupts.  Each thread counts the locks it holds; the count is raised
 * before a lock is tried and lowered after its release.  A call that begins with the count above
 * zero has interrupted a holder.  It must only try locks, all of them, because the holder may be
 * the interrupted frame itself or a thread that waits for it.  lock_nested() tells.
 *
 * A fork holds every lock while the process is copied.  pthread_atfork() handlers that others have
 * registered before ours run during that time.  The forking thread has exclusive access then, so
 * the locks are lent to its own calls, one call at a time: calls in such a handler take the locks
 * as usual, and their releases return the lock to the fork.  lock_kept() tells.  Stacks that a fork
 * has closed stay closed, and calls need to know no more than that.
 *
 * The rank is the order: a thread may acquire a lock only if every lock it holds has a smaller rank
 * (debug and simulator builds check this and name the ranks).  A try is exempt.  Only fork holds
 * two locks of one rank together, in address order, through lock_acquire_ordered().
 */
#ifndef MACHINE_LOCK_H
#define MACHINE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
	RANK_TURN,	   /* mutex: calling the program's shrinkers, in the whole process */
	RANK_DEFAULT,	   /* mutex: creating the default instance */
	RANK_INSTANCES,	   /* mutex: the process's list of instances; first at fork */
	RANK_WORKER,	   /* mutex: stopping an instance's worker */
	RANK_SHRINKERS,	   /* mutex: an instance's table of shrinkers */
	RANK_MODULES,	   /* mutex: creating a module's part of an instance */
	RANK_VISIT,	   /* mutex: a visit of the worker, or a call that keeps visits out */
	RANK_SLAB_CACHES,  /* mutex: object caches and their classes come and go */
	RANK_SLAB_UNBACK,  /* mutex: memory of slabs' free pages on its way back */
	RANK_PERCPU_ALLOC, /* mutex: per-CPU chunks' existence and backing */
	RANK_VMAP_PURGE,   /* mutex: one purge of lazily freed areas at a time */
	RANK_VMAP_COMMIT,  /* mutex: committing addresses for areas */
	RANK_VMAP_CLAIM,   /* mutex: the same, for callers that may not wait */
	RANK_POOL_GROW,	   /* mutex: records of a pool being committed */
	RANK_LIMIT,	   /* mutex: reading the limit anew */
	RANK_PCP_DISABLE,  /* mutex: lists switched off, isolation, offlining */
	RANK_GIVEBACK,	   /* mutex: memory on its way back to the system */
	RANK_GROW,	   /* mutex: blocks being committed */
	RANK_GROW_STEP,	   /* mutex: blocks being committed beside its holder */
	RANK_HUGE,	   /* mutex: which blocks are advised huge pages */
	RANK_SLAB_CLOSE,   /* spin: who keeps the sheaves closed */
	RANK_SLAB_CPU,	   /* spin: the door of one CPU's sheaves */
	RANK_SLAB_BARN,	   /* spin: one class's barn */
	RANK_SLAB,	   /* spin: one class's slabs */
	RANK_PERCPU_CPU,   /* spin: one CPU's cached offsets, and the door of its stacks */
	RANK_PERCPU,	   /* spin: per-CPU chunks' lists, maps, counters */
	RANK_VMAP_CPU,	   /* spin: one CPU's cached areas, and the door of its stacks */
	RANK_VMAP_SPACE,   /* spin: ranges of addresses, free and cached */
	RANK_POOL,	   /* spin: free records of a pool */
	RANK_PCP,	   /* spin: one CPU's lists in one zone, and the door of its stacks */
	RANK_DEPOT,	   /* spin: one zone's depot */
	RANK_ZONE,	   /* spin: one zone's free areas */
	RANK_SWITCH,	   /* spin: switching how a reference counts; no lock is taken under it */
	RANK_MACHINE,	   /* leaf: inside machine/ */
	RANKS_NR,
};

typedef unsigned lock_token;

struct lock {
	uint32_t word; /* 0 free, 1 held, 2 held and waited for */
	uint16_t rank;
	uint8_t waited; /* a hint: a thread found it held, see lock_let_others_in() */
	uint8_t lent;	/* the holder's own: a fork keeps it, and a call of that thread uses it */
};

struct mutex {
	uint32_t word;
	uint16_t rank;
	uint8_t lent; /* as above */
};

#include "lock_ops.h" /* the machine's inline part */

/*
 * What lock_ops.h provides (inline or not):
 *
 *   void lock_init(struct lock *lock, enum lock_rank rank);
 *   lock_token lock_acquire(struct lock *lock);		spins, then sleeps in the kernel
 *   lock_token lock_acquire_ordered(struct lock *lock);	the same, beside others of its rank
 *   bool lock_try(struct lock *lock, lock_token *token);	never waits; may fail spuriously
 *   void lock_release(struct lock *lock, lock_token token);
 *   bool lock_is_held(const struct lock *lock);		by any thread: for assertions
 *   bool lock_is_lent(const struct lock *lock);		to its holder, by the fork that keeps it
 *   void lock_let_others_in(struct lock *lock);		between two holds of a loop
 *   bool lock_nested(void);					this call interrupted a lock holder
 *
 *   bool lock_kept(void);					this thread forks: see above
 *   uint32_t lock_keep_begin(void);				locks taken from here on are kept
 *   void lock_keep_end(uint32_t begun);			until here
 *   uint32_t lock_unkeep(void);				kept locks become ordinary held locks
 *   void lock_keep_again(uint32_t begun);			keeps those not released since
 * (the last two on Linux only, for its process.c)
 *
 *   void mutex_init(struct mutex *mutex, enum lock_rank rank);
 *   void mutex_acquire(struct mutex *mutex);			waits; not under a spin lock
 *   bool mutex_try(struct mutex *mutex);
 *   void mutex_release(struct mutex *mutex);
 *   bool mutex_is_held(const struct mutex *mutex);
 *   void mutex_lay_aside(struct mutex *mutex);			its holder keeps it, but from here on
 *								it is none of the locks it holds,
 *   void mutex_take_up(struct mutex *mutex);			until here, on the same thread
 *
 * After fork, the child's only thread owns the locks that prepare took, and releases them.
 */

/* A call that may only try takes the lock by a try, any other by waiting.  False: it has not got it. */
static inline bool lock_acquire_or_try(struct lock *lock, bool tries, lock_token *token)
{
	if (tries)
		return lock_try(lock, token);
	*token = lock_acquire(lock);
	return true;
}

#endif
