/* SPDX-License-Identifier: MIT */
/* arguments.c - the command line of quire-explore */
#include "arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arguments.h"
#include "common/output.h"
#include "options.h"

_Noreturn void wrong(const char *what, const char *value)
{
	fprintf(stderr, "quire explore: %s%s%s\n", what, value ? ": " : "", value ? value : "");
	exit(2);
}

extern const struct sim_test *const __start_sim_tests[];
extern const struct sim_test *const __stop_sim_tests[];

#define TESTS_MAX 2048

static int by_place(const void *left, const void *right)
{
	const struct sim_test *a = *(const struct sim_test *const *)left;
	const struct sim_test *b = *(const struct sim_test *const *)right;
	int order = strcmp(a->file, b->file);

	return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* The linker gathers them, in an order of its own. */
const struct sim_test *const *all_tests(void)
{
	static const struct sim_test *tests[TESTS_MAX + 1];
	size_t nr = (size_t)(__stop_sim_tests - __start_sim_tests);

	if (tests[0] != NULL)
		return tests;
	if (nr > TESTS_MAX)
		wrong("more scenarios than there is room for", NULL);
	memcpy(tests, __start_sim_tests, nr * sizeof(tests[0]));
	qsort(tests, nr, sizeof(tests[0]), by_place);
	return tests;
}

/* ---- names ---------------------------------------------------------------------------------- */

bool same_name(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if (*a != *b && !((*a == '-' && *b == '_') || (*a == '_' && *b == '-')))
			return false;
	return *a == *b;
}

const struct sim_test *find_test(const char *name)
{
	const char *names[TESTS_MAX + 1];
	unsigned nr = 0;

	for (const struct sim_test *const *t = all_tests(); *t != NULL; t++) {
		if (same_name(name, (*t)->name))
			return *t;
		names[nr++] = (*t)->name;
	}
	names[nr] = NULL;
	fprintf(stderr, "quire explore: no scenario '%s'; the nearest is '%s'\n", name,
		command_nearest(name, names));
	exit(2);
}

/* ---- options -------------------------------------------------------------------------------- */

static uint64_t number(const char *text, uint64_t max, const char *what)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (*text == '\0' || *text == '-' || *end != '\0' || value > max)
		wrong(what, text);
	return value;
}

static void parse_scheduler(struct arguments *args, const char *text)
{
	args->said_scheduler = true;
	if (strcmp(text, "mix") == 0) {
		args->request.strategy = STRATEGY_MIX;
	} else if (strcmp(text, "random") == 0) {
		args->request.strategy = STRATEGY_RANDOM;
	} else if (strncmp(text, "pct:", 4) == 0) {
		args->request.strategy = STRATEGY_PCT;
		args->request.depth = (unsigned)number(text + 4, 8, "--scheduler pct:1..8");
		if (args->request.depth == 0)
			wrong("--scheduler pct:1..8", text);
	} else if (strncmp(text, "all:", 4) == 0) {
		args->request.strategy = STRATEGY_ALL;
		args->request.depth = (unsigned)number(text + 4, 64, "--scheduler all:0..64");
	} else {
		wrong("--scheduler is mix, random, pct:D or all:B", text);
	}
}

static unsigned one_of(const char *text, const char *const *words, const char *what)
{
	for (unsigned i = 0; words[i] != NULL; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	wrong(what, text);
}

/* Words separated by commas; a comma may end the list, as in the command that replays a finding. */
static unsigned parse_watch(const char *value)
{
	static const char *const words[] = { "race", "memory", "plain", "none", NULL };
	static const unsigned events[] = { SIM_RACE, SIM_MEMORY, SIM_PLAIN, 0 };
	unsigned watch = 0;
	char text[64];

	snprintf(text, sizeof(text), "%s", value);
	for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ","))
		watch |= events[one_of(word, words, "--watch is race, memory, plain or none")];
	return watch;
}

const char *const action_words[ACTION_KINDS_NR + 1] = {
	[ACT_CONTINUE] = "continue", [ACT_SWITCH] = "switch", [ACT_IRQ] = "irq",
	[ACT_MIGRATE] = "migrate",   [ACT_ABORT] = "abort",   [ACT_DRAIN] = "drain",
	[ACT_TRYFAIL] = "tryfail",   [ACT_REFUSE] = "refuse", [ACT_LATE] = "late",
	[ACT_ORDER] = "order",
};

/* "TASK:STEP:ACTION:ARG" separated by commas or blanks. */
static unsigned parse_deviations(char *text, struct deviation *list)
{
	unsigned nr = 0;

	for (char *word = strtok(text, ", \n"); word != NULL; word = strtok(NULL, ", \n")) {
		unsigned task, step, arg;
		char action[16];

		if (sscanf(word, "%u:%u:%15[a-z]:%u", &task, &step, action, &arg) != 4 ||
		    task >= TASKS_MAX || nr == DEVIATIONS_MAX)
			wrong("not a choice of a schedule (TASK:STEP:ACTION:ARG)", word);
		list[nr++] = (struct deviation){
			.task = (uint8_t)task,
			.step = step,
			.action = { (uint8_t)one_of(action, action_words, "not an action"),
				    (uint16_t)arg },
		};
	}
	return nr;
}

static void read_replay(struct arguments *args)
{
	static struct deviation list[DEVIATIONS_MAX];
	static char text[DEVIATIONS_MAX * 24];
	FILE *file = fopen(args->replay, "r");

	if (file != NULL) {
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
	} else if (strchr(args->replay, ':') != NULL || strcmp(args->replay, "none") == 0) {
		snprintf(text, sizeof(text), "%s",
			 strcmp(args->replay, "none") ? args->replay : "");
	} else {
		wrong("cannot read", args->replay);
	}
	args->request.strategy = STRATEGY_REPLAY;
	args->request.replay = list;
	args->request.replay_nr = parse_deviations(text, list);
}

const char *const model_words[] = {
	[SIM_SC] = "sc", [SIM_TSO] = "tso", [SIM_PSO] = "pso", [SIM_ARM] = "arm", NULL,
};

static void machine_option(struct arguments *args, unsigned option, const char *value)
{
	static const char *const tlbs[] = { "mips", "x86", NULL };
	struct sim_options *options = &args->request.options;

	switch (option) {
	case EXPLORE_CPUS:
		options->cpus_nr = (unsigned)number(value, 64, "--cpus is 1 to 64");
		if (options->cpus_nr == 0)
			wrong("--cpus is 1 to 64", value);
		args->said_cpus = true;
		break;
	case EXPLORE_MODEL:
		options->model = (enum sim_model)one_of(value, model_words,
							"--model is sc, tso, pso or arm");
		args->said_model = true;
		break;
	case EXPLORE_TLB:
		options->tlb = (enum sim_tlb)one_of(value, tlbs, "--tlb is mips or x86");
		args->said_tlb = true;
		break;
	case EXPLORE_SEED:
		options->seed = number(value, UINT64_MAX, "--seed is a number");
		args->said_seed = true;
		break;
	default:
		args->watch |= parse_watch(value);
		args->said_watch = true;
	}
}

static bool parse_option(void *context, unsigned option, const char *value)
{
	struct arguments *args = context;

	switch (option) {
	case EXPLORE_SCHEDULER:
		parse_scheduler(args, value);
		break;
	case EXPLORE_RUNS:
		args->request.runs = number(value, UINT64_MAX, "--runs is a number");
		break;
	case EXPLORE_SECONDS:
		args->request.seconds = (double)number(value, 1000000, "--seconds is a number");
		break;
	case EXPLORE_SCENARIO: /* its names are known when it is compiled */
		args->outside = args->patched = true;
		break;
	case EXPLORE_PATCH: /* which of them, scripts/mutants looks */
	case EXPLORE_MUTANT:
	case EXPLORE_MUTANTS:
	case EXPLORE_LIST_MUTANTS:
		args->patched = true;
		break;
	case EXPLORE_REPLAY:
		args->replay = value;
		break;
	case EXPLORE_HTML:
		args->html = value;
		break;
	case EXPLORE_SCALING:
		args->scaling_table = true;
		break;
	case EXPLORE_FIGURES:
		args->figures_table = true;
		break;
	case EXPLORE_TOTAL:
		args->total = number(value, UINT64_MAX, "--total is a number");
		break;
	case EXPLORE_UNTIL_FOUND:
		args->request.brief = true;
		break;
	case EXPLORE_LIST:
		args->listed = true;
		break;
	default:
		machine_option(args, option, value);
	}
	return true;
}

static const struct command explore_command = {
	.name = "explore",
	.synopsis = EXPLORE_SYNOPSIS,
	.options = explore_rows,
	.exit_statuses = EXPLORE_STATUSES,
};

void parse_arguments(struct arguments *args, int argc, char **argv)
{
	enum exit_status status;

	if (!arguments_take(&explore_command, argc, argv, parse_option, args, &status))
		exit(output_exit("quire explore", (int)status));
	if (args->replay != NULL)
		read_replay(args);
	if (args->replay != NULL && optind + 1 != argc)
		wrong("--replay needs one scenario", NULL);
	for (int i = optind; i < argc && !args->outside; i++)
		find_test(argv[i]);
	if ((optind != argc || args->outside) &&
	    (args->scaling_table || args->figures_table || args->total != 0))
		wrong("a table is about every scenario, not about",
		      args->outside ? "those of a file" : argv[optind]);
}
