/* SPDX-License-Identifier: MIT */
/* slab/sheaf.h - per-CPU sheaves and the barns behind them: sheaf.c, barn.c, drain.c, idle.c, defer.c */
#ifndef SLAB_SHEAF_H
#define SLAB_SHEAF_H

#include "base/check.h"
#include "machine/atomic.h"
#include "slab/slab.h"

/* Objects that move in one hold of a lock: 1 KiB of the C stack, and less than a microsecond. */
#define SHEAF_MOVE_MAX 128u

/* ---- cpu.c: one slot's sheaves, and closing all ---- */

/* Tries the current CPU's door.  NULL: it is taken, or the CPU has no sheaves. */
struct slab_cpu *sheaf_cpu_try(struct slabs *s, unsigned flags, lock_token *token);
/* Objects on a sheaf: exact while closed, else a hint. */
unsigned sheaf_held(const struct slabs *s, const struct slab_cpu *cpu, unsigned class);
/* Those, oldest first.  Stable while closed, with the door held. */
void **sheaf_objects(const struct slabs *s, const struct slab_cpu *cpu, unsigned class);
/* Makes a sheaf keep @n objects, or as many as room and the CPU's cap allow.  A sheaf that is in its small place
 * keeps no more than fit there until sheaf_move_locked() has moved it. */
void sheaf_set_keeps_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class, unsigned n);
/* Moves a sheaf to its large place if it keeps more than fits into the small one, is empty, and is the current
 * CPU's. */
void sheaf_move_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class);
/* True if it is to move as soon as it is empty. */
bool sheaf_is_cramped_locked(const struct slabs *s, const struct slab_cpu *cpu, unsigned class);
/* Takes the newest @n of a closed sheaf off it. */
void sheaf_take_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class, unsigned n);
/* No sheaf of the slot accepts anything. */
void sheaf_cool_locked(struct slabs *s, struct slab_cpu *cpu);

/* From the first's return to the last open, no sequence changes a sheaf, and whoever holds a door owns the slot's.  No
 * lock is held. */
void sheaves_close(struct slabs *s);
void sheaves_open(struct slabs *s);

/* ---- sheaf.c: slow paths, tail-called by fast.h ---- */

/* The sheaf was empty or closed, or there is none.  Refills from the barn, then from slabs, then from a new
 * slab.  NULL with *@error (a positive errno) if refused.  @flags: NOWAIT, ATOMIC, NOLOCK, NORETRY. */
void *sheaf_alloc_slow(struct slabs *s, unsigned class, unsigned flags, int *error);
/* The sheaf was full or closed, there is none, or the slab is emptying.  @byte is the frame's byte, class and all. */
void sheaf_free_slow(struct slabs *s, void *object, unsigned byte);
/* Fills @objects from the start.  Returns how many; if fewer than @n, *@error says why. */
unsigned sheaf_alloc_bulk(struct slabs *s, unsigned class, unsigned flags, unsigned n,
			  void **objects, int *error);

/* ---- barn.c ---- */

/* Takes in up to @n objects from the start of @objects; returns how many. */
unsigned barn_put(struct slabs *s, unsigned class, void *const *objects, unsigned n,
		  unsigned flags);
/* Gives out up to @n of the newest; returns how many. */
unsigned barn_take(struct slabs *s, unsigned class, void **objects, unsigned n, unsigned flags);
/* Puts all of it into slabs.  Returns objects. */
size_t barn_drain(struct slabs *s, unsigned class);
/* The worker's: the same, if no call used it since the last visit.  True if it is not empty. */
bool barn_tick(struct slabs *s, unsigned class);

/* ---- defer.c: frees in handlers that could take no lock ---- */

void sheaf_defer(struct slabs *s, unsigned class, void *object);
/* Frees what was deferred.  Ordinary context, no lock held. */
void sheaf_take_deferred(struct slabs *s);
/* In a child of fork whose parent has deferred any: flags all slabs, since flags and bits are copied at different moments, and
 * whoever had just taken a flag is gone.  Walks all records. */
void sheaf_fork_child_deferred(struct slabs *s);

/* The same in calls, which leave what is just being deferred to others. */
static inline void sheaf_take_flagged(struct slabs *s)
{
	if (UNLIKELY(load_relaxed(&s->deferred_any) != 0))
		sheaf_take_deferred(s);
}

/* ---- drain.c: anybody empties any CPU's sheaves ---- */

/* Puts the objects of all slots' sheaves and of the barn into their slabs: of one class, or of all (class 0).
 * The sheaves are cold afterwards.  Fences once.  Returns objects.  No lock but slabs->mutex is held. */
size_t sheaves_drain(struct slabs *s, unsigned class);
/* The worker's: a sheaf whose number of objects is that of the last visit keeps half of what it did, then
 * nothing; what is over that goes into slabs.  True if anything is left to visit. */
bool sheaves_decay(struct slabs *s);
/* Objects on sheaves and in the barn: exact while no other thread uses them. */
uint64_t sheaves_count(struct slabs *s, unsigned class);
/* While no other thread uses the instance: 0, or the broken rule. */
int sheaves_verify(struct slabs *s);

/* ---- idle.c: the worker's visit ---- */

/* Something may be due within a decay.  Legal anywhere. */
void slabs_kick(struct slabs *s);
/* After slow paths, with no lock held: somebody does what is due. */
void slabs_ensure_worker(struct slabs *s, unsigned flags);
void slabs_ensure_worker_freed(struct slabs *s);
uint64_t slabs_tick(struct quire_module *module, uint64_t now_ns);
size_t slabs_shrink(struct quire_module *module);
size_t slabs_give_back(struct quire_module *module);

/* ---- layout and fork: drain.c ---- */

/* Before a class is used for the first time. */
void sheaves_class_init(struct slabs *s, unsigned class);
/* Before a class, which has no object in use, gets another size: its sheaves keep nothing. */
void sheaves_class_end(struct slabs *s, unsigned class);
/* Objects that a barn has room for. */
unsigned sheaves_barn_room(const struct quire *q);
/* Which slots have sheaves, before slabs_meta_init() reserves room for them; then makes their doors. */
void sheaves_setup(struct slabs *s);
void sheaves_init(struct slabs *s);
void sheaves_fork_prepare(struct slabs *s);
void sheaves_fork_done(struct slabs *s, bool child);

#endif
