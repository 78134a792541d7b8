/* SPDX-License-Identifier: MIT */
/* stats.c - `quire stats`: what a process on Quire holds and has done */
#include "stats/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum exit_status stats_refuse(const char *who, const struct seen_wanted *wanted,
			      const struct seen *seen, int error)
{
	uint32_t pid = wanted->pid;

	if (error == -EPROTO) {
		fprintf(stderr, "%s: %s: damaged, or of another version of Quire\n", who,
			seen->path);
		return EXIT_USAGE;
	}
	if (error == -EACCES && pid == 0)
		fprintf(stderr, "%s: %s is another user's: set XDG_RUNTIME_DIR to your own\n", who,
			seen->path);
	else if (error == -EACCES)
		fprintf(stderr,
			"%s: process %" PRIu32 " is another user's: ask as that user, or as root\n",
			who, pid);
	else if (error != -ENOENT)
		fprintf(stderr, "%s: %s\n", who, strerror(-error));
	else if (pid == 0)
		fprintf(stderr,
			"%s: no process shows its figures; start one with QUIRE_CONF=observe:on, "
			"or by "
			"`quire run`\n",
			who);
	else
		fprintf(stderr,
			"%s: process %" PRIu32
			" shows no figures: it runs without Quire, was not started with "
			"QUIRE_CONF=observe:on, or is another user's\n",
			who, pid);
	return EXIT_FOUND;
}

#define TORN                                                                                       \
	"quire stats: the process ended, or was stopped, while it was writing this: figures of "   \
	"two times may stand beside each other\n"

static enum exit_status print_section(const struct seen *seen, const char *name)
{
	const char *text = seen_section(seen, name);

	if (text == NULL) {
		fprintf(stderr, "quire stats: the process's library does not show %s\n", name);
		return EXIT_FOUND;
	}
	fputs(text, stdout);
	if (text[0] != '\0' && text[strlen(text) - 1] != '\n')
		putchar('\n');
	if (seen->torn)
		fputs(TORN, stderr);
	if (seen_is_cut(seen, name))
		fprintf(stderr, "quire stats: %s is cut: the page has no room for all of it\n",
			name);
	return EXIT_OK;
}

/* A program that reads it could not tell. */
static enum exit_status refuse_torn(void)
{
	fputs(TORN, stderr);
	return EXIT_FOUND;
}

static enum exit_status print(const struct stats_options *options, const struct seen *seen)
{
	switch (options->form) {
	case STATS_JSON:
		return seen->torn ? refuse_torn() : print_section(seen, "json");
	case STATS_SHAPE:
		return print_section(seen, options->shape);
	case STATS_PROMETHEUS:
		if (seen->torn)
			return refuse_torn();
		stats_print_prometheus(seen);
		return EXIT_OK;
	case STATS_TABLE:
		break;
	}
	if (seen->torn)
		fputs(TORN, stderr);
	stats_print_table(seen);
	return EXIT_OK;
}

static enum exit_status run(int argc, char **argv)
{
	struct stats_options options;
	enum exit_status status;
	struct seen *seen;
	int error;

	if (!stats_parse(&options, argc, argv, &status))
		return status;
	seen = calloc(1, sizeof(*seen));
	error = seen != NULL ? seen_find(&options.wanted, seen) : -ENOMEM;
	status = error ? stats_refuse("quire stats", &options.wanted, seen, error)
		       : print(&options, seen);
	free(seen);
	seen_prune();
	return status;
}

const struct command command_stats = {
	.name = "stats",
	.summary = "what a process on Quire holds and has done",
	.synopsis = "quire stats [--instance N] [--json | --prometheus | --shape NAME] [PID]",
	.about =
		"Prints what a process on Quire holds and has done, if it was started with\n"
		"QUIRE_CONF=observe:on or by `quire run`; what it showed last can be read when it\n"
		"has ended, too.  Without PID: the only such process, or of several the one with\n"
		"the most memory, or the one that ended last.",
	.options = stats_rows,
	.exit_statuses =
		"Exit status: 0; 1 there is no such process, or it shows nothing; 2 wrong\n"
		"arguments, or a file that is no page of Quire's; 3 some output could not be\n"
		"written.",
	.run = run,
};
