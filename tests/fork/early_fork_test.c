/* SPDX-License-Identifier: MIT */
/*
 * A program forks in a constructor of the first priority, beside a thread that it started there.
 *
 * Linked with the static library, such a constructor runs before the library's own, which registers the
 * handlers of fork: they have to be there by the first instance.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/page.h>

#include "machine/atomic.h"
#include "machine/linux/sanitizer.h"
#include "page/pages.h"
#include "quire_test.h"

static uint32_t is_over; /* atomic */
static struct quire *q;
static uint64_t kept_by_child;

static void *keep_lists_off(void *arg)
{
	quire_pcp_disable(q);
	pthread_barrier_wait(arg);
	while (!load_relaxed(&is_over))
		sched_yield();
	quire_pcp_enable(q);
	return NULL;
}

/* A child has none of its parent's other threads, nor what they kept: the handler in it says so. */
static __attribute__((constructor(101))) void before_all(void)
{
	pthread_barrier_t is_off;
	pthread_t thread;
	int status = 0;
	pid_t pid;

	if (MACHINE_TSAN) /* it has no threads yet */
		return;
	q = quire_default();
	pthread_barrier_init(&is_off, NULL, 2);
	pthread_create(&thread, NULL, keep_lists_off, &is_off);
	pthread_barrier_wait(&is_off);
	pid = fork();
	if (pid == 0)
		_exit(pages_of(q)->zone[0].depot.disabled);
	kept_by_child = waitpid(pid, &status, 0) == pid ? (uint64_t)status : UINT64_MAX;
	store_relaxed(&is_over, 1);
	pthread_join(thread, NULL);
}

static void a_fork_before_the_librarys_constructor_is_one_like_any(void **state)
{
	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has no threads in a child of fork");
	assert_non_null(q);
	assert_u64_eq(kept_by_child, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fork_before_the_librarys_constructor_is_one_like_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
