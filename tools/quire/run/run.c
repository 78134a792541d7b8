/* SPDX-License-Identifier: MIT */
/*
 * run.c - quire run: a program with its malloc() served by Quire
 *
 * The command stays the program's parent.  It shares memory with the library in the program, which counts
 * there, and reads it at the end: nothing has to run in the program for that, however it ends.
 */
#include "run/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/output.h"
#include "run/child.h"
#include "run/compare.h"
#include "run/figures.h"
#include "run/figures_print.h"
#include "run/preload.h"
#include "run/profile.h"
#include "run/program.h"
#include "stats/seen.h"

static enum exit_status say(int status, const char *what)
{
	fprintf(stderr, "quire run: %s\n", what);
	return (enum exit_status)status;
}

/* What the program could not be started for. */
static enum exit_status not_started(const struct program *program, int error, bool is_exec)
{
	fprintf(stderr, "quire run: %s: %s\n", program->path, strerror(error));
	if (!is_exec)
		return EXIT_FOUND;
	return (enum exit_status)(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static enum exit_status become(const struct program *program, const struct run_options *options,
			       const struct preload *preload)
{
	int error = preload_prepare(preload);

	if (error != 0)
		return say(EXIT_FOUND, strerror(-error));
	output_before_exec();
	execv(program->path, options->arguments);
	return not_started(program, errno, true);
}

/* False if the library was not in what the program is: env and its like are meant to become it. */
static bool came_alive(const struct program *program, const struct figures *figures)
{
	return figures->images_nr != 0 && !(program->becomes_another && figures->became_another);
}

static enum exit_status report(const struct run_options *options, const struct figures *figures,
			       const struct child *child, const struct child_end *end)
{
	int error = 0;

	figures_print(stderr, figures);
	if (figures->became_another)
		fprintf(stderr, "quire: the program became another one, which ran without Quire\n");
	if (options->json != NULL)
		error = figures_write_json(options->json, figures, options->arguments, child, end);
	if (error != 0)
		fprintf(stderr, "quire run: %s: %s\n", options->json, strerror(-error));
	return (enum exit_status)(error != 0 && end->status == 0 ? EXIT_UNWRITTEN : end->status);
}

/* What children leave that have ended goes meanwhile: of a build there would be thousands. */
#define PRUNE_NS UINT64_C(5000000000)

struct watched {
	struct collector collector;
	struct run_profile profile;
	uint64_t pruned_ns;
};

static void sample(void *arg, uint64_t now_ns)
{
	struct watched *watched = arg;

	collector_sample(&watched->collector, now_ns);
	run_profile_look(&watched->profile, watched->collector.pid);
	if (now_ns - watched->pruned_ns < PRUNE_NS)
		return;
	watched->pruned_ns = now_ns;
	seen_prune();
}

/* Writes the profile, if one is wanted. */
static enum exit_status with_profile(const struct run_options *options, struct run_profile *profile,
				     enum exit_status status)
{
	int error = options->profile != NULL ? run_profile_write(profile, options->profile) : 0;

	run_profile_end(profile);
	if (error == 0)
		return status;
	fprintf(stderr, "quire run: %s: %s\n", options->profile, strerror(-error));
	return status == EXIT_OK ? EXIT_UNWRITTEN : status;
}

static enum exit_status watch(const struct program *program, const struct run_options *options,
			      struct preload *preload)
{
	struct child_request request = { .path = program->path,
					 .arguments = options->arguments,
					 .preload = preload };
	struct watched watched = { .pruned_ns = 0 };
	struct collector *collector = &watched.collector;
	struct figures figures;
	struct child_end end;
	struct child child;
	bool is_exec;
	int error = preload_share(preload);

	if (error != 0) {
		fprintf(stderr, "quire run: cannot share memory: %s\n", strerror(-error));
		return EXIT_FOUND;
	}
	collector_begin(collector, preload);
	run_profile_begin(&watched.profile, preload);
	error = child_start(&child, &request, &is_exec);
	if (error != 0)
		return not_started(program, error, is_exec);
	collector->pid = child.pid;
	watched.pruned_ns = child.begin_ns;
	child_watch(&child, sample, &watched, &end);
	collector_end(collector, &end, &figures);
	seen_prune(); /* what it showed stays for a while */
	if (came_alive(program, &figures))
		return with_profile(options, &watched.profile,
				    report(options, &figures, &child, &end));
	fprintf(stderr, "quire run: %s: Quire did not start in it (its status was %d)\n",
		program->path, end.status);
	return (enum exit_status)EXIT_NOT_ALIVE;
}

static enum exit_status run(int argc, char **argv)
{
	struct run_options options = { .execs = false };
	struct preload preload = { .fd = -1, .is_counted = true };
	struct program program;
	char error[3 * PATH_MAX];
	enum exit_status status;
	int refused;

	if (!run_parse(&options, argc, argv, &status))
		return status;
	refused = program_find(&program, options.arguments[0]);
	if (refused != 0)
		return say(refused, program.error);
	if (!preload_find(&preload, error, sizeof(error)))
		return say(EXIT_USAGE, error);
	preload.conf = options.conf;
	preload.children = options.children;
	preload.profile_shift = options.profile != NULL ? PROFILE_SHIFT_DEFAULT : 0;
	if (options.compares)
		return compare(&program, &options, &preload);
	return options.execs ? become(&program, &options, &preload)
			     : watch(&program, &options, &preload);
}

const struct command command_run = {
	.name = "run",
	.summary = "run a program with its malloc() served by Quire",
	.synopsis = "quire run [--children] [--json FILE] [--profile FILE] [--conf STRING]\n"
		    "    -- PROGRAM [ARG...]\n"
		    "quire run --exec [--children] [--conf STRING] -- PROGRAM [ARG...]\n"
		    "quire run --compare [--with LIBRARY]... [--svg FILE] [--conf STRING]\n"
		    "    -- PROGRAM [ARG...]",
	.about = "Runs a program with its malloc() served by Quire, and prints four lines to\n"
		 "standard error when it has ended: memory in use, memory resident, calls, sizes.",
	.options = run_rows,
	.exit_statuses =
		"Signals are passed on.  Exit status: the program's, or 128 + n if signal n ended\n"
		"it; 2 wrong arguments, or a program that cannot run on Quire; 125 Quire did not\n"
		"start in it; 126 it cannot be executed; 127 it was not found; 3 it ended with 0\n"
		"and some output could not be written.",
	.runs_program = true,
	.run = run,
};
