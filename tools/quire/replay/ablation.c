/* SPDX-License-Identifier: MIT */
/*
 * ablation.c - quire replay --ablate: the effect of each rule of per-CPU placement
 *
 * Each trace is replayed once per column, checked like any replay, with the feature in the
 * heading disabled by an option; the last column uses Linux's placement.  Marks at which the
 * kernel held less than a quarter of its maximum are omitted: too little is placed there.  The
 * table is Markdown; docs/percpu.md contains it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/engine.h"
#include "common/output.h"
#include "replay/outcome.h"
#include "replay/replay.h"
#include "replay/report_text.h"

static const struct column {
	const char *heading;
	const char *conf;
} columns[] = {
	{ "all rules", "" },
	{ "without apart", "placement_without:apart" },
	{ "gaps", "placement_without:gaps" },
	{ "slivers", "placement_without:slivers" },
	{ "time", "placement_without:time" },
	{ "holes", "placement_without:holes" },
	{ "across", "placement_without:across" },
	{ "stacks", "cache:off" },
	{ "depopulation", "depopulate:off" },
	{ "first fit", "placement:linux" },
};
#define COLUMNS_NR (sizeof(columns) / sizeof(columns[0]))

static void print_head(void)
{
	printf("| kB populated | live data | Linux |");
	for (size_t i = 0; i < COLUMNS_NR; i++)
		printf(" %s |", columns[i].heading);
	printf("\n|---|---|---|");
	for (size_t i = 0; i < COLUMNS_NR; i++)
		printf("---|");
	printf("\n");
}

/* "traces/percpu-mixed-dev.katr.zst" -> "percpu-mixed-dev". */
static int print_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	return printf("| %.*s: ", (int)strcspn(name, "."), name);
}

static uint64_t kernel_kB_most(const struct plan *plan)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < plan->marks_nr; i++)
		if (plan->marks[i].kernel.percpu.populated_kB > most)
			most = plan->marks[i].kernel.percpu.populated_kB;
	return most;
}

static void print_marks(const struct plan *plan, const struct engine_result *results)
{
	uint64_t least = kernel_kB_most(plan) / 4;

	for (uint32_t i = 0; i < plan->marks_nr; i++) {
		const struct plan_mark *mark = &plan->marks[i];

		if (mark->kernel.percpu.populated_kB < least)
			continue;
		print_name(plan->path);
		printf("%s | %s | %s |", mark->name,
		       number_grouped(outcome_live_kB(plan, mark)).text,
		       number_grouped(mark->kernel.percpu.populated_kB).text);
		for (size_t column = 0; column < COLUMNS_NR; column++)
			printf(" %s |",
			       number_grouped(results[column].marks[i].objects.percpu.populated_kB)
				       .text);
		printf("\n");
	}
	(void)output_flush("quire replay"); /* the status is main()'s */
}

/* One replay; 0, or -1 after saying what went wrong. */
static int run_column(const struct replay_request *request, const struct plan *plan,
		      const struct column *column, struct engine_result *result)
{
	char conf[sizeof(request->conf) + 64];
	struct progress progress = { .name = NULL };
	struct engine engine = {
		.plan = plan,
		.target = &target_by_number,
		.object_target = &object_target_percpu,
		.conf = conf,
		.checks = true,
		.progress = &progress,
	};
	int failed;

	snprintf(conf, sizeof(conf), "%s%s%s", request->conf,
		 request->conf[0] != '\0' && column->conf[0] != '\0' ? "," : "", column->conf);
	progress_begin(&progress, plan->path, plan->steps_nr);
	failed = engine_run(&engine, result);
	progress_end(&progress);
	if (failed)
		fprintf(stderr, "quire replay: %s: %s: %s\n", plan->path, column->heading,
			result->error);
	return failed;
}

enum exit_status ablation_print(const struct replay_request *request, const struct plan *plans,
				unsigned plans_nr)
{
	enum exit_status status = EXIT_OK;

	print_head();
	for (unsigned i = 0; i < plans_nr && status == EXIT_OK; i++) {
		struct engine_result results[COLUMNS_NR] = { { .marks = NULL } };

		for (size_t column = 0; column < COLUMNS_NR && status == EXIT_OK; column++)
			if (run_column(request, &plans[i], &columns[column], &results[column]) != 0)
				status = EXIT_FOUND;
		if (status == EXIT_OK)
			print_marks(&plans[i], results);
		for (size_t column = 0; column < COLUMNS_NR; column++)
			engine_result_fini(&results[column]);
	}
	return status;
}
