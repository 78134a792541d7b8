/* SPDX-License-Identifier: MIT */
/* top.c - `quire top`: an observed process, live */
#include "top/top.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/arguments.h"
#include "common/command.h"
#include "common/output.h"
#include "stats/stats.h"

/* ---- arguments ---- */

enum {
	OPTION_DELAY,
	OPTION_BATCH,
	OPTION_JSON,
	OPTION_LOOKS,
};

static const struct option_row rows[] = {
	[OPTION_DELAY] = { "delay", "SECONDS", "between two looks; default 1" },
	[OPTION_BATCH] = { "batch", NULL, "prints instead of drawing, 80 columns wide" },
	[OPTION_JSON] = { "json", NULL, "a line of JSON for each look" },
	[OPTION_LOOKS] = { "n", "N", "so many looks, then ends" },
	{ .name = NULL },
};

static bool parse_delay(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (end != text && *end == '\0' && *seconds >= 0.01 && *seconds <= 3600)
		return true;
	fprintf(stderr, "quire top: '%s' is no delay: 0.01 to 3600 seconds\n", text);
	return false;
}

static bool refuse_both(void)
{
	fprintf(stderr, "quire top: one of --batch and --json\n");
	return false;
}

static bool take_option(void *context, unsigned option, const char *value)
{
	struct top_options *options = context;

	switch (option) {
	case OPTION_DELAY:
		return parse_delay(value, &options->delay_seconds);
	case OPTION_BATCH:
		options->batch = true;
		return !options->json || refuse_both();
	case OPTION_JSON:
		options->json = true;
		return !options->batch || refuse_both();
	default:
		options->looks = argument_number(value);
		if (options->looks == 0)
			fprintf(stderr, "quire top: '%s' is no number of looks\n", value);
		return options->looks != 0;
	}
}

static bool parse(struct top_options *options, int argc, char **argv, enum exit_status *status)
{
	*options = (struct top_options){ .delay_seconds = 1 };
	return arguments_take(&command_top, argc, argv, take_option, options, status) &&
	       argument_pid("top", argv + optind, &options->wanted.pid);
}

/* ---- without a terminal ---- */

static void print_screen(const struct top_state *state)
{
	static struct top_screen screen;

	screen.lines = TOP_LINES_MIN - 1;
	screen.columns = TOP_COLUMNS_MIN;
	top_draw(state, VIEW_MAIN, &screen);
	for (unsigned i = 0; i < screen.used; i++)
		printf("%s\n", screen.line[i]);
	printf("\n");
}

/* Ends when the process has ended, too: nothing would change. */
static enum exit_status print_looks(const struct top_options *options, struct top_state *state)
{
	const struct timespec delay = { .tv_sec = (time_t)options->delay_seconds,
					.tv_nsec = (long)((options->delay_seconds -
							   (double)(time_t)options->delay_seconds) *
							  1e9) };
	int error;

	for (unsigned looks = 1;; looks++) {
		if (options->json)
			top_print_json(state);
		else
			print_screen(state);
		if (output_flush("quire top") != 0)
			return EXIT_UNWRITTEN;
		if (looks == options->looks || !state->now.alive)
			return EXIT_OK;
		nanosleep(&delay, NULL);
		error = top_look_patiently(options, state);
		if (error)
			return stats_refuse("quire top", &options->wanted, &state->now, error);
	}
}

static enum exit_status run(int argc, char **argv)
{
	static struct top_state state;
	struct top_options options;
	enum exit_status status;
	int error;

	if (!parse(&options, argc, argv, &status))
		return status;
	error = top_look(&options.wanted, &state);
	if (error)
		return stats_refuse("quire top", &options.wanted, &state.now, error);
	options.wanted.pid = state.now.pid; /* it stays the same one */
	if (options.batch || options.json)
		return print_looks(&options, &state);
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
		fprintf(stderr, "quire top: standard %s is no terminal: --batch or --json\n",
			isatty(STDOUT_FILENO) ? "input" : "output");
		return EXIT_USAGE;
	}
	error = top_terminal(&options, &state);
	if (error == -ENOTTY)
		return EXIT_USAGE;
	return error ? stats_refuse("quire top", &options.wanted, &state.now, error) : EXIT_OK;
}

const struct command command_top = {
	.name = "top",
	.summary = "a process on Quire, live",
	.synopsis = "quire top [--delay SECONDS] [--batch | --json] [-n N] [PID]",
	.about = "Shows a process on Quire live: what is in use, kept and given back, by module,\n"
		 "and what stands out, in words.  The process is one that was started with\n"
		 "QUIRE_CONF=observe:on or by `quire run`; without PID the only one, or the one\n"
		 "with the most memory.  h shows the keys.",
	.options = rows,
	.exit_statuses =
		"Exit status: 0; 1 there is no such process; 2 wrong arguments; 3 some output\n"
		"could not be written.",
	.run = run,
};
