/* SPDX-License-Identifier: MIT */
/*
 * replay.c - quire replay: a recorded kernel's allocations, served by Quire and checked
 *
 * All traces are read, and refused if need be, before anything is allocated or written.  Each kind
 * of allocation that a trace holds is then replayed once, in an instance of its own, with every
 * block filled and checked, and a few times more for the time alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/command.h"
#include "replay/engine.h"
#include "replay/outcome.h"
#include "replay/passes.h"
#include "replay/plan.h"
#include "replay/replay.h"

/* The same once more with depopulation off, for the column beside it. */
static int compare_depopulation(struct engine *engine, struct outcome *outcome, char *error,
				size_t error_bytes)
{
	const char *conf = engine->conf;
	char off[sizeof(((struct replay_request *)NULL)->conf) + sizeof(",depopulate:off")];
	int result;

	snprintf(off, sizeof(off), "%s%sdepopulate:off", conf != NULL ? conf : "",
		 conf != NULL ? "," : "");
	engine->conf = off;
	result = engine_run(engine, &outcome->kept);
	engine->conf = conf;
	outcome->has_kept = true;
	snprintf(error, error_bytes, "with depopulate:off: %s", outcome->kept.error);
	return result;
}

/* Replays one trace: 0, or -1 after saying what went wrong. */
static int replay(const struct replay_request *request, const struct plan *plan,
		  struct outcome *outcome)
{
	struct progress progress = { .name = NULL };
	struct engine engine = passes_engine(request, plan, request->conf, &progress);
	char error[sizeof(outcome->checked.error)];
	int result;

	*outcome = (struct outcome){ .plan = plan, .threads = request->threads };
	progress_begin(&progress, plan->path, plan->steps_nr);
	result = engine_run(&engine, &outcome->checked);
	progress_end(&progress);
	snprintf(error, sizeof(error), "%s", outcome->checked.error);
	if (result == 0 && plan->kind == KATR_PERCPU && request->depopulates)
		result = compare_depopulation(&engine, outcome, error, sizeof(error));
	if (result == 0)
		result = passes_time(&engine, outcome, 1, error, sizeof(error));
	if (result != 0)
		fprintf(stderr, "quire replay: %s: %s\n", plan->path, error);
	return result;
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum exit_status write_json(const struct replay_request *request,
				   const struct outcome *outcomes, unsigned outcomes_nr)
{
	int result = json_write(request->json, outcomes, outcomes_nr);

	if (result == 0)
		return EXIT_OK;
	fprintf(stderr, "quire replay: %s: %s\n", request->json, strerror(-result));
	return EXIT_UNWRITTEN;
}

/* The plans to replay: one for each kind that a trace contains. */
struct plans {
	struct plan *plans;
	unsigned nr;
};

static enum exit_status replay_plans(const struct replay_request *request,
				     const struct plans *plans)
{
	struct outcome *outcomes = calloc(plans->nr, sizeof(outcomes[0]));
	enum exit_status status = outcomes != NULL ? EXIT_OK : command_no_memory("replay");

	for (unsigned i = 0; i < plans->nr && status == EXIT_OK; i++) {
		if (replay(request, &plans->plans[i], &outcomes[i]) != 0)
			status = EXIT_FOUND;
		else
			report_print(&outcomes[i], stdout);
		outcomes[i].is_further = i > 0 && plans->plans[i].path == plans->plans[i - 1].path;
		if (status == EXIT_OK && i + 1 < plans->nr)
			printf("\n");
	}
	if (status == EXIT_OK && request->json != NULL)
		status = write_json(request, outcomes, plans->nr);
	for (unsigned i = 0; outcomes != NULL && i < plans->nr; i++)
		outcome_fini(&outcomes[i]);
	free(outcomes);
	return status;
}

/* Keeps those of the plans from @first on that have allocations. */
static void drop_empty(struct plans *plans, unsigned first, unsigned read_nr)
{
	for (unsigned i = first; i < first + read_nr; i++) {
		if (plans->plans[i].totals.allocs_nr > 0)
			plans->plans[plans->nr++] = plans->plans[i];
		else
			plan_fini(&plans->plans[i]);
	}
}

/* The plans of one trace.  Otherwise one line in @error, and -ENOMEM if memory ran out, or -1. */
static int read_trace(const struct replay_request *request, struct plans *plans, const char *path,
		      char *error, size_t error_bytes)
{
	unsigned before = plans->nr, read_nr = 0;
	char names[64];
	unsigned held;
	int result = plan_read_kinds(path, &held, error, error_bytes);

	if (result != 0)
		return result;
	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++)
		if ((held & request->kinds & 1u << kind) != 0)
			plans->plans[before + read_nr++] =
				(struct plan){ .path = path, .kind = (enum katr_kind)kind };
	if (read_nr > 0)
		result = plan_read_all(&plans->plans[before], read_nr, error, error_bytes);
	if (result != 0)
		return result;
	drop_empty(plans, before, read_nr);
	if (plans->nr > before)
		return 0;
	replay_describe_kinds(request->kinds, "or", names, sizeof(names));
	snprintf(error, error_bytes, "%s: holds no %s allocations", path, names);
	return -1;
}

/* Reads the plans, and prints what is wrong if that fails; in both cases the caller ends @plans. */
static enum exit_status read_plans(const struct replay_request *request, struct plans *plans)
{
	char error[512];

	for (unsigned i = 0; i < request->paths_nr; i++) {
		int result = read_trace(request, plans, request->paths[i], error, sizeof(error));

		if (result != 0) {
			fprintf(stderr, "quire replay: %s\n", error);
			return result == -ENOMEM ? EXIT_FOUND : EXIT_USAGE;
		}
	}
	return EXIT_OK;
}

static enum exit_status run(int argc, char **argv)
{
	struct replay_request request = { .threads = false };
	enum exit_status status;
	struct plans plans = { .nr = 0 };

	if (!replay_parse(&request, argc, argv, &status))
		return status;
	plans.plans = calloc((size_t)request.paths_nr * KATR_KINDS_NR, sizeof(plans.plans[0]));
	if (plans.plans == NULL)
		return command_no_memory("replay");
	status = read_plans(&request, &plans);
	if (status == EXIT_OK)
		status = request.ablates     ? ablation_print(&request, plans.plans, plans.nr)
			 : request.is_series ? series_print(&request, &plans.plans[0])
			 : request.has_sides ? sides_print(&request, plans.plans, plans.nr)
					     : replay_plans(&request, &plans);
	for (unsigned i = 0; i < plans.nr; i++)
		plan_fini(&plans.plans[i]);
	free(plans.plans);
	return status;
}

const struct command command_replay = {
	.name = "replay",
	.summary = "replay a recorded kernel's allocations, checked byte by byte",
	.synopsis = "quire replay [OPTION...] TRACE...\n"
		    "quire replay -a STRING -b STRING [OPTION...] TRACE...\n"
		    "quire replay --ablate | --series [--conf STRING] TRACE...",
	.about = "Replays the allocations of a recorded kernel (traces/FORMAT.md).  Each block is\n"
		 "filled with a pattern and compared byte by byte when it is freed; then a table\n"
		 "shows our figures beside the kernel's.  TRACE: a file, a pipe, or -.",
	.options = replay_rows,
	.exit_statuses =
		"Exit status: 0 all intact; 1 a block was damaged, lost or refused, or there was\n"
		"no memory; 2 wrong arguments, or no whole recording; 3 some output could not be\n"
		"written.",
	.run = run,
};
