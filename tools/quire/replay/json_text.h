/* SPDX-License-Identifier: MIT */
/* json_text.h - shared by the files that write JSON */
#ifndef QUIRE_TOOL_JSON_TEXT_H
#define QUIRE_TOOL_JSON_TEXT_H

#include "common/json.h"
#include "replay/outcome.h"

/* "key": "string" */
void json_put_string(FILE *file, const char *key, const char *string);
/* {"key": value, ...} of @nr pairs, without an end of the line */
struct json_pair {
	const char *key;
	uint64_t value;
};
#define PAIRS_NR(pairs) (sizeof(pairs) / sizeof((pairs)[0]))
void json_put_pairs(FILE *file, const struct json_pair *pairs, size_t nr);
/* Puts the times and the checks: the last totals of each kind. */
void json_put_checked(FILE *file, const char *indent, const struct outcome *outcome);
/* "marks": [...] with name, seconds and live_blocks of each; @put_mark adds what its kind has. */
typedef void (*json_put_mark_fn)(FILE *file, const struct outcome *outcome, uint32_t index);
void json_put_marks(FILE *file, const struct outcome *outcome, json_put_mark_fn put_mark);
/* The whole of areas or objects; @put_stat: our figures, {...}. */
typedef void (*json_put_stat_fn)(FILE *file, const struct object_stat *stat);
void json_put_objects(FILE *file, const struct outcome *outcome, json_put_stat_fn put_stat,
		      json_put_mark_fn put_mark);

/* ---- the kinds: "totals", "marks" ------------------------------------------------------------ */
void json_put_pages(FILE *file, const struct outcome *outcome);
void json_put_percpu(FILE *file, const struct outcome *outcome);
void json_put_slab(FILE *file, const struct outcome *outcome);
void json_put_vmap(FILE *file, const struct outcome *outcome);

#endif
