/* SPDX-License-Identifier: MIT */
/*
 * slab/hardened.h - slabs of a hardened instance: hardened.c
 *
 * Words
 *   live       said of an object that hardened_alloc() handed out and that was not freed since: its bit in
 *              slabs->live is set
 *   waiting    said of one that was freed, and that its slab does not know of yet: it is in its class's
 *              quarantine
 *   canary     what is written behind the bytes that the object's user asked for, up to the object's end
 *
 * Object caches of such an instance get random objects from slabs, and nothing else of this.
 */
#ifndef SLAB_HARDENED_H
#define SLAB_HARDENED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/atomic.h"
#include "slab/slab.h"

struct gather;

/* What an object has at least beside the bytes that are asked for. */
#define HARDENED_CANARY_BYTES 8u

/* ---- of the instance ---- */

/* Before slabs_meta_init().  0 or -ENOMEM. */
int hardened_init(struct slabs *s);
void hardened_fini(struct slabs *s);
/* In a child of fork: it draws other numbers than its parent. */
void hardened_fork_child(struct slabs *s);
/* A random number. */
uint64_t hardened_draw(struct slabs *s);

/* ---- slabs ---- */

/* Pages for one slab, which lies at random among several; they read zero.  NULL with *@error. */
char *hardened_run(struct slabs *s, const struct slab_class *c, unsigned flags, int *error);
/* Bytes at a slab's end that no object is cut of: a page, if guards take no mappings. */
size_t hardened_guard_bytes(const struct slabs *s);
/* Makes every access to them fault, and undoes that; false if the system refuses, and the pages must stay. */
void hardened_guard(const struct slabs *s, uint32_t record, unsigned order);
bool hardened_unguard(const struct slabs *s, uint32_t record, unsigned order);

/* ---- objects ---- */

/* One free object, from any slab and any place in it.  NULL: none is free, or the lock was taken. */
void *hardened_take(struct slabs *s, unsigned class, unsigned flags);
/* The same of a class whose lock is held; at most @n.  Returns how many. */
unsigned hardened_take_locked(struct slabs *s, struct slab_class *c, void **objects, unsigned n);

/* An object that reads zero up to @bytes, at most the class's size less HARDENED_CANARY_BYTES.  Stops the process
 * if it was written to since it was freed.  NULL: refused. */
void *hardened_alloc(struct slabs *s, unsigned class, uint32_t bytes, unsigned flags,
		     const char *function);
/* Clears it, and lets it wait.  Stops the process unless a live object begins there whose canary is whole. */
void hardened_free(struct slabs *s, void *object, const char *function);
/* How many bytes its user asked for; the same checks. */
uint32_t hardened_bytes(struct slabs *s, const void *object, const char *function);
/* From here on its user has @bytes of it, which is not more than fits; checked by hardened_bytes(). */
void hardened_set_bytes(struct slabs *s, void *object, uint32_t bytes);

/* Lets an object of a class whose lock is held wait.  What goes into its slab in its place; NULL: nothing. */
void *hardened_exchange_locked(struct slabs *s, struct slab_class *c, void *object);
/* Puts all that wait into their slabs. */
void hardened_drain(struct slabs *s);
/* Objects of a class that wait.  A gauge. */
uint64_t hardened_waiting(const struct slabs *s, unsigned class);
/* The objects that wait, NULLs among them: two arrays.  While no other thread uses the instance. */
void *const *hardened_waiters(const struct slabs *s, unsigned class, unsigned array, unsigned *n);

#endif
