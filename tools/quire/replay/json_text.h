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
void json_put_pairs(FILE *file, const struct json_pair *pairs, size_t nr);
/* The first of the totals of areas and objects; @indent before each line. */
void json_put_object_totals(FILE *file, const char *indent, const struct plan *plan);
/* Puts the times and the checks: the last totals of each kind. */
void json_put_checked(FILE *file, const char *indent, const struct outcome *outcome);
/* name, seconds and live_blocks of a mark, and a comma */
void json_put_mark(FILE *file, const struct plan_mark *mark);

/* ---- the kinds: "totals", "marks" ------------------------------------------------------------ */
void json_put_pages(FILE *file, const struct outcome *outcome);
void json_put_percpu(FILE *file, const struct outcome *outcome);
void json_put_slab(FILE *file, const struct outcome *outcome);
void json_put_vmap(FILE *file, const struct outcome *outcome);

#endif
