/* SPDX-License-Identifier: MIT */
/*
 * malloc/records.h - what debug:on knows of each block, by the address that its user has: records.c
 *
 * A record's word, atomic, says all that a free decides by; it changes by one exchange:
 *
 *   from          when                                      to
 *   NONE, GONE    a block is handed out there               LIVE
 *   LIVE          it is freed: who wins the exchange        HELD
 *   HELD          it leaves the quarantine                  GONE: its memory is the heap's again
 */
#ifndef MALLOC_RECORDS_H
#define MALLOC_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_state {
	RECORD_NONE,
	RECORD_LIVE,
	RECORD_HELD,
	RECORD_GONE,
};

struct record {
	uint64_t word;	/* atomic */
	uint32_t made;	/* atomic: the trace of the allocation (traces.h) */
	uint32_t freed; /* atomic: of the free */
};

/* What a word says. */
struct record_facts {
	enum record_state state;
	bool odd;	     /* the block begins in the second half of the record's 32 bytes */
	uint8_t align_shift; /* of the block: what is in front of it is as large */
	uint8_t generation;  /* of the process that allocated it: forks up to then, modulo 128 */
	size_t bytes;	     /* as its user asked */
};
#define GENERATIONS 128u

struct record_facts record_read(uint64_t word);
uint64_t record_word(struct record_facts facts);

/* 0, or -ENOMEM. */
int records_init(void);
/* The record of a block that its user knows by this address.  records_at() is NULL if no block ever began near it, records_make()
 * if the system refused memory. */
struct record *records_at(const void *block);
struct record *records_make(const void *block);
/* All records that were ever made, while others may change. */
void records_each(void (*call)(const struct record *record, void *arg), void *arg);

#endif
