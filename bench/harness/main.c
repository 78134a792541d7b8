/* SPDX-License-Identifier: MIT */
/*
 * main.c - quire-bench: measures Quire and its peers in the same run
 *
 *     quire-bench [OPTION...] QUESTION...
 *
 * Each question runs in a process of its own.  Tables are Markdown on stdout.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "harness/bench.h"
#include "harness/subject.h"

#define FULL_REPS  11u
#define FULL_MS	   100u
#define QUICK_REPS 3u
#define QUICK_MS   20u

struct question {
	const char *name;
	void (*ask)(const struct options *options);
	const char *what;
};

static const struct question questions[] = {
	{ "rows", bench_rows, "ns a pair, by pattern, order and threads, beside peers and floor" },
	{ "frag", bench_frag, "2 MiB blocks that half-full memory still gives" },
	{ "build", bench_build, "2 MiB blocks that a recorded compile pins" },
	{ "fallback", bench_fallback, "a pair when the list's lock is refused" },
	{ "drain", bench_drain, "emptying another CPU's lists" },
	{ "release", bench_release, "memory left when everything was freed" },
	{ "meta", bench_meta, "metadata" },
	{ "light", bench_light, "memory, time and system calls of an instance hardly used" },
	{ "large", bench_large, "ns a pair of large blocks, by pattern, size and threads" },
	{ "replace", bench_replace, "large written blocks of random sizes: mean and worst" },
	{ "sparse", bench_sparse, "large blocks hardly written, or whole: ns and peak memory" },
	{ "pieces", bench_pieces, "memory that comes back, and mappings, after frees in pieces" },
	{ "half", bench_half, "memory left when every second large block was freed" },
	{ "areas", bench_areas, "memory left when all large blocks were freed" },
	{ "tail", bench_tail, "the longest call while another thread overflows the lazy limit" },
	{ "tlb", bench_tlb, "interrupts for a thousand frees" },
	{ "purge", bench_purge, "giving 512 scattered pages back" },
	{ "tree", bench_tree, "an area replaced with a million live" },
	{ "vmas", bench_vmas, "mappings with 20,000 guarded areas" },
	{ "calls", bench_calls, "aligned areas, resizing, mapping pages" },
	{ "policies", bench_policies, "spurious refusals and areas per hold, by purge policy" },
	{ "percpu_ops", bench_percpu_ops, "adding one on this CPU, beside the ways to do without" },
	{ "percpu_alloc", bench_percpu_alloc,
	  "ns a pair of per-CPU objects, by size and live ones" },
	{ "percpu_batch", bench_percpu_batch,
	  "the same in batches, on two CPUs, and for whole pages" },
	{ "percpu_patterns", bench_percpu_patterns, "a million objects freed in four patterns" },
	{ "percpu_memory", bench_percpu_memory, "memory of a million counters on 2 of 256 CPUs" },
	{ "percpu_atomic", bench_percpu_atomic, "bursts that may not wait, after idling" },
	{ "malloc", bench_malloc, "ns a pair of malloc() and free(), net of the harness" },
	{ "malloc_left", bench_malloc_left, "memory left by threads, and by scattered survivors" },
	{ "malloc_freed", bench_malloc_freed, "memory left when all objects were freed" },
	{ "malloc_large", bench_malloc_large, "peak of a growing realloc() and of calloc()" },
	{ "malloc_start", bench_malloc_start, "time and memory of ls with the library preloaded" },
	{ "malloc_handler", bench_malloc_handler,
	  "malloc() in a handler that interrupts malloc()" },
	{ "stress", bench_stress, "programs in the classic shapes: time and peak memory" },
	{ "programs", bench_programs, "real programs: time and peak memory" },
	{ "redis", bench_redis, "a loaded and an emptied redis-server" },
};

#define QUESTIONS_NR (sizeof(questions) / sizeof(questions[0]))

static int usage(FILE *file)
{
	fprintf(file, "usage: quire-bench [OPTION...] all|QUESTION...\n\n");
	for (size_t i = 0; i < QUESTIONS_NR; i++)
		fprintf(file, "  %-15s %s\n", questions[i].name, questions[i].what);
	fprintf(file,
		"\n"
		"  --quick       %u samples of %u ms instead of %u of %u\n"
		"  --reps N      samples of each subject in each row, at most %u\n"
		"  --ms N        measured time of a sample\n"
		"  --rows REGEX  only rows whose name matches, such as order0/lifo/2t/touch\n"
		"  --csv FILE    every sample and verdict\n"
		"  --keep        keep samples although time was taken from them: to try things "
		"out\n",
		QUICK_REPS, QUICK_MS, FULL_REPS, FULL_MS, REPS_MAX);
	return file == stdout ? 0 : 2;
}

static const struct question *question_find(const char *name)
{
	for (size_t i = 0; i < QUESTIONS_NR; i++)
		if (strcmp(name, questions[i].name) == 0)
			return &questions[i];
	return NULL;
}

/* A number from 1 to @max; ends the program otherwise. */
static unsigned number_parse(const char *option, const char *text, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end == '\0' && value >= 1 && value <= max)
		return (unsigned)value;
	fprintf(stderr, "quire-bench: --%s: expected 1..%u\n", option, max);
	exit(2);
}

static void options_parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "quick", no_argument, NULL, 'q' },	 { "reps", required_argument, NULL, 'n' },
		{ "ms", required_argument, NULL, 'm' },	 { "rows", required_argument, NULL, 'r' },
		{ "csv", required_argument, NULL, 'c' }, { "keep", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },	 { NULL, 0, NULL, 0 },
	};
	unsigned reps = 0, ms = 0;

	for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		if (c == 'q')
			options->quick = true;
		else if (c == 'n')
			reps = number_parse("reps", optarg, REPS_MAX);
		else if (c == 'm')
			ms = number_parse("ms", optarg, 10000);
		else if (c == 'r')
			options->rows = optarg;
		else if (c == 'c')
			options->csv = fopen(optarg, "we");
		else if (c == 'k')
			options->keep = true;
		else
			exit(usage(c == 'h' ? stdout : stderr));
		if (c == 'c' && !options->csv) {
			perror(optarg);
			exit(2);
		}
	}
	options->reps = reps ? reps : options->quick ? QUICK_REPS : FULL_REPS;
	options->measure_ms = ms ? ms : options->quick ? QUICK_MS : FULL_MS;
}

/* Runs a question in a process of its own, so that it finds no caches or threads of another. */
static bool ask_apart(const struct question *question, const struct options *options)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		question->ask(options);
		fflush(NULL);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
		fprintf(stderr, "quire-bench: %s did not finish\n", question->name);
		return false;
	}
	return true;
}

static bool ask_all(const struct options *options)
{
	bool finished = true;

	for (size_t i = 0; i < QUESTIONS_NR; i++)
		finished &= ask_apart(&questions[i], options);
	return finished;
}

int main(int argc, char **argv)
{
	struct options options = { .reps = 0 };
	bool finished = true;

	if (argc > 1 && strcmp(argv[1], "runner") == 0)
		return subject_main(&subject_quire, argc - 2, argv + 2);
	options_parse(argc, argv, &options);
	if (optind == argc)
		return usage(stderr);
	for (int i = optind; i < argc; i++)
		if (strcmp(argv[i], "all") != 0 && !question_find(argv[i]))
			return usage(stderr);
	report_tally_begin();
	report_machine(&options, argc, argv);
	for (int i = optind; i < argc; i++)
		finished &= strcmp(argv[i], "all") == 0
				    ? ask_all(&options)
				    : ask_apart(question_find(argv[i]), &options);
	report_tally_print();
	return finished ? 0 : 1;
}
