/* SPDX-License-Identifier: MIT */
/* record_program_test QUIRE PROGRAM INSTANCE - quire record -- PROGRAM, as its users meet it: what is in the recording (record_program.c) */
#include "quire_test.h"

#include <signal.h>
#include <unistd.h>

#include "scratch.h"
#include "shell.h"
#include "trace/katr.h"

static const char *quire, *program, *instance;

static int set_up(void **state)
{
	unsetenv("LD_PRELOAD");
	unsetenv("QUIRE_CONF");
	return scratch_make(state);
}

/* ---- the command ----------------------------------------------------------------------------- */

struct answer {
	int status;
	char err[4096];
};

/* Runs a line of the shell, in which $R is "quire record", $O its output, $P the program, and $I the one that has instances. */
static struct answer shell(const char *line)
{
	static char command[2048];
	struct answer answer;
	char err[128];

	snprintf(err, sizeof(err), "%s/err", scratch);
	snprintf(command, sizeof(command),
		 "R='%s record'; P='%s'; I='%s'; O='%s/o'; { %s; } 2>'%s'", quire, program,
		 instance, scratch, line, err);
	answer.status = shell_status(command);
	shell_read(err, answer.err, sizeof(answer.err));
	return answer;
}

static void expect(const char *line, int status, const char *err)
{
	struct answer answer = shell(line);

	if (answer.status != status || strstr(answer.err, err) == NULL ||
	    (err[0] == '\0' && answer.err[0] != '\0'))
		fail_msg("%s: status %d, expected %d and \"%s\":\n%s", line, answer.status, status,
			 err, answer.err);
}

/* ---- the recording --------------------------------------------------------------------------- */

#define SIZES_NR 8

/* What there is of each size. */
struct seen {
	uint64_t bytes[SIZES_NR]; /* asked for */
	uint64_t allocs[SIZES_NR], frees[SIZES_NR], inferred[SIZES_NR];
	char site[SIZES_NR][32]; /* of the last allocation */
	uint64_t fails, cpus, tasks;
	uint64_t of_kind[KATR_KINDS_NR],
		ends_of_kind[KATR_KINDS_NR]; /* allocations and frees, but those of malloc() */
	uint64_t splits, instances;
	char info[16][64];
};

static unsigned index_of(const struct seen *seen, uint64_t bytes)
{
	unsigned i = 0;

	while (i < SIZES_NR - 1 && seen->bytes[i] != bytes)
		i++;
	return i;
}

static void count(struct seen *seen, const struct katr_reader *reader,
		  const struct katr_record *record)
{
	const struct katr_class *class = &reader->classes[record->class_index];
	unsigned i = index_of(seen, class->size_bytes);

	if (class->instance != 0) {
		seen->of_kind[class->kind] += record->op == KATR_ALLOC;
		seen->ends_of_kind[class->kind] += record->op == KATR_FREE;
		if (class->instance > seen->instances)
			seen->instances = class->instance;
	}
	seen->splits += record->op == KATR_SPLIT;
	if (record->op == KATR_ALLOC) {
		seen->allocs[i]++;
		snprintf(seen->site[i], sizeof(seen->site[i]), "%s", class->site);
	} else if (record->op == KATR_FREE) {
		seen->frees[i]++;
		seen->inferred[i] += record->flag;
	} else if (record->op == KATR_FAIL) {
		seen->fails++;
	}
}

/* Reads it to the end, with all checks of the reader. */
static void look(struct seen *seen, const char *key, char *value)
{
	struct katr_reader reader;
	struct katr_record record;
	char path[128], error[256];
	int more;

	snprintf(path, sizeof(path), "%s/o", scratch);
	if (katr_open(&reader, path) == 0)
		while ((more = katr_next(&reader, &record)) > 0)
			count(seen, &reader, &record);
	if (reader.error.failed) {
		katr_describe_error(&reader, path, error, sizeof(error));
		fail_msg("%s", error);
	}
	seen->tasks = reader.tasks_nr;
	if (key != NULL)
		katr_info(&reader, key, value, 64);
	katr_close(&reader);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void every_call_is_in_the_recording(void **state)
{
	struct seen seen = { .bytes = { 1001 } };
	char value[64];

	(void)state;
	expect("$R -o $O -- $P take 50000", 0, "");
	look(&seen, "lost", value);
	assert_int_equal(seen.allocs[0], 50000);
	assert_int_equal(seen.frees[0], 0);
	assert_string_equal(value, "0");
}

static void kinds_of_calls_are_told_apart(void **state)
{
	struct seen seen = { .bytes = { 3006, 5120, 2003, 2004, 90005, 7000006, 2007 } };
	static const char *const sites[] = { "calloc",	"aligned_alloc", "malloc", "realloc",
					     "realloc", "realloc",	 "malloc" };
	static const unsigned frees[] = { 1, 0, 1, 1, 1, 0, 1 };

	(void)state;
	expect("$R -o $O -- $P kinds 0", 0, "");
	look(&seen, NULL, NULL);
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(seen.allocs[i], 1);
		assert_int_equal(seen.frees[i], frees[i]);
		assert_string_equal(seen.site[i], sites[i]);
	}
	assert_int_equal(seen.fails, 1);
}

/* ---- instances ------------------------------------------------------------------------------- */

static uint64_t info_of(const char *key)
{
	struct seen seen = { .bytes = { 0 } };
	char value[64];

	look(&seen, key, value);
	return strtoul(value, NULL, 10);
}

static void pages_are_recorded_and_what_is_freed_in_parts_is_split(void **state)
{
	struct seen seen = { .bytes = { 8 * 4096 } };

	(void)state;
	expect("$R -o $O -- $I pages", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.of_kind[KATR_PAGE], 4 + 1 + 3 + 1);
	assert_int_equal(seen.allocs[0], 4 + 1); /* five pages are of a block of eight */
	assert_int_equal(seen.splits, 3 + 3);
	assert_int_equal(seen.ends_of_kind[KATR_PAGE], 4 + 4 + 1 + 4);
	assert_int_equal(seen.fails, 1);
	assert_int_equal(info_of("page.unpaired_frees_dropped"), 0);
	assert_int_equal(info_of("page.inferred_frees"), 0);
	assert_int_equal(info_of("page.live_at_end"), 2);
}

static void areas_are_told_apart_by_the_call_that_made_them(void **state)
{
	/* With their guard pages: what is resized, a plain one, a mapping; the last has none. */
	struct seen seen = { .bytes = { 733 * 4096 + 4096, 5 * 4096 + 4096, 2 * 4096 + 4096,
					2 * 4096 } };

	(void)state;
	if (sysconf(_SC_PAGESIZE) != 4096)
		skip_because("the sizes are for pages of 4 KiB");
	expect("$R -o $O -- $I areas", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.of_kind[KATR_VMAP], 7);
	assert_int_equal(seen.ends_of_kind[KATR_VMAP], 7);
	assert_int_equal(seen.allocs[0], 1);
	assert_string_equal(seen.site[0], "quire_vrealloc");
	assert_int_equal(seen.allocs[1], 4);
	assert_string_equal(seen.site[1], "quire_kvmalloc");
	assert_string_equal(seen.site[2], "quire_vmap");
	assert_string_equal(seen.site[3], "quire_vm_map_ram");
	assert_int_equal(seen.fails, 1);
	assert_int_equal(info_of("vmap.unpaired_frees_dropped"), 0);
}

static void objects_of_caches_and_of_cpus_are_recorded(void **state)
{
	struct seen seen = { .bytes = { 1056, 40, 64, 16 } };

	(void)state;
	expect("$R -o $O -- $I objects", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.of_kind[KATR_SLAB], 9);
	assert_int_equal(seen.ends_of_kind[KATR_SLAB], 9);
	assert_int_equal(seen.allocs[0], 9);
	assert_string_equal(seen.site[0], "quire_cache_alloc");
	assert_int_equal(seen.of_kind[KATR_PERCPU], 10);
	assert_int_equal(seen.ends_of_kind[KATR_PERCPU], 10);
	assert_int_equal(seen.allocs[1], 8);
	assert_string_equal(seen.site[2], "quire_alloc_percpu");
	assert_string_equal(seen.site[3], "quire_alloc_reserved_percpu");
}

static void what_an_instance_has_ends_with_it(void **state)
{
	struct seen seen = { .bytes = { 4096 } };

	(void)state;
	expect("$R -o $O -- $I instances", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.instances, 2);
	assert_int_equal(seen.of_kind[KATR_PAGE], 6);
	assert_int_equal(seen.ends_of_kind[KATR_PAGE], 5);
	assert_int_equal(info_of("page.inferred_frees"), 4);
	assert_int_equal(info_of("page.live_at_end"), 1);
}

/* Children load the library, too, which has nothing to do with what they become. */
static void calls_of_children_on_instances_are_recorded(void **state)
{
	struct seen seen = { .bytes = { 1056 } };

	(void)state;
	expect("$R --children -o $O -- sh -c '$0 objects; $0 objects' $I", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.of_kind[KATR_SLAB], 18);
	expect("$R -o $O -- sh -c 'exec $0 objects' $I", 0, "");
	memset(&seen, 0, sizeof(seen));
	look(&seen, NULL, NULL);
	assert_int_equal(seen.of_kind[KATR_SLAB], 9);
}

static void replay_and_report_take_what_is_not_mallocs(void **state)
{
	static const char *const what[] = { "pages", "areas", "objects" };
	static const char *const shown[] = { "Zone lock", "Areas by size", "Objects by size" };
	char line[256];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		snprintf(line, sizeof(line),
			 "$R -o $O -- $I %s; ${R%% record} replay $O | grep -q '%s'", what[i],
			 shown[i]);
		expect(line, 0, "");
		expect("${R% record} replay $O | grep -q 'of a program: the kernel'", 0, "");
		expect("${R% record} report $O -o $O.html && grep -q '<svg' $O.html", 0, "");
	}
}

/* ---- what is made of it ---------------------------------------------------------------------- */

static void replay_and_report_take_the_recording(void **state)
{
	(void)state;
	expect("$R -o $O -- $P take 5000; ${R% record} replay $O | grep -q ' 5,0[0-9]* "
	       "blocks,.*all "
	       "intact'",
	       0, "");
	expect("${R% record} report $O -o $O.html && grep -q '<svg' $O.html", 0, "");
	expect("grep -q 'blocks were allocated' $O.html && grep -q 'malloc: sizes' $O.html", 0, "");
	expect("grep 'The most in use' $O.html | grep mark", 1, "");
}

/* Such as `python3 -c` has: each line would be a line of the recording's text, and a key of it. */
static void a_command_of_several_lines_is_one(void **state)
{
	struct seen seen = { .bytes = { 1001 } };
	char command[64], name[64];

	(void)state;
	expect("$R -o $O -- sh -c 'name=another\nlost=7\nexec \"$0\" take 1' $P", 0, "");
	look(&seen, "name", name);
	assert_string_equal(name, "o");
	look(&seen, "lost", name);
	assert_string_equal(name, "0");
	look(&seen, "command", command);
	assert_null(strchr(command, '\n'));
	expect("${R% record} report $O -o $O.html && grep -q '<title>o</title>' $O.html", 0, "");
}

/* SIGKILL: nothing of the program's ran after its last call. */
static void a_killed_program_is_recorded_to_its_last_call(void **state)
{
	struct seen seen = { .bytes = { 1001 } };

	(void)state;
	expect("$R -o $O -- $P killed 70001", 128 + SIGKILL, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.allocs[0], 70001);
}

/* What the two had written is in the spool. */
static void a_spool_is_recovered_after_both_were_killed(void **state)
{
	struct seen seen = { .bytes = { 1001 } };
	struct answer answer;

	(void)state;
	expect("rm -f $O; $R -o $O -- $P both 70001", 128 + SIGKILL, "Killed");
	expect("test -e $O", 1, "");
	expect("$R -o $O -- $P take 1", 1, "quire record --recover");
	answer = shell("sleep 0.2; $R --recover $O.spool -o $O");
	assert_int_equal(answer.status, 0);
	/* It may have been writing a segment, whose events are still in the ring. */
	if (answer.err[0] != '\0')
		assert_non_null(strstr(answer.err, "the last segment, at byte "));
	look(&seen, NULL, NULL);
	assert_int_equal(seen.allocs[0], 70001);
	expect("rm $O.spool", 0, "");
}

static void threads_are_tasks_and_no_event_is_lost(void **state)
{
	struct seen seen = { .bytes = { 1001 } };

	(void)state;
	expect("$R -o $O -- $P threads 20000", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.allocs[0], 80000);
	assert_int_equal(seen.frees[0], 80000);
	assert_true(seen.tasks >= 2); /* a thread may have the data of one that has ended */
}

/* If not, a block would be allocated while it is in use, or freed while it is not. */
static void events_of_a_block_are_in_order_whichever_threads_have_it(void **state)
{
	struct seen seen = { .bytes = { 1001 } };
	char dropped[64], inferred[64];

	(void)state;
	expect("$R -o $O -- $P handed 3000", 0, "");
	look(&seen, "slab.unpaired_frees_dropped", dropped);
	assert_int_equal(seen.allocs[0], 3000);
	assert_int_equal(seen.frees[0], 3000);
	assert_string_equal(dropped, "0");
	look(&seen, "slab.inferred_frees", inferred);
	assert_string_equal(inferred, "0");
}

static void children_are_recorded_if_asked_for(void **state)
{
	struct seen alone = { .bytes = { 1001, 1003 } }, both = { .bytes = { 1001, 1003 } };
	char dropped[64];

	(void)state;
	expect("$R -o $O -- $P child 5000", 0, "");
	look(&alone, NULL, NULL);
	assert_int_equal(alone.allocs[0], 5001);
	assert_int_equal(alone.frees[0], 5001);
	assert_int_equal(alone.allocs[1], 0);
	expect("$R --children -o $O -- $P child 5000", 0, "");
	look(&both, "slab.unpaired_frees_dropped", dropped);
	assert_int_equal(both.allocs[0], 5001);
	assert_int_equal(both.frees[0], 5001);
	assert_int_equal(both.allocs[1], 5000);
	assert_int_equal(both.frees[1], 5000);
	assert_string_equal(dropped, "1"); /* the parent's block, by the child */
}

static void a_handler_may_come_before_a_child_has_its_part(void **state)
{
	struct seen seen = { .bytes = { 1001 } };

	(void)state;
	expect("$R --children -o $O -- $P interrupted 1", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.allocs[0], 1);
	assert_int_equal(seen.frees[0], 0); /* the child found no part */
}

/* Else a recording of make has the blocks of all compilers at its end. */
static void what_a_child_has_ends_with_it(void **state)
{
	struct seen seen = { .bytes = { 1001, 1003 } };

	(void)state;
	expect("$R --children -o $O -- $P keeps 3000", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.allocs[1], 3000);
	assert_int_equal(seen.frees[1], 3000);
	assert_int_equal(seen.inferred[1], 3000);
	assert_int_equal(seen.allocs[0], 3000);
	assert_int_equal(seen.frees[0], 0);
}

/* Each after another, so that parts are taken again. */
static void parts_of_children_that_ended_are_taken_again(void **state)
{
	struct seen seen = { .bytes = { 1003 } };
	struct answer answer = shell("$R --children --buffer 128k -o $O -- $P children 300");
	char processes[64];

	(void)state;
	look(&seen, "processes", processes);
	/* They may begin faster than it is looked for those that have ended. */
	if (answer.status != 0)
		assert_non_null(strstr(answer.err, "processes are not in it"));
	assert_int_equal(seen.allocs[0], 10 * (strtoul(processes, NULL, 10) - 1));
	assert_true(seen.allocs[0] >= 10 * 63);
}

static void exec_ends_the_blocks_of_the_program_before(void **state)
{
	struct seen seen = { .bytes = { 1001 } };

	(void)state;
	expect("$R -o $O -- $P exec 3000", 0, "");
	look(&seen, NULL, NULL);
	assert_int_equal(seen.allocs[0], 6000);
	assert_int_equal(seen.frees[0], 3000);
	assert_int_equal(seen.inferred[0], 3000);
}

static void loss_is_counted_said_and_ends_with_3(void **state)
{
	struct seen seen = { .bytes = { 1001 } };
	struct answer answer = shell("$R --buffer 128k -o $O -- $P lose 100000");
	char lost[64];

	(void)state;
	assert_int_equal(answer.status, 3);
	assert_non_null(strstr(answer.err, " lost "));
	assert_non_null(strstr(answer.err, " s after the beginning"));
	assert_non_null(strstr(answer.err, "--buffer 64m"));
	look(&seen, "lost", lost);
	assert_true(strtoul(lost, NULL, 10) > 100000);
	assert_true(seen.allocs[0] < 100000 && seen.allocs[0] > 1000);
	/* Each pair is two events, of which one may be lost; other calls are few. */
	assert_true(seen.allocs[0] + seen.frees[0] + strtoul(lost, NULL, 10) <
		    200000 + seen.inferred[0] + 2000);
}

static void what_cannot_be_recorded_is_refused(void **state)
{
	(void)state;
	expect("$R -o $O -- no-such-program", 127, "no-such-program: No such file");
	expect("test -e $O.spool", 1, "");
	expect("$R -o /nowhere/o -- $P take 1", 1, "/nowhere/o.spool: No such file");
	expect("$R -o - -- $P take 1", 2, "'-': a recording is a file");
	expect("$R -o / -- $P take 1", 2, "'/': a recording is a file");
	expect("$R --recover $P -o $O", 2, "at byte 0: no spool");
	expect("$R --recover /nowhere/spool", 2, "/nowhere/spool: No such file");
	expect("$R --children -o $O", 2, "--children goes with a program");
	expect("$R --recover x -- $P", 2, "--recover goes without a program");
	expect("$R --recover x --mark y", 2, "--mark is for the kernel");
	expect("$R --events page -o $O -- $P take 1", 2, "--events is for the kernel");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_is_in_the_recording),
		cmocka_unit_test(kinds_of_calls_are_told_apart),
		cmocka_unit_test(pages_are_recorded_and_what_is_freed_in_parts_is_split),
		cmocka_unit_test(areas_are_told_apart_by_the_call_that_made_them),
		cmocka_unit_test(objects_of_caches_and_of_cpus_are_recorded),
		cmocka_unit_test(what_an_instance_has_ends_with_it),
		cmocka_unit_test(calls_of_children_on_instances_are_recorded),
		cmocka_unit_test(replay_and_report_take_what_is_not_mallocs),
		cmocka_unit_test(replay_and_report_take_the_recording),
		cmocka_unit_test(a_command_of_several_lines_is_one),
		cmocka_unit_test(a_killed_program_is_recorded_to_its_last_call),
		cmocka_unit_test(a_spool_is_recovered_after_both_were_killed),
		cmocka_unit_test(threads_are_tasks_and_no_event_is_lost),
		cmocka_unit_test(events_of_a_block_are_in_order_whichever_threads_have_it),
		cmocka_unit_test(children_are_recorded_if_asked_for),
		cmocka_unit_test(a_handler_may_come_before_a_child_has_its_part),
		cmocka_unit_test(what_a_child_has_ends_with_it),
		cmocka_unit_test(parts_of_children_that_ended_are_taken_again),
		cmocka_unit_test(exec_ends_the_blocks_of_the_program_before),
		cmocka_unit_test(loss_is_counted_said_and_ends_with_3),
		cmocka_unit_test(what_cannot_be_recorded_is_refused),
	};

	if (argc != 4)
		return 2;
	quire = argv[1];
	program = argv[2];
	instance = argv[3];
	return cmocka_run_group_tests(tests, set_up, scratch_remove);
}
