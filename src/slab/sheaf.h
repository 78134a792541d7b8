/* SPDX-License-Identifier: MIT */
/* slab/sheaf.h - per-CPU sheaves and the barns behind them: sheaf.c, barn.c, drain.c */
#ifndef SLAB_SHEAF_H
#define SLAB_SHEAF_H

#include "slab/slab.h"

/* ---- slow paths, tail-called by fast.h ---- */

/* The sheaf was empty or closed, or there is none.  Refills from the barn, then from slabs, then from a new
 * slab.  NULL with *@error (a positive errno) if refused. */
void *sheaf_alloc_slow(struct slabs *s, unsigned class, unsigned flags, int *error);
/* The sheaf was full or closed, there is none, or the slab is emptying.  @byte is the frame's byte, class and all. */
void sheaf_free_slow(struct slabs *s, void *object, unsigned byte);
unsigned sheaf_alloc_bulk(struct slabs *s, unsigned class, unsigned flags, unsigned n,
			  void **objects);
void sheaf_free_bulk(struct slabs *s, unsigned class, unsigned n, void *const *objects);

/* ---- draining ---- */

/* Puts the objects of all slots' sheaves and of the barn into their slabs: of one class, or of all (class 0).
 * Fences once.  Returns objects. */
size_t sheaves_drain(struct slabs *s, unsigned class);
/* The worker's: classes that no slow path touched since the last visit keep half, then nothing; what is on
 * them goes back.  True if anything is left to visit. */
bool sheaves_tick(struct slabs *s);
/* Objects on sheaves and in the barn: a statistic. */
uint64_t sheaves_count(struct slabs *s, unsigned class);
int sheaves_verify(struct slabs *s);

int sheaves_init(struct slabs *s);
void sheaves_fini(struct slabs *s);
void sheaves_fork_prepare(struct slabs *s);
void sheaves_fork_done(struct slabs *s, bool child);

#endif
