/* SPDX-License-Identifier: MIT */
/*
 * quire-explore - runs scenarios under many interleavings (`quire explore` starts this program)
 *
 * Exit status: 0 nothing found, 1 a finding, 2 wrong usage, 3 output could not be written.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/beside.h"
#include "common/command.h"
#include "common/output.h"
#include "counterexample.h"
#include "tables.h"

/* The option that a changed core came from: for the command that repeats a finding. */
#define PATCH_VARIABLE "QUIRE_EXPLORE_PATCH"
/* The file from outside the tree whose scenarios are meant where none is named. */
#define FILE_VARIABLE  "QUIRE_EXPLORE_FILE"

/* What is watched in every scenario unless --watch says something else: it costs about half of the speed, and
 * most of what a missing lock or barrier leaves behind is a race long before it is a wrong value. */
#define WATCH_DEFAULT SIM_RACE

/* ---- one scenario --------------------------------------------------------------------------- */

#define RUNS 50000u /* of a scenario, if nobody says otherwise */

struct explore_request request_for(const struct arguments *args, const struct sim_test *test)
{
	struct explore_request request = args->request;

	request.test = test;
	request.options = explore_options(test);
	if (args->said_cpus && args->request.options.cpus_nr >= request.options.cpus_nr)
		request.options.cpus_nr = args->request.options.cpus_nr;
	if (args->said_model && !test->keep_model)
		request.options.model = args->request.options.model;
	if (args->said_tlb)
		request.options.tlb = args->request.options.tlb;
	if (args->said_seed)
		request.options.seed = args->request.options.seed;
	if (test->expect == NULL) /* a checker's test asks for what it needs */
		request.options.events |= args->said_watch ? args->watch : WATCH_DEFAULT;
	if (!args->said_scheduler && args->replay == NULL) {
		request.strategy = test->explore == SIM_ALL_SCHEDULES ? STRATEGY_ALL : STRATEGY_MIX;
		request.depth = test->preempt_max;
	}
	if (request.runs == 0 && request.seconds == 0)
		request.runs = request.strategy == STRATEGY_ALL ? 2000000 : RUNS;
	/* It ends with what is expected, which a thousand random runs may miss. */
	if (test->expect != NULL && args->replay == NULL && request.seconds == 0 &&
	    request.runs < RUNS)
		request.runs = RUNS;
	return request;
}

static bool is_expected(const struct explore_request *request, const struct explore_result *result)
{
	const char *expect = request->test->expect;

	if (result->not_entered != NULL)
		return false;
	if (expect == NULL)
		return !result->failure.found;
	return result->failure.found && strcmp(result->failure.rule, expect) == 0;
}

static const char *strategy_text(const struct explore_request *request, char *text, size_t bytes)
{
	switch (request->strategy) {
	case STRATEGY_PCT:
		snprintf(text, bytes, "pct:%u", request->depth);
		break;
	case STRATEGY_ALL:
		snprintf(text, bytes, "all:%u", request->depth);
		break;
	case STRATEGY_REPLAY:
		snprintf(text, bytes, "replay");
		break;
	case STRATEGY_MIX:
		snprintf(text, bytes, "mix");
		break;
	default:
		snprintf(text, bytes, "random");
	}
	return text;
}

static void show_plateau(const struct explore_result *result)
{
	if (result->marks_nr < 2)
		return;
	printf("    distinct after runs:");
	for (unsigned i = 0; i < result->marks_nr; i++)
		printf(" %llu/%llu", (unsigned long long)result->mark_distinct[i],
		       (unsigned long long)result->mark_runs[i]);
	printf("\n");
}

static void show_line(const struct explore_request *request, const struct explore_result *result)
{
	char strategy[24];
	double rate = result->cpu_seconds > 0 ? (double)result->runs / result->cpu_seconds : 0;

	printf("%-44s %-8s %9llu runs %8llu distinct %7.2f s %8.0f/s %5.0f points%s",
	       request->test->name, strategy_text(request, strategy, sizeof(strategy)),
	       (unsigned long long)result->runs, (unsigned long long)result->distinct,
	       result->seconds, rate,
	       result->runs != 0 ? (double)result->steps / (double)result->runs : 0.0,
	       result->complete ? "  all" : "");
	if (request->strategy == STRATEGY_PCT)
		printf("  p >= %.2g a run", result->pct_bound);
	if (request->test->expect != NULL && result->failure.found)
		printf("  found: %s", result->failure.rule);
	printf("\n");
}

static void show_watch(unsigned events)
{
	if (!(events & (SIM_RACE | SIM_MEMORY | SIM_PLAIN)))
		printf(" --watch none");
	else
		printf(" --watch %s%s%s", events & SIM_RACE ? "race," : "",
		       events & SIM_MEMORY ? "memory," : "", events & SIM_PLAIN ? "plain," : "");
}

static void show_replay(const struct explore_request *request, const struct explore_result *result)
{
	printf("\n  seed %llu; replay with\n    quire explore %s --seed %llu",
	       (unsigned long long)result->failing_seed, request->test->name,
	       (unsigned long long)request->options.seed);
	if (getenv(PATCH_VARIABLE) != NULL)
		printf(" %s", getenv(PATCH_VARIABLE));
	if (request->options.cpus_nr != explore_options(request->test).cpus_nr)
		printf(" --cpus %u", request->options.cpus_nr);
	if (request->options.model != request->test->model)
		printf(" --model %s", model_words[request->options.model]);
	if (request->options.tlb != request->test->tlb)
		printf(" --tlb %s", request->options.tlb == SIM_TLB_X86 ? "x86" : "mips");
	if (request->test->expect == NULL &&
	    request->options.events != (request->test->events | WATCH_DEFAULT))
		show_watch(request->options.events);
	printf(" --replay %s", result->deviations_nr == 0 ? "none" : "");
	if (result->deviations_nr > 500) {
		printf("(%u choices: too many to show)\n\n", result->deviations_nr);
		return;
	}
	for (unsigned i = 0; i < result->deviations_nr; i++)
		printf("%s%u:%u:%s:%u", i ? "," : "", result->deviations[i].task,
		       result->deviations[i].step, action_words[result->deviations[i].action.kind],
		       result->deviations[i].action.arg);
	printf("\n\n");
}

struct explore_result outcome;

static bool unwritten; /* the page of a finding */

/* A page is of one finding, the first. */
static bool takes_page(const struct arguments *args, const struct sim_test *test)
{
	static bool has_one;

	if (args->html == NULL)
		return false;
	if (has_one) {
		fprintf(stderr, "quire explore: %s has the first finding, not that of %s\n",
			args->html, test->name);
		return false;
	}
	has_one = true;
	return true;
}

static void write_report(const struct arguments *args, const struct sim_test *test)
{
	struct output output = { .file = NULL };
	bool page = takes_page(args, test);
	int error = -ENOMEM;

	if (page)
		(void)output_begin(&output);
	counterexample_report(&outcome, test, getenv(PATCH_VARIABLE), output.file);
	if (output.file != NULL)
		error = output_end(&output, args->html);
	if (!page || error == 0)
		return;
	fprintf(stderr, "quire explore: %s: %s\n", args->html, strerror(-error));
	unwritten = true;
}

/* True if all is as it should be. */
bool run_request(const struct arguments *args, struct explore_request *request)
{
	const struct sim_test *test = request->test;
	bool expected;

	request->count_distinct = !request->quiet;
	explore(request, &outcome);
	expected = is_expected(request, &outcome) && args->replay == NULL;
	if (!request->quiet || !expected)
		show_line(request, &outcome);
	if (!outcome.failure.found && !request->quiet)
		show_plateau(&outcome);
	if (expected)
		return true;
	if (outcome.not_entered != NULL) {
		printf("  never entered: %s\n", outcome.not_entered);
		return false;
	}
	if (!outcome.failure.found) {
		if (args->replay == NULL)
			printf("  not found: %s\n", test->expect);
		return test->expect == NULL;
	}
	if (request->brief) {
		printf("  broken: %s\n", outcome.failure.rule);
		return false;
	}
	explore_trace(&outcome);
	write_report(args, test);
	show_replay(request, &outcome);
	return false;
}

static bool run_test(const struct arguments *args, const struct sim_test *test)
{
	struct explore_request request = request_for(args, test);
	bool fine = run_request(args, &request);

	(void)output_flush("quire explore"); /* as it comes; the status is main()'s */
	return fine;
}

/* ---- a changed core ------------------------------------------------------------------------- */

#define PATCHER "quire-mutants"

/* Compiles the changed core, or a scenario from outside, into another program like this one, which runs with what
 * else was said.  The patcher is beside this program where that was built, and has a folder where it is installed. */
static int run_patched(char **argv)
{
	char path[PATH_MAX];

	if (beside_path(path, sizeof(path), PATCHER))
		execv(path, argv);
	if (QUIRE_EXPLORE_KIT[0] == '/')
		execv(QUIRE_EXPLORE_KIT "/" PATCHER, argv);
	else if (beside_path(path, sizeof(path), QUIRE_EXPLORE_KIT "/" PATCHER))
		execv(path, argv);
	fprintf(stderr, "quire explore: no %s beside this program, nor in %s\n", PATCHER,
		QUIRE_EXPLORE_KIT);
	return EXIT_USAGE;
}

/* ---- all ------------------------------------------------------------------------------------ */

/* Where none is named: all of the tree's, or all of the file's from outside. */
static bool is_meant(const struct sim_test *test)
{
	const char *file = getenv(FILE_VARIABLE);

	return file == NULL || strcmp(test->file, file) == 0;
}

static bool list_tests(void)
{
	for (const struct sim_test *const *t = all_tests(); *t != NULL; t++)
		if (is_meant(*t))
			puts((*t)->name);
	return true;
}

static bool run_all(const struct arguments *args, int argc, char **argv)
{
	bool fine = true;

	if (args->listed)
		return list_tests();
	if (args->scaling_table)
		return scaling_table(args);
	if (args->figures_table)
		return figures_table(args);
	if (args->total != 0)
		return total_runs(args);
	for (int i = optind; i < argc && (fine || !args->request.brief); i++)
		fine = run_test(args, find_test(argv[i])) && fine;
	if (optind != argc)
		return fine;
	for (const struct sim_test *const *t = all_tests(); *t != NULL; t++) {
		if (!fine && args->request.brief)
			break;
		if (is_meant(*t))
			fine = run_test(args, *t) && fine;
	}
	return fine;
}

int main(int argc, char **argv)
{
	struct arguments args = { .request = { .progress = false } };
	int status;

	output_init();
	parse_arguments(&args, argc, argv);
	if (args.patched)
		return run_patched(argv);
	arena_init();
	scene_catch_signals();
	args.request.progress = isatty(2);
	status = run_all(&args, argc, argv) ? EXIT_OK : EXIT_FOUND;
	return output_exit("quire explore", unwritten ? EXIT_UNWRITTEN : status);
}
