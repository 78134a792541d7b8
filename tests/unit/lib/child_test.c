/* SPDX-License-Identifier: MIT */
/* What goes wrong in a child of a test ends the child, and its wait status says so. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "quire_test.h"

/* If the child came back to the list of tests it would exit, as a program whose tests ran. */
static int status_of(void (*body)(void))
{
	pid_t child = child_fork();

	if (child == 0) {
		if (freopen("/dev/null", "w", stderr) != NULL)
			body();
		_exit(0);
	}
	return child_wait(child);
}

static bool ends_by(void (*body)(void), int signal_nr)
{
	int status = status_of(body);

	return WIFSIGNALED(status) && WTERMSIG(status) == signal_nr;
}

static void do_nothing(void)
{
}

static void assert_wrongly(void)
{
	assert_int_equal(getpid(), 0);
}

static void check_wrongly(void)
{
	CHECK(getpid() == 0);
}

static void crash(void)
{
	raise(SIGSEGV);
}

static void what_fails_in_a_child_ends_the_child(void **state)
{
	(void)state;
	assert_int_equal(status_of(do_nothing), 0);
	assert_true(ends_by(assert_wrongly, SIGABRT));
	assert_true(ends_by(check_wrongly, SIGABRT));
	assert_true(ends_by(crash, SIGSEGV));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fails_in_a_child_ends_the_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
