/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "machine/linux/cpulist.h"
#include "machine/lock.h"
#include "machine/process.h"

/* --- fork --- */

#define EVENTS_MAX 32

static char events[EVENTS_MAX + 1];
static size_t events_nr;

struct recorder {
	struct process_member member;
	char prepare, parent, child; /* what each call is written down as */
};

static void record(char event)
{
	CHECK(events_nr < EVENTS_MAX);
	events[events_nr++] = event;
	events[events_nr] = '\0';
}

/* The member is the first field. */
static struct recorder *recorder_of(struct process_member *member)
{
	return (struct recorder *)(void *)member;
}

static void record_prepare(struct process_member *member)
{
	CHECK(lock_nested()); /* the list is locked */
	record(recorder_of(member)->prepare);
}

static void record_parent(struct process_member *member)
{
	record(recorder_of(member)->parent);
}

static void record_child(struct process_member *member)
{
	record(recorder_of(member)->child);
}

static void recorder_register(struct recorder *recorder, const char *letters)
{
	*recorder = (struct recorder){
		.member = { .fork_prepare = record_prepare,
			    .fork_parent = record_parent,
			    .fork_child = record_child },
		.prepare = letters[0],
		.parent = letters[1],
		.child = letters[2],
	};
	process_register(&recorder->member);
}

/* Forks; gives how the child found its list of events. */
static int fork_and_compare(const char *expected_in_child)
{
	int status;
	pid_t child;

	events_nr = 0;
	events[0] = '\0';
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(strcmp(events, expected_in_child) == 0 && !lock_nested() ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void fork_prepares_in_order_and_ends_in_reverse(void **state)
{
	struct recorder a, b, c;

	(void)state;
	recorder_register(&a, "aAx");
	recorder_register(&b, "bBy");
	recorder_register(&c, "cCz");
	assert_int_equal(fork_and_compare("abczyx"), 0);
	assert_string_equal(events, "abcCBA");
	assert_false(lock_nested());

	process_unregister(&b.member);
	assert_int_equal(fork_and_compare("aczx"), 0);
	assert_string_equal(events, "acCA");

	process_unregister(&a.member);
	process_register(&b.member);
	assert_int_equal(fork_and_compare("cbyz"), 0);
	assert_string_equal(events, "cbBC");

	process_unregister(&c.member);
	process_unregister(&b.member);
	assert_int_equal(fork_and_compare(""), 0);
	assert_string_equal(events, "");
}

static void child_may_fork_and_register_again(void *arg)
{
	struct recorder a, b;

	(void)arg;
	recorder_register(&a, "aAx");
	CHECK(fork_and_compare("ax") == 0);
	recorder_register(&b, "bBy");
	CHECK(fork_and_compare("abyx") == 0);
}

static void handlers_are_registered_once(void **state)
{
	(void)state;
	expect_life(child_may_fork_and_register_again, NULL);
}

/* --- CPUs --- */

static void cpulist_end_is_one_past_the_largest(void **state)
{
	(void)state;
	assert_u64_eq(cpulist_end("0\n"), 1);
	assert_u64_eq(cpulist_end("0-3\n"), 4);
	assert_u64_eq(cpulist_end("0,2,9-11\n"), 12);
	assert_u64_eq(cpulist_end("64-127,0-3"), 128);
	assert_u64_eq(cpulist_end("0-3,2-9"), 10);
	assert_u64_eq(cpulist_end("\n"), 0);
	assert_u64_eq(cpulist_end(""), 0);
	assert_u64_eq(cpulist_end("nonsense"), 0);
	assert_true(cpulist_end("99999999999999999999") < 1000000);
}

static void cpulist_has_what_it_spans(void **state)
{
	(void)state;
	assert_true(cpulist_has("0-3,8\n", 0));
	assert_true(cpulist_has("0-3,8\n", 3));
	assert_true(cpulist_has("0-3,8\n", 8));
	assert_false(cpulist_has("0-3,8\n", 4));
	assert_false(cpulist_has("0-3,8\n", 9));
	assert_false(cpulist_has("\n", 0));
}

static void possible_cpus_are_what_the_kernel_says(void **state)
{
	char list[4096];
	FILE *file = fopen("/sys/devices/system/cpu/possible", "r");

	(void)state;
	assert_true(process_cpus_possible() >= (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
	if (file == NULL)
		skip_because("no list of possible CPUs in /sys");
	assert_non_null(fgets(list, sizeof(list), file));
	fclose(file);
	assert_u64_eq(process_cpus_possible(), cpulist_end(list));
}

static void current_cpu_is_the_one_we_are_pinned_to(void **state)
{
	cpu_set_t before;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (int cpu = 0; (cpu = allowed_cpu_next((unsigned)cpu)) >= 0; cpu++) {
		assert_true(pin_to_cpu((unsigned)cpu));
		assert_u64_eq(process_cpu(), cpu);
		assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	}
}

static void every_cpu_has_a_node(void **state)
{
	(void)state;
	for (unsigned cpu = 0; cpu < process_cpus_possible(); cpu++)
		assert_true(process_cpu_node(cpu) < 1024);
	assert_u64_eq(process_cpu_node(1u << 20), 0); /* no such CPU */
}

static void environment_and_errno_pass_through(void **state)
{
	(void)state;
	assert_int_equal(setenv("QUIRE_TEST_VARIABLE", "on", 1), 0);
	assert_string_equal(process_env("QUIRE_TEST_VARIABLE"), "on");
	assert_null(process_env("QUIRE_TEST_NO_SUCH_VARIABLE"));
	process_set_errno(EXDEV);
	assert_int_equal(errno, EXDEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fork_prepares_in_order_and_ends_in_reverse),
		cmocka_unit_test(handlers_are_registered_once),
		cmocka_unit_test(cpulist_end_is_one_past_the_largest),
		cmocka_unit_test(cpulist_has_what_it_spans),
		cmocka_unit_test(possible_cpus_are_what_the_kernel_says),
		cmocka_unit_test(current_cpu_is_the_one_we_are_pinned_to),
		cmocka_unit_test(every_cpu_has_a_node),
		cmocka_unit_test(environment_and_errno_pass_through),
	};

	return cmocka_run_group_tests_name("machine_process", tests, NULL, NULL);
}
