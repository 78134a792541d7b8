/* SPDX-License-Identifier: MIT */
/* percpu/alloc.h - what alloc.c and free.c have for others */
#ifndef PERCPU_ALLOC_H
#define PERCPU_ALLOC_H

#include <stddef.h>

struct percpu;
struct percpu_request;
struct quire_percpu_request;

/* What a caller asks for, in granules.  0 or -EINVAL. */
int percpu_request_make(const struct percpu *pc, const struct quire_percpu_request *asked,
			struct percpu_request *request);
/* Writes only where it does not read zero. */
void percpu_zero_copy(char *copy, size_t bytes);
/* Takes in what handlers freed.  Ordinary context, no spinning lock held. */
void percpu_take_deferred(struct percpu *pc);

#endif
