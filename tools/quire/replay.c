/* SPDX-License-Identifier: MIT */
/*
 * replay.c - quire replay: a recorded kernel's page allocations, served by Quire and checked
 *
 * All traces are read, and refused if need be, before anything is allocated or written.  Each is
 * then replayed once with every block filled and checked, and a few times more for the time alone.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "engine.h"
#include "outcome.h"
#include "plan.h"

/* An odd number, for the median: one pass that the system disturbed does not count. */
#define TIMING_PASSES 5

struct request {
	bool threads;
	const char *json;
	const char *conf;
	char **paths;
	unsigned paths_nr;
};

static void print_usage(FILE *file)
{
	fprintf(file,
		"usage: quire replay [--threads] [--json FILE] [--conf STRING] [--kind page] "
		"TRACE...\n"
		"\n"
		"Replays the allocations of a recorded kernel (traces/FORMAT.md).  Every block is "
		"filled\n"
		"with a pattern of its own and compared byte by byte when it is freed.  At the end "
		"a table\n"
		"shows our figures beside the kernel's.\n"
		"\n"
		"  --threads      one pinned thread a recorded CPU, with the public calls; without "
		"it one\n"
		"                 thread acts for each CPU in turn, and the figures are the same "
		"each time\n"
		"  --json FILE    the same for machines; FILE appears only when all is done\n"
		"  --conf STRING  options of the instance, as in QUIRE_CONF: \"limit:2g,zones:2\"\n"
		"  --kind page    which allocations; page is the only kind so far\n"
		"\n"
		"Exit status: 0 all intact; 1 a block was damaged, lost or refused; 2 wrong "
		"arguments,\n"
		"or a file that is truncated, corrupt or no recording.\n");
}

/* ---- arguments ------------------------------------------------------------------------------- */

enum option_value {
	OPTION_THREADS = 256, /* above any letter */
	OPTION_JSON,
	OPTION_CONF,
	OPTION_KIND,
	OPTION_HELP,
};

static const struct option options[] = {
	{ .name = "threads", .has_arg = no_argument, .val = OPTION_THREADS },
	{ .name = "json", .has_arg = required_argument, .val = OPTION_JSON },
	{ .name = "conf", .has_arg = required_argument, .val = OPTION_CONF },
	{ .name = "kind", .has_arg = required_argument, .val = OPTION_KIND },
	{ .name = "help", .has_arg = no_argument, .val = OPTION_HELP },
	{ .name = NULL },
};

static void refuse_option(const char *argument)
{
	static const char *const names[] = { "--threads", "--json", "--conf",
					     "--kind",	  "--help", NULL };
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument, "="), argument);
	fprintf(stderr, "quire replay: wrong use of '%s'; the nearest option is '%s'\n", argument,
		command_nearest(name, names));
}

static void refuse_without_value(const char *argument)
{
	fprintf(stderr, "quire replay: '%s' needs a value\n", argument);
}

static bool is_kind_known(const char *kind)
{
	if (strcmp(kind, "page") == 0)
		return true;
	fprintf(stderr, "quire replay: kind '%s' cannot be replayed; 'page' can\n", kind);
	return false;
}

/* 1 to go on; otherwise the command ends with *@status. */
static int parse_arguments(struct request *request, int argc, char **argv, enum exit_status *status)
{
	int value;

	*status = EXIT_USAGE;
	optind = 0; /* glibc: forget an earlier scan */
	opterr = 0;
	while ((value = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (value == OPTION_HELP) {
			print_usage(stdout);
			*status = EXIT_OK;
			return 0;
		}
		if (value == '?' || value == ':') {
			if (value == ':')
				refuse_without_value(argv[optind - 1]);
			else
				refuse_option(argv[optind - 1]);
			return 0;
		}
		if (value == OPTION_KIND && !is_kind_known(optarg))
			return 0;
		if (value == OPTION_THREADS)
			request->threads = true;
		if (value == OPTION_JSON)
			request->json = optarg;
		if (value == OPTION_CONF)
			request->conf = optarg;
	}
	request->paths = argv + optind;
	request->paths_nr = (unsigned)(argc - optind);
	if (request->paths_nr > 0)
		return 1;
	fprintf(stderr, "quire replay: name at least one trace; `quire replay --help` says more\n");
	return 0;
}

/* ---- passes ---------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median nanoseconds an operation of several passes that fill nothing; negative: @error is filled.
 */
static double time_passes(struct engine *engine, char *error, size_t error_bytes)
{
	double operations = (double)plan_operations(engine->plan);
	double ns[TIMING_PASSES];

	engine->checks = false;
	for (unsigned i = 0; i < TIMING_PASSES; i++) {
		struct engine_result result;
		int failed = engine_run(engine, &result);

		snprintf(error, error_bytes, "%s", result.error);
		ns[i] = (double)result.busy_ns / operations;
		engine_result_fini(&result);
		if (failed)
			return -1;
	}
	qsort(ns, TIMING_PASSES, sizeof(ns[0]), compare_doubles);
	return ns[TIMING_PASSES / 2];
}

static int time_allocator(struct engine *engine, struct outcome *outcome, char *error,
			  size_t error_bytes)
{
	double all_ns = time_passes(engine, error, error_bytes);
	double loop_ns;

	if (all_ns < 0)
		return -1;
	engine->target = &target_nothing;
	loop_ns = time_passes(engine, error, error_bytes);
	if (loop_ns < 0)
		return -1;
	outcome->timing_passes = TIMING_PASSES;
	outcome->loop_ns_per_operation = loop_ns;
	outcome->ns_per_operation = all_ns > loop_ns ? all_ns - loop_ns : 0;
	return 0;
}

/* Replays one trace: 0, or -1 after saying what went wrong. */
static int replay(const struct request *request, const struct plan *plan, struct outcome *outcome)
{
	struct progress progress = { .name = NULL };
	struct engine engine = {
		.plan = plan,
		.target = request->threads ? &target_public : &target_by_number,
		.conf = request->conf,
		.threads = request->threads,
		.checks = true,
		.progress = &progress,
	};
	char error[sizeof(outcome->checked.error)];
	int result;

	*outcome = (struct outcome){ .plan = plan, .threads = request->threads };
	progress_begin(&progress, plan->path, plan->steps_nr);
	result = engine_run(&engine, &outcome->checked);
	progress_end(&progress);
	snprintf(error, sizeof(error), "%s", outcome->checked.error);
	if (result == 0)
		result = time_allocator(&engine, outcome, error, sizeof(error));
	if (result != 0)
		fprintf(stderr, "quire replay: %s: %s\n", plan->path, error);
	return result;
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum exit_status write_json(const struct request *request, const struct outcome *outcomes,
				   unsigned outcomes_nr)
{
	int result = json_write(request->json, outcomes, outcomes_nr);

	if (result == 0)
		return EXIT_OK;
	fprintf(stderr, "quire replay: %s: %s\n", request->json, strerror(-result));
	return EXIT_FOUND;
}

static enum exit_status replay_plans(const struct request *request, const struct plan *plans)
{
	struct outcome *outcomes = calloc(request->paths_nr, sizeof(outcomes[0]));
	enum exit_status status = outcomes != NULL ? EXIT_OK : EXIT_FOUND;

	for (unsigned i = 0; i < request->paths_nr && status == EXIT_OK; i++) {
		if (replay(request, &plans[i], &outcomes[i]) != 0)
			status = EXIT_FOUND;
		else
			report_print(&outcomes[i], stdout);
		if (status == EXIT_OK && i + 1 < request->paths_nr)
			printf("\n");
	}
	if (fflush(stdout) != 0 && status == EXIT_OK)
		status = EXIT_FOUND;
	if (status == EXIT_OK && request->json != NULL)
		status = write_json(request, outcomes, request->paths_nr);
	for (unsigned i = 0; outcomes != NULL && i < request->paths_nr; i++)
		engine_result_fini(&outcomes[i].checked);
	free(outcomes);
	return status;
}

/* How many plans were read before one was refused; the caller's to fini. */
static unsigned read_plans(const struct request *request, struct plan *plans)
{
	char error[512];

	for (unsigned i = 0; i < request->paths_nr; i++) {
		if (plan_read(&plans[i], request->paths[i], error, sizeof(error)) != 0) {
			fprintf(stderr, "quire replay: %s\n", error);
			return i;
		}
	}
	return request->paths_nr;
}

/* A wrong --conf is wrong use: it is refused before anything is read. */
static bool is_conf_right(const char *conf)
{
	static const char prefix[] = "quire: ";
	struct quire_options parsed = { .cpus = 0 };
	char error[256];
	size_t skipped = 0;

	if (conf == NULL || quire_options_parse(conf, &parsed, error, sizeof(error)) == 0)
		return true;
	if (strncmp(error, prefix, strlen(prefix)) == 0)
		skipped = strlen(prefix);
	fprintf(stderr, "quire replay: --conf: %s\n", error + skipped);
	return false;
}

static enum exit_status run(int argc, char **argv)
{
	struct request request = { .threads = false };
	enum exit_status status;
	struct plan *plans;
	unsigned plans_nr;

	if (!parse_arguments(&request, argc, argv, &status))
		return status;
	if (!is_conf_right(request.conf))
		return EXIT_USAGE;
	plans = calloc(request.paths_nr, sizeof(plans[0]));
	if (plans == NULL)
		return EXIT_FOUND;
	plans_nr = read_plans(&request, plans);
	status = EXIT_USAGE;
	if (plans_nr == request.paths_nr)
		status = replay_plans(&request, plans);
	for (unsigned i = 0; i < plans_nr; i++)
		plan_fini(&plans[i]);
	free(plans);
	return status;
}

const struct command command_replay = {
	.name = "replay",
	.summary = "replay a recorded kernel's page allocations, checked byte by byte",
	.run = run,
};
