/* SPDX-License-Identifier: MIT */
/* sides_test QUIRE - quire replay of A against B, and without content, on a made-up recording */
#include "quire_test.h"

#include <unistd.h>

#include "common/json_reader.h"
#include "scratch.h"
#include "shell.h"
#include "trace_writer.h"

static char *quire_path;

static int make_trace(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(5, 20000, &counts);
	struct bytes file = trace_compress(&trace);
	char path[64];

	if (scratch_make(state) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/trace", scratch);
	file_write(path, &file);
	bytes_free(&file);
	bytes_free(&trace);
	return 0;
}

/* `quire replay ARGUMENTS trace`, in the folder: its exit status; what it says into @text. */
static int replay(const char *arguments, char *text, size_t text_bytes)
{
	char line[512];

	snprintf(line, sizeof(line), "cd '%s' && %s replay %s trace 2>&1", scratch, quire_path,
		 arguments);
	return shell_answer(line, text, text_bytes);
}

/* A file of the folder; the caller frees it. */
static char *read_json(const char *name)
{
	char path[128];
	struct bytes bytes;
	size_t offset;

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	bytes = file_read(path);
	bytes_put_byte(&bytes, 0);
	if (!json_is_right((char *)bytes.data, &offset))
		fail_msg("%s stops being JSON at byte %zu", name, offset);
	return (char *)bytes.data;
}

static double number_at(const char *json, unsigned kind, unsigned figure, char side)
{
	char path[96];
	double number = 0;

	snprintf(path, sizeof(path), "traces.%u.figures.%u.%c", kind, figure, side);
	if (!json_number(json, path, &number))
		fail_msg("no number at %s", path);
	return number;
}

/* All but the times, which come first of each kind. */
static void equal_sides_have_equal_figures(void **state)
{
	char text[1 << 14];
	unsigned figures_nr = 0, kinds_nr = 0;
	double number;
	char *json;

	(void)state;
	assert_int_equal(replay("--conf zones:1 --a cache:on --b cache:on --json equal.json", text,
				sizeof(text)),
			 0);
	json = read_json("equal.json");
	for (unsigned kind = 0; kind < 3; kind++) {
		char path[96];

		kinds_nr += number_at(json, kind, 0, 'a') > 0;
		for (unsigned i = 1;; i++, figures_nr++) {
			snprintf(path, sizeof(path), "traces.%u.figures.%u.a", kind, i);
			if (!json_number(json, path, &number))
				break;
			if (number_at(json, kind, i, 'b') != number)
				fail_msg("%s is not b", path);
		}
	}
	assert_u64_eq(kinds_nr, 3);
	assert_true(figures_nr > 20);
	assert_non_null(strstr(text, "A         zones:1,cache:on\n"));
	assert_non_null(strstr(text, "B / A"));
	free(json);
}

/* The same as when each is replayed alone. */
static void each_side_has_its_own_options(void **state)
{
	char text[1 << 14];
	char *both;

	(void)state;
	assert_int_equal(replay("--kind percpu --unfilled --b depopulate:off --json own.json "
				"--a depopulate:on",
				text, sizeof(text)),
			 0);
	assert_non_null(strstr(text, "A         depopulate:on\n"));
	assert_non_null(strstr(text, "B         depopulate:off\n"));
	both = read_json("own.json");
	for (unsigned side = 0; side < 2; side++) {
		char line[96];
		double populated;
		char *alone;

		snprintf(line, sizeof(line),
			 "--kind percpu --unfilled --depopulate %s --json alone.json",
			 side == 0 ? "on" : "off");
		assert_int_equal(replay(line, text, sizeof(text)), 0);
		alone = read_json("alone.json");
		assert_true(
			json_number(alone, "traces.0.totals.quire.pages_populated", &populated));
		assert_true(populated > 0);
		/* The third figure of this kind. */
		assert_true(number_at(both, 0, 2, side == 0 ? 'a' : 'b') == populated);
		free(alone);
	}
	free(both);
}

static void nothing_is_filled_on_request(void **state)
{
	char filled[1 << 14], unfilled[1 << 14];
	const char *marks = "At each mark", *end = "Time ";

	(void)state;
	assert_int_equal(replay("--kind page", filled, sizeof(filled)), 0);
	assert_int_equal(replay("--kind page --unfilled", unfilled, sizeof(unfilled)), 0);
	assert_non_null(strstr(filled, "each filled with its own pattern"));
	assert_non_null(strstr(unfilled, "Checked: no block's content"));
	/* The figures are the same. */
	*strstr(filled, end) = *strstr(unfilled, end) = '\0';
	assert_string_equal(strstr(filled, marks), strstr(unfilled, marks));
}

static void a_wrong_option_of_a_side_is_named(void **state)
{
	char text[1024];

	(void)state;
	assert_int_equal(replay("-a limt:1g", text, sizeof(text)), 2);
	assert_non_null(strstr(text, "quire replay: -a: unknown option \"limt\""));
	assert_int_equal(replay("--b zones:2 --series", text, sizeof(text)), 2);
	assert_non_null(strstr(text, "--series goes with neither -a nor -b"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_sides_have_equal_figures),
		cmocka_unit_test(each_side_has_its_own_options),
		cmocka_unit_test(nothing_is_filled_on_request),
		cmocka_unit_test(a_wrong_option_of_a_side_is_named),
	};
	int failed_nr;

	if (argc != 2)
		return 2;
	quire_path = realpath(argv[1], NULL); /* the tests change the directory */
	if (quire_path == NULL)
		return 2;
	failed_nr = cmocka_run_group_tests(tests, make_trace, scratch_remove);
	free(quire_path);
	return failed_nr;
}
