/* SPDX-License-Identifier: MIT */
/*
 * malloc/quarantine.h - freed blocks that wait before their memory is used again: quarantine.c
 *
 * A ring of addresses.  Each block that is put in leaves once, roughly in turn: pushed out by a later one, or taken
 * because there are too many bytes.
 */
#ifndef MALLOC_QUARANTINE_H
#define MALLOC_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys: (c) constant. */
struct quarantine {
	void **block;	 /* (c) the ring; each place is atomic */
	uint64_t mask;	 /* (c) places - 1 */
	int64_t most;	 /* (c) bytes that may wait */
	uint64_t put_nr; /* atomic: places that were given out to come in */
	uint64_t out_nr; /* atomic: to go out */
	int64_t bytes; /* atomic: that wait.  For a moment less than 0: a block can leave before it is counted */
};

/* @places, a power of two, of memory that reads zero. */
void quarantine_init(struct quarantine *q, void **block, uint64_t places, size_t most_bytes);
/* A block of @bytes comes in.  Returns one that it pushed out, the caller's now, or NULL. */
void *quarantine_put(struct quarantine *q, void *block, size_t bytes);
/* A block that has to leave because more bytes wait than may, or with @all if any waits; NULL: none has to. */
void *quarantine_take(struct quarantine *q, bool all);
/* Where the next block comes in; and blocks that came in before it are not taken any more: pushed out they still are. */
uint64_t quarantine_now(const struct quarantine *q);
void quarantine_skip(struct quarantine *q, uint64_t place);
/* A block that left had so many bytes. */
void quarantine_left(struct quarantine *q, size_t bytes);

#endif
