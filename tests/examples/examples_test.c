/* SPDX-License-Identifier: MIT */
/*
 * examples_test.c FOLDER - the programs in FOLDER print what docs/examples.md says
 *
 * Method   The page shows a command behind "    $ ", and below it what the command prints, indented as well.  The
 *          command is run, with FOLDER for build/examples, and what it prints is compared with all of that.  "..." in
 *          the page stands for anything.
 */
#include "quire_test.h"

#include <fnmatch.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE	   "docs/examples.md"
#define INDENT	   "    "
#define SHOWN_AT   "build/examples/"
#define WORDS_MAX  8
#define TEXT_BYTES 4096

static const char *folder;

struct shown {
	char words[WORDS_MAX][512]; /* of the command */
	char *argv[WORDS_MAX + 1];
	char pattern[TEXT_BYTES]; /* of what it prints, for fnmatch() */
	uint64_t addresses_bytes; /* RLIMIT_AS; 0: as it is */
	/* After run_shown(). */
	int status;
	char text[TEXT_BYTES];
};

/* The line that begins a command with that program. */
static const char *find_command(const char *page, const char *program)
{
	char command[256];
	const char *at;

	snprintf(command, sizeof(command), "\n" INDENT "$ " SHOWN_AT "%s", program);
	at = strstr(page, command);
	if (at == NULL)
		fail_msg("%s shows no command %s", PAGE, program);
	return at + strlen("\n" INDENT "$ ");
}

static void add_word(struct shown *shown, int n, const char *word, int bytes)
{
	bool is_ours = strncmp(word, SHOWN_AT, strlen(SHOWN_AT)) == 0;
	int skipped = is_ours ? (int)strlen(SHOWN_AT) : 0;

	assert_in_range(n, 0, WORDS_MAX - 1);
	snprintf(shown->words[n], sizeof(shown->words[n]), "%s%s%.*s", is_ours ? folder : "",
		 is_ours ? "/" : "", bytes - skipped, word + skipped);
	shown->argv[n] = shown->words[n];
}

/* Adds the line to the pattern: "..." is anything, and the rest itself. */
static void add_line(struct shown *shown, const char *line, size_t bytes)
{
	size_t at = strlen(shown->pattern);

	for (size_t i = 0; i <= bytes; i++) {
		char c = i < bytes ? line[i] : '\n';

		assert_in_range(at, 0, TEXT_BYTES - 3);
		if (strncmp(line + i, "...", 3) == 0) {
			shown->pattern[at++] = '*';
			i += 2;
			continue;
		}
		if (strchr("*?[\\", c) != NULL)
			shown->pattern[at++] = '\\';
		shown->pattern[at++] = c;
	}
	shown->pattern[at] = '\0';
}

static void read_shown(struct shown *shown, const char *program)
{
	char *page = read_source(PAGE);
	const char *at = find_command(page, program), *end = strchr(at, '\n');
	int words_nr = 0;

	*shown = (struct shown){ .addresses_bytes = 0 };
	while (at < end) {
		int bytes = (int)strcspn(at, " \n");

		add_word(shown, words_nr++, at, bytes);
		at += bytes + 1;
	}
	while (strncmp(at, INDENT, strlen(INDENT)) == 0 &&
	       strncmp(at, INDENT "$ ", strlen(INDENT "$ ")) != 0) {
		size_t bytes = strcspn(at, "\n");

		add_line(shown, at + strlen(INDENT), bytes - strlen(INDENT));
		at += bytes + 1;
	}
	free(page);
	assert_true(shown->pattern[0] != '\0');
}

/* In the child. */
static void become(void *arg)
{
	const struct shown *shown = arg;
	const struct rlimit addresses = { shown->addresses_bytes, shown->addresses_bytes };

	if (shown->addresses_bytes == 0 || setrlimit(RLIMIT_AS, &addresses) == 0)
		execv(shown->argv[0], shown->argv);
	perror(shown->argv[0]);
	_exit(127);
}

static void run_shown(struct shown *shown)
{
	shown->status = child_answer(become, shown, shown->text, sizeof(shown->text));
}

static void check_shown(const struct shown *shown)
{
	if (shown->status != 0 || fnmatch(shown->pattern, shown->text, 0) != 0)
		fail_msg("%s ended with %d and printed:\n%snot as %s says:\n%s", shown->argv[0],
			 shown->status, shown->text, PAGE, shown->pattern);
}

static void program_prints_what_the_page_shows(void **state)
{
	struct shown shown;

	read_shown(&shown, *state);
	run_shown(&shown);
	check_shown(&shown);
}

static void too_large_a_job_is_refused_in_a_group_of_64_mib(void **state)
{
	struct memory_group group;
	struct shown shown;
	bool is_limited;

	(void)state;
	skip_if_sanitized();
	read_shown(&shown, "example_jobs");
	if (!memory_group_enter(&group))
		skip_because("the system permits no memory cgroup");
	is_limited = memory_group_limit(&group, MIB(64));
	run_shown(&shown);
	memory_group_leave(&group);
	assert_true(is_limited);
	check_shown(&shown);
}

/* The pages of an instance get a quarter of the addresses. */
static void too_large_a_job_is_refused_with_256_mib_of_addresses(void **state)
{
	struct shown shown;

	(void)state;
	skip_if_sanitized();
	read_shown(&shown, "example_jobs");
	shown.addresses_bytes = MIB(256);
	run_shown(&shown);
	check_shown(&shown);
}

#define PRINTS(program)                                                                            \
	{                                                                                          \
		.name = program " prints what the page shows",                                     \
		.test_func = program_prints_what_the_page_shows, .initial_state = program,         \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		PRINTS("example_buffer_pool"),
		PRINTS("example_log_shipper"),
		PRINTS("example_requests"),
		PRINTS("example_shrinking_cache"),
		PRINTS("example_host"),
		cmocka_unit_test(too_large_a_job_is_refused_in_a_group_of_64_mib),
		cmocka_unit_test(too_large_a_job_is_refused_with_256_mib_of_addresses),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: examples_test FOLDER\n");
		return 2;
	}
	folder = argv[1];
	return cmocka_run_group_tests_name("examples", tests, NULL, NULL);
}
