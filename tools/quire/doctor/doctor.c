/* SPDX-License-Identifier: MIT */
/* doctor.c - `quire doctor`: every check, what to mend, and the lines for a service */
#include "doctor/doctor.h"

#include <getopt.h>
#include <string.h>
#include <sys/utsname.h>

#include <quire/quire.h>

#include "common/arguments.h"
#include "common/command.h"
#include "common/json.h"

static const struct check *const groups[] = { checks_cpu, checks_memory, checks_limits };
#define GROUPS_NR (sizeof(groups) / sizeof(groups[0]))

static const char *const state_words[] = {
	[FINDING_OK] = "ok", [FINDING_MISSING] = "missing", [FINDING_NOTE] = "note"
};

/* ---- printing ---- */

static void print_head(void)
{
	struct utsname system;

	if (uname(&system) == 0)
		printf("Quire %d.%d.%d on Linux %s, %s\n\n", QUIRE_VERSION_MAJOR,
		       QUIRE_VERSION_MINOR, QUIRE_VERSION_PATCH, system.release, system.machine);
}

static void print_finding(const struct check *check, const struct finding *finding)
{
	printf("%-8s %-16s %s\n", state_words[finding->state], check->name, finding->what);
	if (finding->mend[0] != '\0')
		printf("%-8s %-16s to mend: %s\n", "", "", finding->mend);
}

static void print_json(const struct check *check, const struct finding *finding, bool is_first)
{
	printf("%s\n  { \"name\": ", is_first ? "" : ",");
	json_put_text(stdout, check->name);
	printf(", \"state\": \"%s\", \"what\": ", state_words[finding->state]);
	json_put_text(stdout, finding->what);
	printf(", \"mend\": ");
	json_put_text(stdout, finding->mend);
	printf(" }");
}

static void print_service(void)
{
	printf("# /etc/systemd/system/SERVICE.service.d/quire.conf\n"
	       "[Service]\n"
	       "Environment=LD_PRELOAD=libquire-malloc.so.0\n"
	       "Environment=QUIRE_CONF=observe:on\n"
	       "# What Quire asks for beyond malloc()'s usual calls.  Only if the service has a\n"
	       "# SystemCallFilter already; alone this line forbids everything else:\n"
	       "#SystemCallFilter=rseq membarrier process_madvise memfd_create\n"
	       "# Bound memory here: Quire follows memory.max and memory.high.\n"
	       "#MemoryMax=1G\n"
	       "LimitAS=infinity\n");
}

/* ---- the command ---- */

enum {
	OPTION_JSON,
	OPTION_SERVICE,
	OPTIONS_NR, /* and none of them */
};

static const struct option_row rows[] = {
	[OPTION_JSON] = { "json", NULL, "the same for machines" },
	[OPTION_SERVICE] = { "service", NULL,
			     "a drop-in for a systemd service instead: what a filter must allow" },
	{ .name = NULL },
};

static enum exit_status look_at_all(bool as_json)
{
	enum exit_status status = EXIT_OK;
	bool is_first = true;

	if (as_json)
		printf("{ \"schema\": \"quire-doctor\", \"version\": 1, \"checks\": [");
	else
		print_head();
	for (unsigned group = 0; group < GROUPS_NR; group++)
		for (const struct check *check = groups[group]; check->name != NULL; check++) {
			struct finding finding = { .state = FINDING_NOTE };

			check->look(&finding);
			if (finding.state == FINDING_MISSING)
				status = EXIT_FOUND;
			if (as_json)
				print_json(check, &finding, is_first);
			else
				print_finding(check, &finding);
			is_first = false;
		}
	if (as_json)
		printf("\n] }\n");
	return status;
}

static bool take_option(void *context, unsigned option, const char *value)
{
	unsigned *chosen = context;

	(void)value;
	if (*chosen != OPTIONS_NR && *chosen != option) {
		fprintf(stderr, "quire doctor: one of --json and --service\n");
		return false;
	}
	*chosen = option;
	return true;
}

static enum exit_status run(int argc, char **argv)
{
	unsigned chosen = OPTIONS_NR;
	enum exit_status status;

	if (!arguments_take(&command_doctor, argc, argv, take_option, &chosen, &status))
		return status;
	if (argv[optind] != NULL) {
		fprintf(stderr, "quire doctor: it takes no argument such as '%s'\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (chosen != OPTION_SERVICE)
		return look_at_all(chosen == OPTION_JSON);
	print_service();
	return EXIT_OK;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "what this system gives Quire, and how to mend the rest",
	.synopsis = "quire doctor [--json | --service]",
	.about = "Tries what Quire can use of this system, with the rights that it was started\n"
		 "with, measures what each is worth, and says how to get what is missing.  To see\n"
		 "what a service or a container gets, run it there.",
	.options = rows,
	.exit_statuses =
		"Exit status: 0 nothing is missing; 1 something is; 2 wrong arguments; 3 some\n"
		"output could not be written.",
	.run = run,
};
