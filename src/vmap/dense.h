/* SPDX-License-Identifier: MIT */
/* vmap/dense.h - where huge pages stand */
#ifndef VMAP_DENSE_H
#define VMAP_DENSE_H

#include <stdbool.h>
#include <stdint.h>

struct range;
struct vmap_request;
struct vmap;

/* Places for areas by size, so that huge pages stand where they pay. */
enum region {
	REGION_SMALL,  /* below 64 KiB: no huge pages */
	REGION_MIDDLE, /* below 2 MiB: huge pages shared by areas */
	REGION_LARGE,  /* aligned to 2 MiB */
	REGIONS_NR,
};

/* What is known of how a region's areas are written: dense.c. */
struct dense {
	uint32_t witness_start, witness_pages; /* to be looked at; no pages: none */
	uint32_t interval, until_probe;	       /* huge runs until the next witness */
	bool was_dense;
};

struct dense_question {
	bool always, grown_and_full, witness_was_dense;
	uint32_t covered_pages, block_pages; /* of the block, what the area covers */
	uint32_t until_probe;
};
enum dense_answer {
	DENSE_NOT_COVERED, /* a huge page would be mostly beyond the area */
	DENSE_UNKNOWN,	   /* nothing says that it will be written */
	DENSE_PROBE,	   /* its like were written; it is the next witness */
	DENSE_YES,	   /* from here on: huge pages */
	DENSE_ALWAYS = DENSE_YES,
	DENSE_GROWN,
	DENSE_LIKELY,
};
/* A pure function of what is known. */
enum dense_answer dense_decide(const struct dense_question *ask);
/* Advises the blocks that a fresh range has alone. */
void dense_advise(struct vmap *v, const struct range *range, const struct vmap_request *request);
/* Looks at the witnesses, before what they show is purged. */
void dense_look(struct vmap *v);
/* A range that grows to @pages, and into another section, is written.  False, too, where it does not
 * matter. */
bool dense_is_full(struct vmap *v, const struct range *range, uint32_t pages);
/* If all is free: one advice for all. */
void dense_settle(struct vmap *v);

#endif
