/* SPDX-License-Identifier: MIT */
/* seen.h - observed pages: finding them, and reading one */
#ifndef QUIRE_TOOL_SEEN_H
#define QUIRE_TOOL_SEEN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stat/page.h"

struct figure;

/* Later versions' pages may be longer, and have more sections. */
#define SEEN_BYTES_MAX	  (4 * PAGE_BYTES)
#define SEEN_SECTIONS_MAX 32u

/* A page, copied: each section is as it was at one time. */
struct seen {
	char path[PATH_MAX];
	struct page_header header; /* of its table nothing: here it is */
	struct page_section section[SEEN_SECTIONS_MAX];
	unsigned sections_nr;
	char text[SEEN_BYTES_MAX]; /* sections, at their offsets, each ended by a NUL */
	bool alive;
	bool torn; /* the process ended, or was stopped, in the middle of writing a section */
	double age_seconds; /* since it was updated */
	uint32_t pid;	    /* as the reader sees the process; the header's if it is gone */
};

/* What is looked for. */
struct seen_wanted {
	uint32_t pid;	   /* 0: any */
	uint32_t instance; /* 0: the first; else the process's Nth */
};

/*
 * Finds and reads a page: that of a process, which may be in a container or gone; or, without a pid, of the living ones
 * that with the most memory, else the one that was updated last.
 *
 * Returns 0; -ENOENT if there is none, or it is just being made; -EACCES, with @seen->path, if the process or the folder is another
 * user's; -EPROTO, with @seen->path, for a page that is damaged or of a version that is not known.
 */
int seen_find(const struct seen_wanted *wanted, struct seen *seen);
/* Removes what processes left that are gone, but for the 16 pages that were updated last: in the caller's own folders, of its own
 * pid namespace. */
void seen_prune(void);
/* A variable of a process's environment, as it was at its start; false if it had none, or is another user's. */
bool seen_variable(uint32_t pid, const char *name, char *value, size_t bytes);
/* The section's text; NULL if the page has none of that name. */
const char *seen_section(const struct seen *seen, const char *name);
/* True if a section was longer than its room. */
bool seen_is_cut(const struct seen *seen, const char *name);
/* A number of the JSON: 0 if it is not there. */
uint64_t seen_figure(const struct seen *seen, const char *module, const char *name);
/* The same: false if it is not there. */
bool seen_number(const struct seen *seen, const char *module, const char *name, uint64_t *value);
/* The same of a row of the table of figures (stat/figures.h). */
bool seen_row(const struct seen *seen, const struct figure *figure, uint64_t *value);
/* Free pages that still have their memory. */
uint64_t seen_free_page_bytes(const struct seen *seen);
/* All that the program has, of whatever kind. */
uint64_t seen_used_bytes(const struct seen *seen);

#endif
