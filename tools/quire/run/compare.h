/* SPDX-License-Identifier: MIT */
/* compare.h - quire run --compare */
#ifndef QUIRE_TOOL_RUN_COMPARE_H
#define QUIRE_TOOL_RUN_COMPARE_H

#include "run/preload.h"
#include "run/program.h"
#include "run/run.h"

/* Runs the program without Quire, then with it, and prints its memory over time. */
enum exit_status compare(const struct program *program, const struct run_options *options,
			 struct preload *preload);

#endif
