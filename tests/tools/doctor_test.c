/* SPDX-License-Identifier: MIT */
/*
 * doctor_test QUIRE - `quire doctor` says what is refused, what that costs, and how to mend it
 *
 * Each test refuses one thing to a child, which then becomes the command.
 */
#include "quire_test.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "common/json_reader.h"

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

static const char *quire_path;

static struct {
	int status;
	char text[16384]; /* both streams */
} answer;

/* `quire doctor` with one thing refused. */
struct call {
	void (*confine)(void);
	const char *option, *another;
};

static void become(void *arg)
{
	const struct call *call = arg;

	if (call->confine != NULL)
		call->confine();
	execl(quire_path, quire_path, "doctor", call->option, call->another, NULL);
	_exit(127);
}

static void run_options(void (*confine)(void), const char *option, const char *another)
{
	struct call call = { .confine = confine, .option = option, .another = another };

	answer.status = child_answer(become, &call, answer.text, sizeof(answer.text));
}

static void run(void (*confine)(void), const char *option)
{
	run_options(confine, option, NULL);
}

static void run_two(const char *option, const char *another)
{
	run_options(NULL, option, another);
}

/* The lines of a check, which end where the next one's state is: its state, and a word of what follows. */
static void expect(const char *name, const char *state, const char *says)
{
	char begins[64], lines[1024] = "";
	const char *at;

	snprintf(begins, sizeof(begins), "%-8s %-16s ", state, name);
	at = strstr(answer.text, begins);
	if (at != NULL) {
		const char *end = strchr(at, '\n');

		while (end != NULL && end[1] == ' ')
			end = strchr(end + 1, '\n');
		snprintf(lines, sizeof(lines), "%.*s", (int)(end != NULL ? end - at : 1000), at);
	}
	if (strstr(lines, says) == NULL)
		fail_msg("expected \"%s... %s\" in:\n%s", begins, says, answer.text);
}

/* ---- claims ---- */

static void every_check_has_a_line_and_json_has_the_same(void **state)
{
	static const char *const names[] = {
		"rseq",	      "mm_cid",	   "membarrier", "process_madvise", "guards",
		"huge pages", "memfd",	   "limit",	 "pressure",	    "mappings",
		"addresses",  "observing", "tracefs"
	};
	char quoted[64];
	size_t offset;

	(void)state;
	run(NULL, NULL);
	assert_true(answer.status == 0 || answer.status == 1);
	assert_int_equal(answer.status, strstr(answer.text, "missing ") != NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(strstr(answer.text, names[i]));
	run(NULL, "--json");
	assert_true(json_is_right(answer.text, &offset));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(quoted, sizeof(quoted), "{ \"name\": \"%s\", ", names[i]);
		assert_non_null(strstr(answer.text, quoted));
	}
}

static void without_rseq(void)
{
	setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
}

static void missing_sequences_are_measured_and_can_be_mended(void **state)
{
	(void)state;
	run(without_rseq, NULL);
	assert_int_equal(answer.status, 1);
	expect("rseq", "missing", "glibc.pthread.rseq=1");
	expect("mm_cid", "note", "there are no sequences");
}

static void without_fence(void)
{
	confine_deny(SYS_membarrier, EPERM);
}

static void a_filter_is_seen_where_the_kernel_has_the_call(void **state)
{
	(void)state;
	run(without_fence, NULL);
	assert_int_equal(answer.status, 1);
	expect("membarrier", "missing", "SystemCallFilter=membarrier");
	expect("rseq", "missing", "see membarrier");
}

static void without_vectors(void)
{
	confine_deny(SYS_process_madvise, EPERM);
}

static void a_refused_process_madvise_costs_calls(void **state)
{
	(void)state;
	run(without_vectors, NULL);
	assert_int_equal(answer.status, 1);
	expect("process_madvise", "missing", "process_madvise is refused (EPERM)");
	expect("process_madvise", "missing", "SystemCallFilter=process_madvise");
}

/* As a kernel does that has process_madvise and not the number for the process itself. */
static void without_a_descriptor(void)
{
	confine_deny(SYS_process_madvise, EBADF);
	confine_deny(SYS_pidfd_open, EPERM);
}

static void a_refused_descriptor_is_named_as_what_was_refused(void **state)
{
	(void)state;
	run(without_a_descriptor, NULL);
	expect("process_madvise", "missing", "pidfd_open is refused (EPERM)");
	expect("process_madvise", "missing", "SystemCallFilter=pidfd_open");
}

static void without_folders(void)
{
	unsetenv("XDG_RUNTIME_DIR");
	confine_deny(SYS_fallocate, ENOSPC);
}

static void a_folder_without_room_is_none(void **state)
{
	(void)state;
	run(without_folders, NULL);
	assert_int_equal(answer.status, 1);
	expect("observing", "missing", "ENOSPC");
	expect("observing", "missing", "mount a tmpfs");
}

static void without_proc(void)
{
	if (!confine_hide("/proc"))
		_exit(77);
}

static void without_proc_it_says_what_it_can(void **state)
{
	(void)state;
	skip_if_sanitized();
	run(without_proc, NULL);
	if (answer.status == 77)
		skip_because("no file system may be mounted here");
	assert_int_equal(answer.status, 1);
	expect("pressure", "missing", "refused (ENOENT)");
}

static void without_guards(void)
{
	confine_deny_argument(SYS_madvise, 2, 102, EINVAL);
}

static void missing_guards_are_mappings(void **state)
{
	(void)state;
	run(without_guards, NULL);
	assert_int_equal(answer.status, 1);
	expect("guards", "missing", "Linux 6.13");
}

static void with_few_addresses(void)
{
	confine_limit(RLIMIT_AS, (rlim_t)1 << 30);
}

static void a_limit_of_addresses_is_named(void **state)
{
	(void)state;
	skip_if_sanitized();
	run(with_few_addresses, NULL);
	assert_int_equal(answer.status, 1);
	expect("addresses", "missing", "ulimit -v unlimited");
	expect("limit", "note", "the addresses that were reserved");
}

static void a_service_gets_what_a_filter_must_allow(void **state)
{
	(void)state;
	run(NULL, "--service");
	assert_int_equal(answer.status, 0);
	assert_non_null(strstr(answer.text, "\n#SystemCallFilter=rseq membarrier process_madvise"));
	assert_null(strstr(answer.text, "\nSystemCallFilter="));
	assert_non_null(strstr(answer.text, "LD_PRELOAD=libquire-malloc.so.0"));
}

static void wrong_use_is_refused(void **state)
{
	(void)state;
	run(NULL, "--jsn");
	assert_int_equal(answer.status, 2);
	assert_non_null(strstr(answer.text, "the nearest option is '--json'"));
	run_two("--json", "--service");
	assert_int_equal(answer.status, 2);
	assert_non_null(strstr(answer.text, "one of --json and --service"));
	run(NULL, "rseq");
	assert_int_equal(answer.status, 2);
	assert_non_null(strstr(answer.text, "no argument such as 'rseq'"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_check_has_a_line_and_json_has_the_same),
		cmocka_unit_test(missing_sequences_are_measured_and_can_be_mended),
		cmocka_unit_test(a_filter_is_seen_where_the_kernel_has_the_call),
		cmocka_unit_test(a_refused_process_madvise_costs_calls),
		cmocka_unit_test(a_refused_descriptor_is_named_as_what_was_refused),
		cmocka_unit_test(a_folder_without_room_is_none),
		cmocka_unit_test(without_proc_it_says_what_it_can),
		cmocka_unit_test(missing_guards_are_mappings),
		cmocka_unit_test(a_limit_of_addresses_is_named),
		cmocka_unit_test(a_service_gets_what_a_filter_must_allow),
		cmocka_unit_test(wrong_use_is_refused),
	};

	if (argc != 2)
		return 2;
	quire_path = argv[1];
	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
