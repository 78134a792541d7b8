/* SPDX-License-Identifier: MIT */
/* The tests' own helper: what it says it imposes is imposed. */
#include "quire_test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "confine.h"
#include "machine/linux/sanitizer.h"

static void denied(void *arg)
{
	(void)arg;
	CHECK(syscall(SYS_getcpu, NULL, NULL, NULL) == 0);
	confine_deny(SYS_getcpu, EPERM);
	CHECK(syscall(SYS_getcpu, NULL, NULL, NULL) == -1 && errno == EPERM);
	confine_deny_argument(SYS_lseek, 2, SEEK_CUR, EXDEV);
	CHECK(lseek(-1, 0, SEEK_CUR) == -1 && errno == EXDEV);
	CHECK(lseek(-1, 0, SEEK_SET) == -1 && errno == EBADF);
}

static void denied_calls_fail_as_said(void **state)
{
	(void)state;
	expect_life(denied, NULL);
}

static void *do_nothing(void *arg)
{
	return arg;
}

static void counted(void *arg)
{
	pthread_t thread;

	(void)arg;
	confine_deny_counted(SYS_clone3, EPERM);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&thread, NULL, do_nothing, NULL) != 0);
	CHECK_VALUES(confine_denied_nr() == 3, confine_denied_nr(), 3);
}

static void denied_calls_are_counted_with_signals_blocked(void **state)
{
	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer's own thread takes the filter for granted");
	expect_life(counted, NULL);
}

static void hidden(void *arg)
{
	(void)arg;
	if (!confine_hide("/sys"))
		fprintf(stderr, "no mount namespace: not tried\n");
	else
		CHECK(access("/sys/devices", F_OK) != 0);
}

static void hidden_paths_are_empty(void **state)
{
	(void)state;
	expect_life(hidden, NULL);
}

static void use_stack(void *arg)
{
	volatile char space[3000];

	for (size_t i = 0; i < sizeof(space); i++)
		space[i] = 1;
	*(size_t *)arg += (size_t)space[0];
}

static void a_stack_and_what_is_used_of_it_are_measured(void **state)
{
	const size_t stack_bytes = MACHINE_TSAN ? 2 << 20 : 64 << 10; /* its own data is there */
	size_t calls_nr = 0;
	size_t thread = confine_to_stack(stack_bytes, use_stack, &calls_nr);
	size_t handler = confine_to_signal_stack(64 << 10, use_stack, &calls_nr);

	(void)state;
	assert_u64_eq(calls_nr, 2);
	if (MACHINE_TSAN || MACHINE_ASAN)
		skip_because("with a sanitizer frames are larger, or elsewhere");
	assert_in_range(thread, 3000, 3800);
	assert_in_range(handler, 3000, 3800);
}

static void overrun(void *arg)
{
	volatile char space[20 << 10];

	for (size_t i = sizeof(space); i-- != 0;)
		space[i] = 1;
	*(size_t *)arg += (size_t)space[0];
}

static void run_overrun(void *arg)
{
	pid_t child = child_fork();
	int status;

	if (child == 0) {
		confine_to_stack(16 << 10, overrun, arg);
		_exit(0);
	}
	status = child_wait(child);
	CHECK(WIFSIGNALED(status));
}

static void a_stack_that_is_too_small_kills(void **state)
{
	size_t calls_nr = 0;

	(void)state;
	skip_if_sanitized();
	expect_life(run_overrun, &calls_nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(denied_calls_fail_as_said),
		cmocka_unit_test(denied_calls_are_counted_with_signals_blocked),
		cmocka_unit_test(hidden_paths_are_empty),
		cmocka_unit_test(a_stack_and_what_is_used_of_it_are_measured),
		cmocka_unit_test(a_stack_that_is_too_small_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
