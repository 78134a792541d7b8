/* SPDX-License-Identifier: MIT */
/*
 * quire-explore - take scenarios through many interleavings (the program behind `quire explore`)
 *
 * Exit status: 0 nothing found, 1 a finding, 2 used wrongly, 3 some output could not be written.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/command.h"
#include "common/output.h"
#include "tables.h"

/* ---- one scenario --------------------------------------------------------------------------- */

struct explore_request request_for(const struct arguments *args, const struct sim_test *test)
{
	struct explore_request request = args->request;

	request.test = test;
	request.options = explore_options(test);
	if (args->said_cpus && args->request.options.cpus_nr >= request.options.cpus_nr)
		request.options.cpus_nr = args->request.options.cpus_nr;
	if (args->said_model)
		request.options.model = args->request.options.model;
	if (args->said_tlb)
		request.options.tlb = args->request.options.tlb;
	if (args->said_seed)
		request.options.seed = args->request.options.seed;
	if (test->expect == NULL) /* a checker's test asks for what it needs */
		request.options.events |= args->watch;
	if (!args->said_scheduler && args->replay == NULL) {
		request.strategy = test->explore == SIM_ALL_SCHEDULES ? STRATEGY_ALL : STRATEGY_MIX;
		request.depth = test->preempt_max;
	}
	if (request.runs == 0 && request.seconds == 0)
		request.runs = request.strategy == STRATEGY_ALL ? 2000000 : 50000;
	return request;
}

static bool is_expected(const struct explore_request *request, const struct explore_result *result)
{
	const char *expect = request->test->expect;

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

static void show_replay(const struct explore_request *request, const struct explore_result *result)
{
	static const char *const models[] = { "sc", "tso", "pso" };

	printf("\n  seed %llu; replay with\n    quire explore %s --seed %llu",
	       (unsigned long long)result->failing_seed, request->test->name,
	       (unsigned long long)request->options.seed);
	if (request->mutant != MUTANT_NONE)
		printf(" --mutant %s", mutant_names[request->mutant]);
	if (request->options.cpus_nr != explore_options(request->test).cpus_nr)
		printf(" --cpus %u", request->options.cpus_nr);
	if (request->options.model != request->test->model)
		printf(" --model %s", models[request->options.model]);
	if (request->options.tlb != request->test->tlb)
		printf(" --tlb %s", request->options.tlb == SIM_TLB_X86 ? "x86" : "mips");
	if (request->options.events & ~request->test->events)
		printf(" --watch %s%s%s", request->options.events & SIM_RACE ? "race," : "",
		       request->options.events & SIM_MEMORY ? "memory," : "",
		       request->options.events & SIM_PLAIN ? "plain," : "");
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

static void write_report(const struct arguments *args, const char *title)
{
	struct output output = { .file = NULL };
	int error = -ENOMEM;

	if (args->html != NULL)
		(void)output_begin(&output);
	report_columns(&outcome, output.file, title);
	if (output.file != NULL)
		error = output_end(&output, args->html);
	if (args->html == NULL || error == 0)
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
	if (!outcome.failure.found) {
		if (args->replay == NULL)
			printf("  not found: %s\n", test->expect);
		return test->expect == NULL;
	}
	explore_trace(request, &outcome);
	write_report(args, test->name);
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

/* ---- mutants ---------------------------------------------------------------------------------- */

static const char *const mutant_scenarios[MUTANTS_END] = {
#define MUTANT_DEF(name, scenario, broken) [MUTANT_##name] = #scenario,
#include "machine/sim/mutants.def"
#undef MUTANT_DEF
};

/* Does the same schedule fail without the mutant?  Then it has caught nothing. */
static bool fails_anyway(const struct explore_request *request)
{
	static struct explore_result without;
	struct explore_request again = *request;

	again.mutant = MUTANT_NONE;
	again.strategy = STRATEGY_REPLAY;
	again.replay = outcome.deviations;
	again.replay_nr = outcome.deviations_nr;
	explore(&again, &without);
	return without.failure.found;
}

static bool catches(const struct arguments *args, const struct sim_test *test, enum mutant mutant)
{
	struct explore_request request = request_for(args, test);

	request.mutant = mutant;
	if (args->request.runs == 0 && args->request.seconds == 0)
		request.runs = 100000;
	explore(&request, &outcome);
	if (test->expect != NULL || !outcome.failure.found || fails_anyway(&request))
		return false;
	printf("%-34s %-44s %8llu runs %6.2f s  %u switches  %s\n", mutant_names[mutant],
	       test->name, (unsigned long long)outcome.failing_run, outcome.seconds,
	       outcome.switches, outcome.failure.rule);
	return true;
}

static bool caught(const struct arguments *args, enum mutant mutant)
{
	const char *hint = mutant_scenarios[mutant];

	for (const struct sim_test *const *t = all_tests(); *t != NULL; t++)
		if (same_name(hint, (*t)->name) && catches(args, *t, mutant))
			return true;
	for (const struct sim_test *const *t = all_tests(); *t != NULL; t++)
		if (!same_name(hint, (*t)->name) && catches(args, *t, mutant))
			return true;
	printf("%-34s SURVIVES\n", mutant_names[mutant]);
	return false;
}

static bool mutants_table(const struct arguments *args)
{
	bool all = true;

	for (unsigned i = 1; i < MUTANTS_END; i++) {
		if (args->request.mutant != MUTANT_NONE && i != args->request.mutant)
			continue;
		if (!caught(args, (enum mutant)i))
			all = false;
		(void)output_flush("quire explore"); /* the status is main()'s */
	}
	return all;
}

static bool run_all(const struct arguments *args, int argc, char **argv)
{
	bool fine = true;

	if (args->mutants_table)
		return mutants_table(args);
	if (args->scaling_table)
		return scaling_table(args);
	if (args->figures_table)
		return figures_table(args);
	if (args->total != 0)
		return total_runs(args);
	for (int i = optind; i < argc; i++)
		fine = run_test(args, find_test(argv[i])) && fine;
	if (optind == argc)
		for (const struct sim_test *const *t = all_tests(); *t != NULL; t++)
			fine = run_test(args, *t) && fine;
	return fine;
}

int main(int argc, char **argv)
{
	struct arguments args = { .request = { .progress = false } };
	int status;

	output_init();
	parse_arguments(&args, argc, argv);
	arena_init();
	scene_catch_signals();
	args.request.progress = isatty(2);
	status = run_all(&args, argc, argv) ? EXIT_OK : EXIT_FOUND;
	return output_exit("quire explore", unwritten ? EXIT_UNWRITTEN : status);
}
