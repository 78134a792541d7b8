/* SPDX-License-Identifier: MIT */
/* percpu/space.h - addresses and arrays, reserved at once and committed as they grow: space.c */
#ifndef PERCPU_SPACE_H
#define PERCPU_SPACE_H

#include <stddef.h>
#include <stdint.h>

struct percpu;

/* A reserved array that is committed as it grows. */
struct grown {
	char *base;
	size_t ready_bytes; /* written under lock, only grows; load_acquire() without it: so much is
			       usable */
	size_t span_bytes;
};

int space_init(struct percpu *pc);
void space_fini(struct percpu *pc);
/* The pages of the arrays that are charged against the limit. */
size_t space_charged_pages(const struct percpu *pc);
/* Charges pages.  Legal with locks held, since it never makes room (R29).  Returns 0 or -ENOMEM. */
int percpu_charge(struct percpu *pc, uint64_t pages, unsigned flags);
/* Make the first @bytes of an array, or a chunk's units, usable.  Need no lock.  Return 0 or
 * -ENOMEM. */
int grown_to(struct percpu *pc, struct grown *grown, size_t bytes, unsigned flags);
int units_ready(struct percpu *pc, uint32_t chunk);

#endif
