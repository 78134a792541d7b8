/* SPDX-License-Identifier: MIT */
/*
 * Programs end in every way there is while their threads, and the worker, are in the middle of calls:
 * nothing of ours is taken away, no lock of ours is waited for, and destructors, handlers of atexit()
 * and C++ objects still find everything.  Each end is a race, so each way is tried some times.
 *
 * QUIRE_ENDS sets how many times.  QUIRE_PROGRAMS names the folder of the programs.
 */
#include "quire_test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENDS	40u
#define WAIT_MS 20000u

static const char *const builds[] = { "ends_shared", "ends_static" };

/* The status of a program that may not take long; one that hangs is killed by SIGKILL. */
static int run(const char *program, const char *way)
{
	const char *folder = getenv("QUIRE_PROGRAMS");
	char path[4096];
	pid_t child, got;
	int status = -1;

	assert_non_null(folder);
	snprintf(path, sizeof(path), "%s/%s", folder, program);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		setenv("QUIRE_CONF", "decay:1", 1);
		/* A handler that ends a program may have interrupted the sanitizer with its locks held,
		 * which the search for leaks waits for. */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execl(path, path, way, (char *)NULL);
		_exit(127);
	}
	for (unsigned ms = 0; (got = waitpid(child, &status, WNOHANG)) == 0; ms++) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		if (ms == WAIT_MS)
			kill(child, SIGKILL);
	}
	assert_int_equal(got, child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : status; /* dumped or not */
}

static void expect_ends(const char *way, int expected)
{
	uint64_t ends = env_u64("QUIRE_ENDS", ENDS);

	for (uint64_t i = 0; i < ends * 2; i++) {
		int status = run(builds[i % 2], way);

		if (status != expected)
			fail_msg("%s %s, turn %llu: wait status %#x", builds[i % 2], way,
				 (unsigned long long)i, (unsigned)status);
	}
}

static void main_returns_while_threads_count(void **state)
{
	(void)state;
	expect_ends("return", 0);
}

static void exit_is_called_while_threads_count(void **state)
{
	(void)state;
	expect_ends("exit", 0);
}

static void another_thread_calls_exit(void **state)
{
	(void)state;
	expect_ends("thread", 0);
}

static void a_handler_calls_exit_in_the_middle_of_a_call(void **state)
{
	(void)state;
	expect_ends("handler", 0);
}

static void a_handler_aborts_in_the_middle_of_a_call(void **state)
{
	(void)state;
	expect_ends("abort", SIGABRT);
}

static void quick_exit_and__exit_run_nothing_of_ours(void **state)
{
	(void)state;
	expect_ends("quick", 0);
	expect_ends("at_once", 0);
}

static void variables_outlive_the_default_instance(void **state)
{
	(void)state;
	expect_ends("destroy", 0);
}

/* The program's constructor is linked before, or after, the file that defines the variable. */
static void a_constructor_finds_variables_of_any_file(void **state)
{
	(void)state;
	assert_int_equal(run("order_use_first", NULL), 0);
	assert_int_equal(run("order_define_first", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_returns_while_threads_count),
		cmocka_unit_test(exit_is_called_while_threads_count),
		cmocka_unit_test(another_thread_calls_exit),
		cmocka_unit_test(a_handler_calls_exit_in_the_middle_of_a_call),
		cmocka_unit_test(a_handler_aborts_in_the_middle_of_a_call),
		cmocka_unit_test(quick_exit_and__exit_run_nothing_of_ours),
		cmocka_unit_test(variables_outlive_the_default_instance),
		cmocka_unit_test(a_constructor_finds_variables_of_any_file),
	};

	return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}
