/* SPDX-License-Identifier: MIT */
/* cmocka.c - running tests, and what their assertions print: the lines of cmocka */
#include <cmocka.h>

#define LINE_BYTES 512

static bool run_one(const struct CMUnitTest *test)
{
	void *state = NULL;
	bool holds;

	console_print("[ RUN      ] %s\n", test->name);
	holds = test->setup == NULL || test->setup(&state) == 0;
	if (holds)
		test->test(&state);
	holds = holds && (test->teardown == NULL || test->teardown(&state) == 0);
	console_print("[%s] %s\n", holds ? "       OK " : "  FAILED  ", test->name);
	return holds;
}

int cmocka_run(const char *name, const struct CMUnitTest *tests, size_t tests_nr)
{
	size_t failed_nr = 0;

	console_print("[==========] %s: Running %zu test(s).\n", name, tests_nr);
	for (size_t i = 0; i < tests_nr; i++)
		failed_nr += !run_one(&tests[i]);
	console_print("[==========] %s: %zu test(s) run.\n", name, tests_nr);
	console_print("[  PASSED  ] %zu test(s).\n", tests_nr - failed_nr);
	return (int)failed_nr;
}

void cmocka_fail(const char *file, int line, const char *format, ...)
{
	char text[LINE_BYTES];
	va_list args;

	va_start(args, format);
	console_format(text, sizeof(text), format, args);
	va_end(args);
	console_print("[  ERROR   ] --- %s\n[   LINE   ] --- %s:%d: error: Failure!\n", text, file,
		      line);
	console_end(CONSOLE_FAILED);
}

void cmocka_assert_equal(uint64_t a, uint64_t b, const char *file, int line)
{
	if (a != b)
		cmocka_fail(file, line, "%#lx != %#lx", a, b);
}

void cmocka_assert_range(uint64_t a, uint64_t least, uint64_t most, const char *file, int line)
{
	if (a < least || a > most)
		cmocka_fail(file, line, "%lu is not within the range %lu-%lu", a, least, most);
}

void cmocka_assert(bool holds, const char *what, const char *file, int line)
{
	if (!holds)
		cmocka_fail(file, line, "%s", what);
}
