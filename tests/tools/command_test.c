/* SPDX-License-Identifier: MIT */
/*
 * command_test QUIRE TRACES - the built command as its users meet it
 *
 * Exit status and first line of each kind of wrong use, of each kind of wrong file; the table and
 * the JSON of the recordings; the same figures each time.
 */
#include "quire_test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/arguments.h"
#include "common/json_reader.h"
#include "shell.h"
#include "trace_writer.h"

static const char *quire_path, *traces_directory;
static char directory[] = "command_test.XXXXXX";

struct answer {
	int status;
	char text[32768]; /* both streams */
};

/* Runs the command with @arguments, of which %T is the traces' directory and %D one of our own. */
static struct answer run(const char *arguments)
{
	struct answer answer = { .status = -1 };
	char line[4096];
	size_t used = (size_t)snprintf(line, sizeof(line), "'%s' ", quire_path);

	for (const char *at = arguments; *at != '\0' && used < sizeof(line) - 8; at++) {
		const char *instead = NULL;

		if (strncmp(at, "%T", 2) == 0)
			instead = traces_directory;
		if (strncmp(at, "%D", 2) == 0)
			instead = directory;
		if (instead != NULL)
			used += (size_t)snprintf(line + used, sizeof(line) - used, "%s", instead);
		else
			line[used++] = *at;
		at += instead != NULL;
	}
	snprintf(line + used, sizeof(line) - used, " 2>&1");
	answer.status = shell_answer(line, answer.text, sizeof(answer.text));
	return answer;
}

static char *path_in_directory(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void expect(const char *arguments, int status, const char *text)
{
	struct answer answer = run(arguments);

	if (answer.status != status || strstr(answer.text, text) == NULL)
		fail_msg("quire %s: status %d, expected %d and \"%s\":\n%s", arguments,
			 answer.status, status, text, answer.text);
}

/* The runs that most tests look at; they are long, so they are made once. */
static struct answer first_run, areas_run, percpu_run;
#define PERCPU_TRACES "%T/percpu-cgroups-11k.katr.zst %T/percpu-mixed-dev.katr.zst"
#define AREAS_TRACE   "%T/vmalloc-bpf.katr.zst"
#define BOTH_TRACES   "%T/pages-build.katr.zst %T/pages-mixed.katr.zst"

static int make_first_run(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	first_run = run("replay --json %D/first.json " BOTH_TRACES);
	areas_run = run("replay --json %D/areas.json " AREAS_TRACE);
	percpu_run = run("replay --json %D/percpu.json " PERCPU_TRACES);
	return 0;
}

static int drop_directory(void **state)
{
	static const char *const names[] = { "first.json", "second.json", "threads.json",
					     "areas.json", "percpu.json", "cut.katr.zst",
					     "text" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_in_directory(names[i]));
	return rmdir(directory);
}

static void wrong_use_is_named_and_ends_with_2(void **state)
{
	(void)state;
	expect("", 2, "usage: quire COMMAND");
	expect("--help", 0, "  replay ");
	expect("--version", 0, "quire 0.1.0\n");
	expect("relpay", 2, "there is no command 'relpay'; the nearest is 'replay'");
	expect("replay --help", 0, "usage: quire replay");
	expect("replay", 2, "name at least one trace");
	expect("replay --jsn x", 2, "wrong use of '--jsn'; the nearest option is '--json'");
	expect("replay --json", 2, "'--json' needs a value");
	expect("run --json -- true", 2, "'--json' needs a value");
	expect("record -o -- true", 2, "'-o' needs a value");
	expect("record -xo file", 2, "wrong use of '-x'; the nearest option is '-o'");
	expect("replay --kind heap x", 2,
	       "kind 'heap' cannot be replayed; page, vmap, percpu and slab can");
	expect("replay --kind page %T/vmalloc-bpf.katr.zst", 2, "holds no page allocations");
	expect("replay --conf limt:1g x", 2, "limit");
	expect("replay --placement best x", 2, "--placement: bad value \"best\"");
	expect("replay --depopulate no x", 2, "--depopulate: bad value \"no\"");
	expect("replay --ablate --json x y", 2, "--ablate goes with neither --json nor --threads");
	expect("replay --ablate " AREAS_TRACE, 2, "holds no percpu allocations");
	expect("replay --series --threads x", 2, "--series goes with neither --json nor --threads");
	expect("replay --series --ablate x", 2, "--ablate and --series do not go together");
	expect("replay --series x y", 2, "--series takes one trace");
	expect("replay --series " AREAS_TRACE, 2, "holds no percpu allocations");
	expect("replay --kind percpu --kind vmap %T/none", 2, "none: No such file");
	expect("replay --kind percpu " AREAS_TRACE, 2, "holds no percpu allocations");
}

/* 80 columns by 24 lines, whatever a command learns. */
static void help_of_each_command_fits_a_screen(void **state)
{
	(void)state;
	for (const struct command *const *command = commands; *command != NULL; command++) {
		static char text[1 << 14];
		unsigned lines = 0;
		FILE *file = fmemopen(text, sizeof(text), "w");

		assert_non_null(file);
		arguments_help(file, *command);
		fclose(file);
		for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
			if (end - line > 80)
				fail_msg("quire %s --help: more than 80 columns: %.*s",
					 (*command)->name, (int)(end - line), line);
			lines++;
		}
		if (lines > 24)
			fail_msg("quire %s --help: %u lines", (*command)->name, lines);
	}
}

/* The first half of a recording, as cut.katr.zst. */
static void cut(const char *name)
{
	struct bytes bytes;
	char source[512];

	snprintf(source, sizeof(source), "%s/%s", traces_directory, name);
	bytes = file_read(source);
	bytes.nr /= 2;
	file_write(path_in_directory("cut.katr.zst"), &bytes);
	bytes_free(&bytes);
}

static void wrong_files_are_refused_with_the_offset(void **state)
{
	struct bytes bytes = { .data = NULL };

	(void)state;
	bytes_put(&bytes, "some text\n", 10);
	file_write(path_in_directory("text"), &bytes);
	bytes_free(&bytes);
	cut("vmalloc-bpf.katr.zst");
	expect("replay --json %D/none.json %D/cut.katr.zst", 2, "cut.katr.zst: at byte ");
	cut("percpu-mixed-dev.katr.zst");
	expect("replay --json %D/none.json %D/cut.katr.zst", 2, "cut.katr.zst: at byte ");
	cut("pages-mixed.katr.zst");
	expect("replay %D/none", 2, "none: No such file or directory");
	expect("replay %D/text", 2, "text: at byte 0: not a recording");
	expect("replay %D/cut.katr.zst", 2, "cut.katr.zst: at byte ");
	/* A right one first: all are read before anything is done. */
	expect("replay --json %D/none.json %T/pages-mixed.katr.zst %D/cut.katr.zst", 2,
	       "cut.katr.zst: at byte ");
	assert_int_equal(access(path_in_directory("none.json"), F_OK), -1);
}

static void a_refused_allocation_ends_with_1(void **state)
{
	(void)state;
	expect("replay --json %D/none.json --conf limit:64m %T/pages-build.katr.zst", 1,
	       "was refused: order ");
	expect("replay --json %D/none.json --conf limit:64m " AREAS_TRACE, 1, "was refused: ");
	assert_int_equal(access(path_in_directory("none.json"), F_OK), -1);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static char *read_json(const char *name)
{
	struct bytes bytes = file_read(path_in_directory(name));
	size_t offset;

	bytes_put_byte(&bytes, 0);
	if (!json_is_right((char *)bytes.data, &offset))
		fail_msg("%s: not JSON at byte %zu", name, offset);
	return (char *)bytes.data;
}

static double number_at(const char *json, const char *path)
{
	double number = -1;

	if (!json_number(json, path, &number))
		fail_msg("no number at %s", path);
	return number;
}

#define assert_json(json, path, value) assert_true(number_at(json, path) == (double)(value))

static void check_build_facts(const char *json)
{
	assert_json(json, "traces.0.totals.records", 1742990);
	assert_json(json, "traces.0.totals.ids", 874486);
	assert_json(json, "traces.0.totals.allocs", 874317);
	assert_json(json, "traces.0.totals.frees", 864590);
	assert_json(json, "traces.0.totals.frees_batched", 837116);
	assert_json(json, "traces.0.totals.peak_blocks", 29018);
	assert_json(json, "traces.0.totals.final_blocks", 9727);
	assert_json(json, "traces.0.totals.allocs_by_order_and_type.0.movable", 845818);
	assert_json(json, "traces.0.totals.blocks_checked", 874317);
	assert_json(json, "traces.0.marks.1.live_blocks", 2865);
	assert_json(json, "traces.0.marks.2.live_blocks", 7917);
	assert_json(json, "traces.0.marks.2.kernel.blocks_pinned", 1269);
	assert_json(json, "traces.0.marks.3.live_blocks", 834);
	assert_json(json, "traces.0.marks.3.kernel.blocks_pinned", 480);
	assert_json(json, "traces.0.marks.3.kernel.live_pages", 867);
	assert_json(json, "traces.0.marks.3.quire.live_pages", 867);
}

static void check_mixed_facts(const char *json, const char *trace)
{
	static const struct {
		const char *path;
		double value;
	} facts[] = {
		{ "totals.allocs", 526480 },
		{ "totals.frees", 525797 },
		{ "totals.splits", 984 },
		{ "totals.final_blocks", 1719 },
		{ "marks.3.live_blocks", 1920 },
		{ "marks.3.kernel.live_pages", 18910 },
		{ "marks.3.quire.live_pages", 18910 },
	};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s.%s", trace, facts[i].path);
		assert_json(json, path, facts[i].value);
	}
}

static void the_json_agrees_with_the_recordings(void **state)
{
	char *json;

	(void)state;
	assert_int_equal(first_run.status, 0);
	json = read_json("first.json");
	check_build_facts(json);
	check_mixed_facts(json, "traces.1");
	free(json);
}

static void the_json_tells_the_areas_of_a_page_recording(void **state)
{
	char *json = read_json("first.json");

	(void)state;
	assert_json(json, "traces.0.also.0.totals.allocs", 169);
	assert_json(json, "traces.0.also.0.totals.frees", 160);
	assert_json(json, "traces.1.also.0.totals.allocs", 83);
	assert_json(json, "traces.1.also.0.marks.3.live_blocks", 10);
	free(json);
}

static void the_json_agrees_with_the_recorded_areas(void **state)
{
	static const struct {
		const char *path;
		double value;
	} facts[] = {
		{ "totals.allocs", 131363 },	      { "totals.frees", 131358 },
		{ "totals.peak_blocks", 864 },	      { "totals.final_blocks", 5 },
		{ "totals.blocks_checked", 131363 },  { "totals.quire.allocs", 131363 },
		{ "marks.2.live_blocks", 518 },	      { "marks.2.kernel.busy_areas", 779 },
		{ "marks.2.kernel.lazy_areas", 164 }, { "marks.2.kernel.purges", 122 },
		{ "marks.2.kernel.used_kB", 237376 }, { "marks.2.quire.busy_areas", 518 },
		{ "marks.6.quire.busy_areas", 5 },
	};
	char *json;

	(void)state;
	assert_int_equal(areas_run.status, 0);
	json = read_json("areas.json");
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), "traces.0.%s", facts[i].path);
		assert_json(json, path, facts[i].value);
	}
	free(json);
}

static void areas_in_use_are_those_not_freed(void **state)
{
	char *json = read_json("areas.json");

	(void)state;
	for (unsigned mark = 0; mark < 8; mark++) {
		char path[128];
		double allocs, frees, busy, flushes, reused;

		snprintf(path, sizeof(path), "traces.0.marks.%u.quire.allocs", mark);
		allocs = number_at(json, path);
		snprintf(path, sizeof(path), "traces.0.marks.%u.quire.frees", mark);
		frees = number_at(json, path);
		snprintf(path, sizeof(path), "traces.0.marks.%u.quire.busy_areas", mark);
		busy = number_at(json, path);
		snprintf(path, sizeof(path), "traces.0.marks.%u.quire.flushes", mark);
		flushes = number_at(json, path);
		assert_true(allocs - frees == busy);
		assert_true(flushes <= frees);
		snprintf(path, sizeof(path), "traces.0.marks.%u.quire.reused", mark);
		reused = number_at(json, path);
		snprintf(path, sizeof(path), "traces.0.marks.%u.quire.reused_without_system_call",
			 mark);
		assert_true(reused <= allocs);
		assert_true(number_at(json, path) <= reused);
	}
	free(json);
}

/* The third mark is when all was created, the fourth when most was deleted. */
static void the_json_agrees_with_the_recorded_objects(void **state)
{
	static const struct {
		const char *path;
		double value;
	} facts[] = {
		{ "traces.0.totals.allocs", 217562 },
		{ "traces.0.totals.frees", 217557 },
		{ "traces.0.totals.peak_blocks", 121019 },
		{ "traces.0.totals.blocks_checked", 217562 },
		{ "traces.0.marks.0.kernel.populated_kB", 2320 },
		{ "traces.0.marks.2.kernel.populated_kB", 46192 },
		{ "traces.0.marks.3.kernel.populated_kB", 21960 },
		{ "traces.0.marks.2.quire.objects", 121013 },
		{ "traces.0.marks.3.quire.objects", 11331 },
		{ "traces.0.marks.3.quire_depopulate_off.objects", 11331 },
		{ "traces.0.marks.3.live_kB", 4259 },
		{ "traces.1.totals.allocs", 135257 },
		{ "traces.1.totals.kernel_fails", 565 },
		{ "traces.1.marks.2.kernel.populated_kB", 16968 },
	};
	char *json;

	(void)state;
	assert_int_equal(percpu_run.status, 0);
	json = read_json("percpu.json");
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		assert_json(json, facts[i].path, facts[i].value);
	free(json);
}

/* What lives is populated; without depopulation pages go back with a whole chunk or not at all. */
static void populated_memory_is_at_least_what_lives(void **state)
{
	char *json = read_json("percpu.json");

	(void)state;
	for (unsigned i = 0; i < 2 * 8; i++) {
		static const char *const sides[] = { "quire", "quire_depopulate_off" };
		char where[64], path[128];
		double live_kB;

		snprintf(where, sizeof(where), "traces.%u.marks.%u", i / 8, i % 8);
		snprintf(path, sizeof(path), "%s.live_kB", where);
		live_kB = number_at(json, path);
		for (unsigned side = 0; side < 2; side++) {
			snprintf(path, sizeof(path), "%s.%s.populated_kB", where, sides[side]);
			assert_true(number_at(json, path) >= live_kB);
		}
		snprintf(path, sizeof(path), "%s.quire_depopulate_off.chunks_sidelined", where);
		assert_json(json, path, 0);
	}
	free(json);
}

static void depopulate_off_is_the_column_without(void **state)
{
	char *both = read_json("percpu.json");
	char *off;

	(void)state;
	expect("replay --depopulate off --json %D/second.json %T/percpu-cgroups-11k.katr.zst", 0,
	       "all intact when freed.");
	off = read_json("second.json");
	for (unsigned mark = 0; mark < 8; mark++) {
		char path[128];
		double populated_kB;

		snprintf(path, sizeof(path), "traces.0.marks.%u.quire.populated_kB", mark);
		populated_kB = number_at(off, path);
		snprintf(path, sizeof(path), "traces.0.marks.%u.quire_depopulate_off.populated_kB",
			 mark);
		assert_json(both, path, populated_kB);
	}
	expect("replay --placement linux %T/percpu-mixed-dev.katr.zst", 0,
	       "all intact when freed.");
	free(both);
	free(off);
}

/* Free objects on stacks are of sizes that come and go often, which none of the recording does: with sequences, hardly
 * more is populated than without.  And what groups of objects need is hardly more than the kernel's. */
static void stacks_and_groups_populate_little(void **state)
{
	char *without = read_json("percpu.json"), *with;

	(void)state;
	expect("replay --conf rseq:on --json %D/second.json %T/percpu-mixed-dev.katr.zst", 0,
	       "all intact when freed.");
	with = read_json("second.json");
	for (unsigned mark = 2; mark <= 4; mark++) {
		char path[2][64];

		snprintf(path[0], sizeof(path[0]), "traces.0.marks.%u.quire.populated_kB", mark);
		snprintf(path[1], sizeof(path[1]), "traces.1.marks.%u.quire.populated_kB", mark);
		assert_true(number_at(with, path[0]) <= 1.01 * number_at(without, path[1]));
	}
	assert_true(number_at(without, "traces.0.marks.2.quire.populated_kB") <=
		    1.01 * number_at(without, "traces.0.marks.2.kernel.populated_kB"));
	free(with);
	free(without);
}

/* "7,536": below a million. */
static void put_grouped(char *text, size_t bytes, double value)
{
	unsigned whole = (unsigned)value;

	if (whole < 1000)
		snprintf(text, bytes, "%u", whole);
	else
		snprintf(text, bytes, "%u,%03u", whole / 1000, whole % 1000);
}

/* The last mark at which there is something to place; a rule left out changes a figure. */
static void the_ablation_agrees_with_the_replay(void **state)
{
	static const char mark[] = "percpu-mixed-dev: shrunk | ";
	static const char *const keys[] = { "kernel.populated_kB", "quire.populated_kB",
					    "quire_depopulate_off.populated_kB" };
	struct answer answer = run("replay --ablate %T/percpu-mixed-dev.katr.zst");
	char *json = read_json("percpu.json"), *row = strstr(answer.text, mark);
	char cells[13][32] = { "" }, wanted[32], path[128];

	(void)state;
	assert_int_equal(answer.status, 0);
	assert_non_null(row);
	row += strlen(mark);
	for (unsigned i = 0; i < 12; i++, row = strchr(row, '|') + 2)
		assert_int_equal(sscanf(row, "%31[0-9,]", cells[i]), 1);
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned columns[] = { 1, 2, 10 };

		snprintf(path, sizeof(path), "traces.1.marks.4.%s", keys[i]);
		put_grouped(wanted, sizeof(wanted), number_at(json, path));
		assert_string_equal(cells[columns[i]], wanted);
	}
	for (unsigned rule = 3; rule < 9; rule++)
		assert_string_not_equal(cells[rule], cells[2]);
	free(json);
}

/* The samples that follow a mark at once say what the replay says of the mark. */
static void the_series_agrees_with_the_replay(void **state)
{
	struct answer answer = run("replay --series %T/percpu-mixed-dev.katr.zst");
	char *json = read_json("percpu.json"), *line = answer.text;
	double wanted = number_at(json, "traces.1.marks.4.seconds"), seconds = 0;
	unsigned live_kB = 0, linux_kB = 0, quire_kB = 0;

	(void)state;
	assert_int_equal(answer.status, 0);
	assert_int_equal(strncmp(line, "seconds,live_kB,linux_kB,quire_kB\n", 34), 0);
	while (seconds + 0.005 < wanted) {
		line = strchr(line, '\n') + 1;
		assert_int_equal(
			sscanf(line, "%lf,%u,%u,%u", &seconds, &live_kB, &linux_kB, &quire_kB), 4);
	}
	assert_true(live_kB == number_at(json, "traces.1.marks.4.live_kB"));
	assert_true(linux_kB == number_at(json, "traces.1.marks.4.kernel.populated_kB"));
	assert_true(quire_kB == number_at(json, "traces.1.marks.4.quire.populated_kB"));
	free(json);
}

/* For each mark of each trace, on both sides. */
static void the_parts_of_the_json_add_up(void **state)
{
	static const char *const sides[] = { "kernel", "quire" };
	static const char *const parts[] = { "unmovable", "movable", "reclaimable", "mixed" };
	char *json = read_json("first.json");

	(void)state;
	for (unsigned i = 0; i < 2 * 5 * 2; i++) {
		char where[64];
		char path[128];
		double sum = 0;

		snprintf(where, sizeof(where), "traces.%u.marks.%u.%s", i / 10, i / 2 % 5,
			 sides[i % 2]);
		for (unsigned part = 0; part < 4; part++) {
			snprintf(path, sizeof(path), "%s.blocks_%s", where, parts[part]);
			sum += number_at(json, path);
		}
		snprintf(path, sizeof(path), "%s.blocks_pinned", where);
		assert_json(json, path, sum);
	}
	free(json);
}

static void threads_check_the_same_blocks(void **state)
{
	char *json;

	(void)state;
	expect("replay --threads --json %D/threads.json %T/pages-mixed.katr.zst", 0, "all intact");
	json = read_json("threads.json");
	check_mixed_facts(json, "traces.0");
	free(json);
}

/* Blanks the value of each key that is a time, so that two texts compare. */
static void blank_times(char *json)
{
	for (char *at = strstr(json, "ns_per_operation\": "); at != NULL;
	     at = strstr(at, "ns_per_operation\": ")) {
		at += strlen("ns_per_operation\": ");
		while (*at != ',' && *at != '\0')
			*at++ = '#';
	}
}

static void squeeze_blanks(char *json)
{
	char *to = json;

	for (char *at = json; *at != '\0'; at++)
		if (*at != '#')
			*to++ = *at;
	*to = '\0';
}

static void expect_same_figures(const char *first, const char *second)
{
	char *texts[2] = { read_json(first), read_json(second) };

	for (unsigned i = 0; i < 2; i++) {
		blank_times(texts[i]);
		squeeze_blanks(texts[i]);
	}
	assert_string_equal(texts[0], texts[1]);
	free(texts[0]);
	free(texts[1]);
}

static void two_replays_give_the_same_figures(void **state)
{
	(void)state;
	expect("replay --json %D/second.json " BOTH_TRACES, 0, "all intact when freed.");
	expect_same_figures("first.json", "second.json");
	expect("replay --json %D/second.json " AREAS_TRACE, 0, "all intact when freed.");
	expect_same_figures("areas.json", "second.json");
	expect("replay --json %D/second.json " PERCPU_TRACES, 0, "all intact when freed.");
	expect_same_figures("percpu.json", "second.json");
}

static void expect_100_columns(struct answer answer)
{
	assert_non_null(strstr(answer.text, "all intact when freed."));
	for (char *line = strtok(answer.text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		if (strlen(line) > 100)
			fail_msg("%zu columns: %s", strlen(line), line);
}

static void the_tables_fit_into_100_columns(void **state)
{
	(void)state;
	expect_100_columns(first_run);
	expect_100_columns(areas_run);
	expect_100_columns(percpu_run);
}

/* ---- the checker ----------------------------------------------------------------------------- */

static void the_json_reader_sees_what_is_wrong(void **state)
{
	static const char *const wrong[] = { "{",      "{\"a\": }", "[1, 2,]", "{\"a\": 1} x",
					     "\"a",    "{\"a\" 1}", "nul",     "[1 2]",
					     "{a: 1}", "" };
	static const char right[] = "{\"a\": [1, {\"b\": -2.5}], \"ab\": \"\\\"\", \"c\": null}\n";
	size_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(json_is_right(wrong[i], &offset));
	assert_true(json_is_right(right, &offset));
	assert_json(right, "a.1.b", -2.5);
	assert_json(right, "a.0", 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_json_reader_sees_what_is_wrong),
		cmocka_unit_test(wrong_use_is_named_and_ends_with_2),
		cmocka_unit_test(help_of_each_command_fits_a_screen),
		cmocka_unit_test(wrong_files_are_refused_with_the_offset),
		cmocka_unit_test(a_refused_allocation_ends_with_1),
		cmocka_unit_test(the_json_agrees_with_the_recordings),
		cmocka_unit_test(the_json_tells_the_areas_of_a_page_recording),
		cmocka_unit_test(the_json_agrees_with_the_recorded_areas),
		cmocka_unit_test(areas_in_use_are_those_not_freed),
		cmocka_unit_test(the_json_agrees_with_the_recorded_objects),
		cmocka_unit_test(populated_memory_is_at_least_what_lives),
		cmocka_unit_test(depopulate_off_is_the_column_without),
		cmocka_unit_test(stacks_and_groups_populate_little),
		cmocka_unit_test(the_ablation_agrees_with_the_replay),
		cmocka_unit_test(the_series_agrees_with_the_replay),
		cmocka_unit_test(the_parts_of_the_json_add_up),
		cmocka_unit_test(threads_check_the_same_blocks),
		cmocka_unit_test(two_replays_give_the_same_figures),
		cmocka_unit_test(the_tables_fit_into_100_columns),
	};

	if (argc < 3) {
		fprintf(stderr, "usage: command_test QUIRE TRACES\n");
		return 2;
	}
	quire_path = argv[1];
	traces_directory = argv[2];
	return cmocka_run_group_tests(tests, make_first_run, drop_directory);
}
