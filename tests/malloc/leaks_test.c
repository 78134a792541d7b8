/* SPDX-License-Identifier: MIT */
/* What debug:on reports at the end of a process. */
#include "quire_test.h"

#include <fnmatch.h>
#include <unistd.h>

#include "shell.h"

/* Without the worker, whose thread has a block of libc's. */
#define DEBUG	   "QUIRE_CONF=debug:on,worker:inline"
#define HEX	   "0x+([0-9a-f])"
#define CALL	   " *malloc_leaks*+" HEX
#define HEAD(what) "quire: not freed: " what ", process +([0-9])\n"
#define SUM(what)  "quire:   " what ", allocated by"
#define SOME                                                                                       \
	HEAD("5303 bytes in 4 blocks")                                                             \
	SUM("5000 bytes in 1 block") CALL "*\n" SUM("303 bytes in 3 blocks") CALL "*\n"

/* @redirect: the shell's, behind the program. */
static void run(const char *variables, const char *way, const char *redirect, char *text,
		size_t bytes)
{
	char command[2048];

	snprintf(command, sizeof(command), "%s %s %s %s", variables, getenv("QUIRE_LEAKS"), way,
		 redirect);
	assert_int_equal(shell_answer(command, text, bytes), 0);
}

static void expect(const char *way, const char *pattern)
{
	char text[16384];

	run(DEBUG, way, "2>&1", text, sizeof(text));
	if (fnmatch(pattern, text, FNM_EXTMATCH) != 0)
		fail_msg("%s wrote:\n%sexpected:\n%s", way, text, pattern);
}

static void what_was_freed_is_not_reported(void **state)
{
	(void)state;
	expect("", "");
}

static void without_debug_nothing_is(void **state)
{
	char text[4096];

	(void)state;
	run("QUIRE_CONF=debug:off", "some", "2>&1", text, sizeof(text));
	assert_string_equal(text, "");
}

static void blocks_are_grouped_by_their_calls(void **state)
{
	(void)state;
	expect("some", SOME);
}

static void calls_are_followed_by_frame_pointers(void **state)
{
	(void)state;
	/* make(), make_further_in(), leave_some(), main() */
	expect("some", "*" SUM("303 bytes in 3 blocks") CALL CALL CALL CALL "*\n");
}

/* None of the library's own is between a call and its block. */
static void the_first_call_is_the_programs(void **state)
{
	(void)state;
	expect("of_each_call", HEAD("836 bytes in 8 blocks") SUM("108 bytes in 1 block") CALL
	       "*\n" SUM("107 bytes in 1 block") CALL "*\n" SUM("106 bytes in 1 block") CALL
	       "*\n" SUM("105 bytes in 1 block") CALL "*\n" SUM("104 bytes in 1 block") CALL
	       "*\n" SUM("103 bytes in 1 block") CALL "*\n" SUM("102 bytes in 1 block") CALL
	       "*\n" SUM("101 bytes in 1 block") CALL "*\n");
}

static void large_and_aligned_blocks_count_what_was_asked(void **state)
{
	(void)state;
	expect("many",
	       HEAD("25500000 bytes in 8 blocks") SUM("25500000 bytes in 8 blocks") CALL "*\n");
}

static void a_child_reports_what_it_allocated(void **state)
{
	(void)state;
	expect("in_child", HEAD("64 bytes in 1 block") SUM("64 bytes in 1 block") CALL "*\n");
}

static void nothing_is_written_to_another_file(void **state)
{
	char text[4096];

	(void)state;
	run(DEBUG, "other_file_as_error", "2>/dev/null", text, sizeof(text));
	assert_string_equal(text, "");
	run(DEBUG, "without_error", "2>&1", text, sizeof(text));
	assert_string_equal(text, "");
}

static void a_file_has_the_report_when_stderr_is_closed(void **state)
{
	char path[] = "/tmp/quire-leaks-XXXXXX", variables[256], text[16384];
	int fd = mkstemp(path);
	ssize_t got;

	(void)state;
	assert_true(fd >= 0);
	snprintf(variables, sizeof(variables), DEBUG " QUIRE_DEBUG_LOG=%s", path);
	run(variables, "without_error", "2>&1", text, sizeof(text));
	assert_string_equal(text, "");
	got = read(fd, text, sizeof(text) - 1);
	assert_true(got > 0);
	text[got] = '\0';
	if (fnmatch(SOME, text, FNM_EXTMATCH) != 0)
		fail_msg("the file has:\n%s", text);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_freed_is_not_reported),
		cmocka_unit_test(without_debug_nothing_is),
		cmocka_unit_test(blocks_are_grouped_by_their_calls),
		cmocka_unit_test(calls_are_followed_by_frame_pointers),
		cmocka_unit_test(the_first_call_is_the_programs),
		cmocka_unit_test(large_and_aligned_blocks_count_what_was_asked),
		cmocka_unit_test(a_child_reports_what_it_allocated),
		cmocka_unit_test(nothing_is_written_to_another_file),
		cmocka_unit_test(a_file_has_the_report_when_stderr_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
