/* SPDX-License-Identifier: MIT */
/* arguments.c - the command line of quire-explore */
#include "arguments.h"
#include "common/output.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: quire explore [SCENARIO...] [options]\n"
	"Runs scenarios of the simulated machine under many interleavings.\n"
	"\n"
	"  --scheduler mix|random|pct:D|all:B  default: what the scenario asks for\n"
	"  --runs N, --seconds S           how long, for each scenario\n"
	"  --seed K                        of the first run; each run adds one\n"
	"  --cpus N                        CPUs, up to 64; no fewer than the scenario has\n"
	"  --model sc|tso|pso|arm          store buffers; arm: loads that get earlier values, too\n"
	"  --tlb mips|x86                  translations stay, or are evicted often\n"
	"  --watch race,memory,plain       detectors and points besides the scenario's own;\n"
	"                                  race if nothing is said, none switches it off\n"
	"  --scenario FILE.c               the scenarios of a file that is not in the tree\n"
	"  --patch FILE                    with a change to src/ or include/, compiled for it\n"
	"  --mutant M                      the same with tests/mutants/M.patch: one rule broken\n"
	"  --replay FILE|LIST              run one schedule, as printed with a finding\n"
	"  --html FILE                     write the first finding as a page\n"
	"  --mutants                       every mutant against the scenarios, as a table\n"
	"  --scaling                       locks and cache lines moved, an operation, by CPUs\n"
	"  --figures                       each exhausted to 2 preemptions, or 200,000 runs\n"
	"  --total N                       turns of the whole set, until N runs\n"
	"  --until-found                   end at the first finding, and name only its rule\n"
	"  --list, --list-mutants          names, one a line\n";

_Noreturn void wrong(const char *what, const char *value)
{
	fprintf(stderr, "quire explore: %s%s%s\n", what, value ? ": " : "", value ? value : "");
	exit(2);
}

extern const struct sim_test *const __start_sim_tests[];
extern const struct sim_test *const __stop_sim_tests[];

#define TESTS_MAX 1024

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

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance, names cut at 63 characters. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t a_nr = strnlen(a, 63), b_nr = strnlen(b, 63);

	for (unsigned j = 0; j <= b_nr; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a_nr; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b_nr; j++) {
			unsigned up = row[j];

			row[j] = least(up + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
			corner = up;
		}
	}
	return row[b_nr];
}

static const char *nearest(const char *name, const char *best, const char *candidate)
{
	return best == NULL || distance(name, candidate) < distance(name, best) ? candidate : best;
}

const struct sim_test *find_test(const char *name)
{
	const char *best = NULL;

	for (const struct sim_test *const *t = all_tests(); *t != NULL; t++) {
		if (same_name(name, (*t)->name))
			return *t;
		best = nearest(name, best, (*t)->name);
	}
	fprintf(stderr, "quire explore: no scenario '%s'; the nearest is '%s'\n", name,
		best != NULL ? best : "");
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
static unsigned parse_watch(char *text)
{
	static const char *const words[] = { "race", "memory", "plain", "none", NULL };
	static const unsigned events[] = { SIM_RACE, SIM_MEMORY, SIM_PLAIN, 0 };
	unsigned watch = 0;

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

enum {
	OPT_SCHEDULER = 256,
	OPT_RUNS,
	OPT_SECONDS,
	OPT_SEED,
	OPT_CPUS,
	OPT_MODEL,
	OPT_TLB,
	OPT_WATCH,
	OPT_SCENARIO,
	OPT_PATCHED,
	OPT_REPLAY,
	OPT_HTML,
	OPT_SCALING,
	OPT_FIGURES,
	OPT_TOTAL,
	OPT_UNTIL_FOUND,
	OPT_LIST,
};

static const struct option long_options[] = {
	{ "scheduler", required_argument, NULL, OPT_SCHEDULER },
	{ "runs", required_argument, NULL, OPT_RUNS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "tlb", required_argument, NULL, OPT_TLB },
	{ "watch", required_argument, NULL, OPT_WATCH },
	{ "scenario", required_argument, NULL, OPT_SCENARIO },
	{ "patch", required_argument, NULL, OPT_PATCHED },
	{ "mutant", required_argument, NULL, OPT_PATCHED },
	{ "replay", required_argument, NULL, OPT_REPLAY },
	{ "html", required_argument, NULL, OPT_HTML },
	{ "mutants", no_argument, NULL, OPT_PATCHED },
	{ "scaling", no_argument, NULL, OPT_SCALING },
	{ "figures", no_argument, NULL, OPT_FIGURES },
	{ "total", required_argument, NULL, OPT_TOTAL },
	{ "until-found", no_argument, NULL, OPT_UNTIL_FOUND },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "list-mutants", no_argument, NULL, OPT_PATCHED },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

const char *const model_words[] = {
	[SIM_SC] = "sc", [SIM_TSO] = "tso", [SIM_PSO] = "pso", [SIM_ARM] = "arm", NULL,
};

static void machine_option(struct arguments *args, int option)
{
	static const char *const tlbs[] = { "mips", "x86", NULL };
	struct sim_options *options = &args->request.options;

	switch (option) {
	case OPT_CPUS:
		options->cpus_nr = (unsigned)number(optarg, 64, "--cpus is 1 to 64");
		if (options->cpus_nr == 0)
			wrong("--cpus is 1 to 64", optarg);
		args->said_cpus = true;
		break;
	case OPT_MODEL:
		options->model = (enum sim_model)one_of(optarg, model_words,
							"--model is sc, tso, pso or arm");
		args->said_model = true;
		break;
	case OPT_TLB:
		options->tlb = (enum sim_tlb)one_of(optarg, tlbs, "--tlb is mips or x86");
		args->said_tlb = true;
		break;
	case OPT_SEED:
		options->seed = number(optarg, UINT64_MAX, "--seed is a number");
		args->said_seed = true;
		break;
	default:
		args->watch |= parse_watch(optarg);
		args->said_watch = true;
	}
}

static void parse_option(struct arguments *args, int option)
{
	switch (option) {
	case OPT_SCHEDULER:
		parse_scheduler(args, optarg);
		break;
	case OPT_RUNS:
		args->request.runs = number(optarg, UINT64_MAX, "--runs is a number");
		break;
	case OPT_SECONDS:
		args->request.seconds = (double)number(optarg, 1000000, "--seconds is a number");
		break;
	case OPT_SCENARIO: /* its names are known when it is compiled */
		args->outside = args->patched = true;
		break;
	case OPT_PATCHED: /* which of them, scripts/mutants looks */
		args->patched = true;
		break;
	case OPT_REPLAY:
		args->replay = optarg;
		break;
	case OPT_HTML:
		args->html = optarg;
		break;
	case OPT_SCALING:
		args->scaling_table = true;
		break;
	case OPT_FIGURES:
		args->figures_table = true;
		break;
	case OPT_TOTAL:
		args->total = number(optarg, UINT64_MAX, "--total is a number");
		break;
	case OPT_UNTIL_FOUND:
		args->request.brief = true;
		break;
	case OPT_LIST:
		args->listed = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(output_exit("quire explore", 0));
	case '?':
		fputs(usage, stderr);
		exit(2);
	default:
		machine_option(args, option);
	}
}

void parse_arguments(struct arguments *args, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		parse_option(args, option);
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
