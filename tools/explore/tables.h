/* SPDX-License-Identifier: MIT */
/* tables.h - the tables of quire-explore: how paths scale, figures, runs up to a total */
#ifndef QUIRE_EXPLORE_TABLES_H
#define QUIRE_EXPLORE_TABLES_H

#include "arguments.h"

struct explore_request request_for(const struct arguments *args, const struct sim_test *test);
bool run_request(const struct arguments *args, struct explore_request *request);
extern struct explore_result outcome;

/* True if all is as it should be. */
bool scaling_table(const struct arguments *args);
bool figures_table(const struct arguments *args);
bool total_runs(const struct arguments *args);

#endif
