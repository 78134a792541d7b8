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

static void print_usage(FILE *file)
{
	fprintf(file,
		"usage: quire doctor [--json | --service]\n"
		"\n"
		"Tries what Quire can use of this system, with the rights that it was started "
		"with,\n"
		"measures what each is worth, and says how to get what is missing.  To see what a\n"
		"service or a container gets, run it there.\n"
		"\n"
		"  --json      the same for machines\n"
		"  --service   a drop-in for a systemd service instead: what a filter must allow\n"
		"\n"
		"Exit status: 0 nothing is missing; 1 something is; 2 wrong arguments; 3 some\n"
		"output could not be written.\n");
}

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

enum option_value {
	OPTION_JSON = 256, /* above any letter */
	OPTION_SERVICE,
	OPTION_HELP,
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

static enum exit_status run(int argc, char **argv)
{
	static const struct option known[] = {
		{ .name = "json", .has_arg = no_argument, .val = OPTION_JSON },
		{ .name = "service", .has_arg = no_argument, .val = OPTION_SERVICE },
		{ .name = "help", .has_arg = no_argument, .val = OPTION_HELP },
		{ .name = NULL },
	};
	static const char *const names[] = { "--json", "--service", "--help", NULL };
	int option, chosen = 0;

	arguments_begin();
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		if (option != ':' && option != '?' && chosen != 0 && chosen != option) {
			fprintf(stderr, "quire doctor: one of --json, --service and --help\n");
			return EXIT_USAGE;
		}
		if (option == ':' || option == '?') {
			argument_refuse("doctor", argv[optind - 1], names);
			return EXIT_USAGE;
		}
		chosen = option;
	}
	if (argv[optind] != NULL) {
		fprintf(stderr, "quire doctor: it takes no argument such as '%s'\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (chosen == OPTION_HELP)
		print_usage(stdout);
	else if (chosen == OPTION_SERVICE)
		print_service();
	else
		return look_at_all(chosen == OPTION_JSON);
	return EXIT_OK;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "what this system gives Quire, and how to mend the rest",
	.run = run
};
