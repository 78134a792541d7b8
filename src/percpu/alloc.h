/* SPDX-License-Identifier: MIT */
/* percpu/alloc.h - functions of alloc.c and free.c that other files use */
#ifndef PERCPU_ALLOC_H
#define PERCPU_ALLOC_H

#include <stddef.h>

struct percpu;
struct percpu_request;
struct placed;
struct quire_percpu_request;

/* Converts what a caller asks for to granules.  Returns 0 or -EINVAL. */
int percpu_request_make(const struct percpu *pc, const struct quire_percpu_request *asked,
			struct percpu_request *request);
/* Places an object.  Returns as the two placements do (placement.h).  percpu_put_locked() counts it
 * as allocated. */
int percpu_place_locked(struct percpu *pc, const struct percpu_request *request,
			struct placed *placed);
int percpu_put_locked(struct percpu *pc, const struct percpu_request *request,
		      struct placed *placed);
/* Clears an object in every unit after it was placed, and tells tools of it. */
void percpu_zero_placed(struct percpu *pc, const struct percpu_request *request,
			const struct placed *placed);
/* Clears a copy; writes only words that are not zero. */
void percpu_zero_copy(char *copy, size_t bytes);
/* Completes the frees that signal handlers deferred.  Call in ordinary context, without spinning
 * locks. */
void percpu_take_deferred(struct percpu *pc);
/* In a child of fork: sets the flags of all chunks, for a thread that had taken some, and not yet the frees that they stand
 * for, is gone. */
void percpu_fork_child_deferred(struct percpu *pc);

#endif
