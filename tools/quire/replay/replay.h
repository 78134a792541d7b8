/* SPDX-License-Identifier: MIT */
/* replay.h - the parsed command line of `quire replay` */
#ifndef QUIRE_TOOL_REPLAY_H
#define QUIRE_TOOL_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/command.h"

struct replay_request {
	bool threads;
	bool ablates;	  /* print what each rule of per-CPU placement is worth, and no more */
	bool is_series;	  /* print per-CPU memory over time, and no more */
	bool is_unfilled; /* blocks are neither filled nor compared */
	bool has_sides;	  /* A against B, and no more */
	const char *json;
	char conf[512]; /* of --conf, --placement and --depopulate; empty if there are none */
	char side_confs[2][512]; /* of -a and -b, over the conf */
	bool depopulates;	 /* unless the conf says otherwise */
	unsigned kinds;		 /* a bit each of enum katr_kind */
	char **paths;
	unsigned paths_nr;
};

struct plan;

/* ablation.c: what each rule of per-CPU placement is worth. */
enum exit_status ablation_print(const struct replay_request *request, const struct plan *plans,
				unsigned plans_nr);
/* series.c: per-CPU memory over time, as CSV. */
enum exit_status series_print(const struct replay_request *request, const struct plan *plan);
/* sides.c: two configurations on the same traces, side by side. */
enum exit_status sides_print(const struct replay_request *request, const struct plan *plans,
			     unsigned plans_nr);
extern const struct option_row replay_rows[];
/* replay_arguments.c: true to go on; otherwise the command ends with *@status, and said why. */
bool replay_parse(struct replay_request *request, int argc, char **argv, enum exit_status *status);
/* "page or vmap": the kinds @wanted of a request, joined by @word. */
void replay_describe_kinds(unsigned wanted, const char *word, char *text, size_t text_bytes);

#endif
