/* SPDX-License-Identifier: MIT */
/* A fault outside of the sample's pages, and a SIGSEGV that was sent, are what they were without the sample. */
#include "quire_test.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "malloc/sampled.h"

/* No address is the sample's. */
bool sampled_find(const void *addr, struct sampled_place *place)
{
	(void)addr;
	(void)place;
	return false;
}

unsigned trace_walk(const struct malloc_call *call, uint64_t *pc, unsigned most)
{
	(void)call;
	(void)pc;
	(void)most;
	return 0;
}

static sigjmp_buf back;

static void programs_own(int number)
{
	siglongjmp(back, number);
}

static void fault(void)
{
	volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	page[0] = 1;
}

/* Runs @end with @handler as the program's and the sample watching, which was begun @times.  Returns how it ended. */
static int status_of(void (*handler)(int), unsigned times, void (*end)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		alarm(10);
		signal(SIGSEGV, handler);
		for (unsigned i = 0; i < times; i++)
			sampled_watch_faults();
		if (sigsetjmp(back, 1) != 0)
			_exit(7);
		end();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void send(void)
{
	raise(SIGSEGV);
}

static void the_programs_handler_sees_a_fault_elsewhere(void **state)
{
	(void)state;
	assert_int_equal(WEXITSTATUS(status_of(programs_own, 1, fault)), 7);
}

/* A child of fork may make the heap that its parent was making. */
static void watching_twice_loses_no_handler(void **state)
{
	int status = status_of(programs_own, 2, fault);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void without_a_handler_a_fault_ends_the_process(void **state)
{
	int status = status_of(SIG_DFL, 1, fault);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* Time and again: the first one does not take the watch away. */
static void sends_and_looks(void)
{
	struct sigaction found;

	send();
	send();
	sigaction(SIGSEGV, NULL, &found);
	_exit(found.sa_flags & SA_SIGINFO ? 9 : 8);
}

static void a_signal_that_is_ignored_stays_ignored(void **state)
{
	int status = status_of(SIG_IGN, 1, sends_and_looks);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_programs_handler_sees_a_fault_elsewhere),
		cmocka_unit_test(watching_twice_loses_no_handler),
		cmocka_unit_test(without_a_handler_a_fault_ends_the_process),
		cmocka_unit_test(a_signal_that_is_ignored_stays_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
