/* SPDX-License-Identifier: MIT */
/* stats.h - `quire stats`: what a process on Quire holds and has done */
#ifndef QUIRE_TOOL_STATS_H
#define QUIRE_TOOL_STATS_H

#include <stdbool.h>

#include "common/command.h"
#include "stats/seen.h"

enum stats_form {
	STATS_TABLE,
	STATS_JSON,
	STATS_PROMETHEUS,
	STATS_SHAPE,
};

struct stats_options {
	struct seen_wanted wanted;
	enum stats_form form;
	const char *shape; /* a section's name */
};

extern const struct option_row stats_rows[];
/* False: @status is the command's. */
bool stats_parse(struct stats_options *options, int argc, char **argv, enum exit_status *status);
/* Says why nothing was found, for seen_find()'s error, and returns the command's status. */
enum exit_status stats_refuse(const char *who, const struct seen_wanted *wanted,
			      const struct seen *seen, int error);
/* For people: where memory is, then every figure that is not zero. */
void stats_print_table(const struct seen *seen);
void stats_print_prometheus(const struct seen *seen);
/* What is wrong, in words, a line each; returns how many there are. */
#define STATS_FINDINGS_MAX 5u
unsigned stats_findings(const struct seen *seen, char lines[STATS_FINDINGS_MAX][160]);
/* A row of slabinfo. */
struct size_row {
	char name[24];
	uint64_t used, objects, bytes, slab_pages, slabs, cached;
};

#define SIZE_ROWS_MAX 160u

/* Returns how many there are. */
unsigned stats_read_sizes(const struct seen *seen, struct size_row rows[SIZE_ROWS_MAX]);
/* "181 MiB"; the text is valid until the fourth call after it. */
const char *stats_bytes(uint64_t bytes);

#endif
