/* SPDX-License-Identifier: MIT */
/*
 * A process forks again and again while its threads allocate, a handler fires on the forking
 * thread, and a worker gives memory back.  Child and parent both go on: the child finds what the
 * forking thread held as it was, and allocates, frees, drains, verifies and releases.
 *
 * QUIRE_FORKS sets how many forks there are.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "machine/linux/sanitizer.h"
#include "page/alloc.h"
#include "page/free.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/request.h"
#include "quire_test.h"
#include "stress.h"

#define FORKS	   300u
#define THREADS_NR 2u
#define PARENT_S   100u

/* What a child found wrong is its exit status. */
enum finding {
	CHILD_FINE,
	CHILD_REFUSED,
	CHILD_BROKEN,
	CHILD_VERIFY,
	CHILD_CACHED_LEFT,
	CHILD_LOST_LEFT,
	CHILD_NO_WORKER,
	CHILD_LISTS_OFF,
	CHILD_LISTS_ON,
};

static struct {
	struct quire *q;
	struct stress_owner threads[THREADS_NR];
	struct stress_owner main, handler;
	bool handler_runs;
	bool stop;
	pthread_t ids[THREADS_NR];
} scene;

static void tick(int signal_nr)
{
	int errno_before = errno; /* a refusal sets it */

	(void)signal_nr;
	for (unsigned i = 0; scene.handler_runs && i < 4; i++)
		stress_step(&scene.handler);
	errno = errno_before;
}

static void *thread_run(void *arg)
{
	struct stress_owner *owner = arg;

	while (!__atomic_load_n(&scene.stop, __ATOMIC_RELAXED))
		stress_step(owner);
	stress_end(owner);
	return NULL;
}

/* Threads have every signal blocked, so that the handler fires on the forking thread. */
static void threads_start(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < THREADS_NR; i++)
		assert_int_equal(pthread_create(&scene.ids[i], NULL, thread_run, &scene.threads[i]),
				 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void threads_stop(void)
{
	__atomic_store_n(&scene.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS_NR; i++)
		assert_int_equal(pthread_join(scene.ids[i], NULL), 0);
}

static void scene_begin(enum quire_switch rseq)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)128 << 20, .rseq = rseq,
				   .worker = MACHINE_TSAN ? QUIRE_WORKER_OFF : QUIRE_WORKER_THREAD,
				   .decay_ms = 1);
	struct sigaction action = { .sa_handler = tick, .sa_flags = SA_RESTART };

	memset(&scene, 0, sizeof(scene));
	assert_int_equal(quire_create(&options, &scene.q), 0);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		stress_begin(&scene.threads[i], scene.q, i);
		scene.threads[i].order_max = 9;
	}
	stress_begin(&scene.main, scene.q, 50);
	stress_begin(&scene.handler, scene.q, 51);
	scene.handler.flags = QUIRE_NOLOCK;
	scene.handler.slots_nr = 32;
	scene.handler_runs = true;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
}

static void scene_end(void)
{
	alarm_every_us(0);
	scene.handler_runs = false;
	threads_stop();
	stress_end(&scene.main);
	stress_end(&scene.handler);
	assert_u64_eq(scene.main.broken + scene.handler.broken, 0);
	for (unsigned i = 0; i < THREADS_NR; i++)
		assert_u64_eq(scene.threads[i].broken, 0);
	stress_assert_conserved(scene.q);
	quire_destroy(scene.q);
}

/* ---- the child ------------------------------------------------------------------------------------- */

/* With a handler at work (and only then) pages are cached again at once. */
static enum finding child_checks(bool quiet)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_drain_all(scene.q);
	quire_page_stat_read(scene.q, &stat);
	if (quiet && stat.cached_pages != 0)
		return CHILD_CACHED_LEFT;
	if (quiet &&
	    stat.free_pages + stat.allocated_pages + stat.deferred_pages + stat.fork_lost_pages !=
		    stat.online_pages)
		return CHILD_LOST_LEFT;
	if (quiet && quire_verify(scene.q) != 0)
		return CHILD_VERIFY;
	quire_release(scene.q);
	return quiet && quire_verify(scene.q) != 0 ? CHILD_VERIFY : CHILD_FINE;
}

static enum finding child_main(void)
{
	uint64_t refused = scene.main.refused;

	for (unsigned i = 0; i < 400; i++)
		stress_step(&scene.main);
	stress_end(&scene.main);
	if (scene.main.broken != 0)
		return CHILD_BROKEN;
	return scene.main.refused != refused ? CHILD_REFUSED : CHILD_FINE;
}

/* In every other child the handler fires on; the watchdog ends it with its parent. */
static _Noreturn void child_run(unsigned nth)
{
	bool quiet = nth % 2 == 0;
	enum finding finding;

	if (!quiet)
		alarm_every_us(100);
	finding = child_main();
	if (finding == CHILD_FINE)
		finding = child_checks(quiet);
	alarm_every_us(0);
	scene.handler_runs = false;
	stress_end(&scene.handler);
	_exit(scene.handler.broken != 0 ? CHILD_BROKEN : (int)finding);
}

static void check_child(pid_t child)
{
	int status = child_wait(child);

	if (status != 0)
		fail_msg("wait status %#x: a signal, or finding %u", (unsigned)status,
			 (unsigned)WEXITSTATUS(status));
}

static void fork_again_and_again(enum quire_switch rseq, uint64_t forks)
{
	scene_begin(rseq);
	threads_start();
	alarm_every_us(100);
	for (uint64_t i = 0; i < forks; i++) {
		pid_t child;

		for (unsigned step = 0; step < 200; step++)
			stress_step(&scene.main);
		child = child_fork();
		if (child == 0)
			child_run((unsigned)i);
		check_child(child);
	}
	scene_end();
}

static void child_and_parent_go_on_with_sequences(void **state)
{
	(void)state;
	fork_again_and_again(QUIRE_ON, env_u64("QUIRE_FORKS", FORKS) / 2);
}

static void child_and_parent_go_on_with_locks(void **state)
{
	(void)state;
	fork_again_and_again(QUIRE_OFF, env_u64("QUIRE_FORKS", FORKS) / 2);
}

/* ---- the worker in a child ------------------------------------------------------------------------- */

static void child_starts_a_worker(void *arg)
{
	size_t threads = count_threads();
	void *page = quire_alloc_pages(scene.q, 0, 0);
	uint64_t end_ns = await_begin();

	/* Its stack is kept if it has done its work and ended meanwhile. */
	(void)arg;
	pages_of(scene.q)->worth_pages = 0; /* a page is worth a worker */
	while (scene.q->work.stack == NULL && await_more(end_ns)) {
		quire_free_pages(scene.q, page, 0);
		quire_drain_all(scene.q);
		page = quire_alloc_pages(scene.q, 4, 0);
		quire_free_pages(scene.q, page, 4);
		page = quire_alloc_pages(scene.q, 0, 0);
	}
	if (threads != 1 || scene.q->work.stack == NULL)
		_exit(CHILD_NO_WORKER);
}

static void the_worker_begins_again_in_a_child(void **state)
{
	void *page;

	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has no threads in a child of fork");
	scene_begin(QUIRE_ON);
	page = quire_alloc_pages(scene.q, 4, 0);
	assert_non_null(page);
	expect_life(child_starts_a_worker, NULL);
	quire_free_pages(scene.q, page, 4);
	stress_assert_conserved(scene.q);
	quire_destroy(scene.q);
}

/* ---- what is lost ---------------------------------------------------------------------------------- */

static void child_counts_what_was_lost(void *arg)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	(void)arg;
	quire_page_stat_read(scene.q, &stat);
	if (stat.fork_lost_pages != 0)
		_exit(CHILD_LOST_LEFT);
}

static void a_fork_of_a_single_thread_loses_nothing(void **state)
{
	(void)state;
	scene_begin(QUIRE_ON);
	for (unsigned i = 0; i < 1000; i++)
		stress_step(&scene.main);
	expect_life(child_counts_what_was_lost, NULL);
	stress_end(&scene.main);
	stress_assert_conserved(scene.q);
	quire_destroy(scene.q);
}

/* A run that says cached and that nothing holds: a thread of the parent has it in its hands. */
static void child_lost_four_pages(void *arg)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	(void)arg;
	quire_page_stat_read(scene.q, &stat);
	if (stat.fork_lost_pages != 4)
		_exit(CHILD_LOST_LEFT);
	if (quire_verify(scene.q) != 0)
		_exit(CHILD_VERIFY);
	quire_release(scene.q);
	quire_page_stat_read(scene.q, &stat);
	if (stat.fork_lost_pages != 4 || stat.allocated_pages != 0)
		_exit(CHILD_LOST_LEFT);
}

static void pages_in_other_threads_hands_are_lost_and_counted(void **state)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	uint32_t frame;

	(void)state;
	scene_begin(QUIRE_ON);
	frame = page_alloc_frame(pages_of(scene.q), &(struct page_request){ .order = 2 });
	assert_true(frame != FRAME_NONE);
	expect_life(child_lost_four_pages, NULL);
	quire_page_stat_read(scene.q, &stat);
	assert_u64_eq(stat.fork_lost_pages, 0);
	page_free_frame(pages_of(scene.q), frame, 2);
	stress_assert_conserved(scene.q);
	quire_destroy(scene.q);
}

/* ---- what is switched off -------------------------------------------------------------------------- */

static uint64_t cached_after_a_free(void)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_free_pages(scene.q, quire_alloc_pages(scene.q, 0, 0), 0);
	quire_page_stat_read(scene.q, &stat);
	return stat.cached_pages;
}

static void child_finds_its_lists_on(void *arg)
{
	(void)arg;
	if (cached_after_a_free() == 0)
		_exit(CHILD_LISTS_OFF);
	quire_pcp_enable(scene.q); /* for the thread that is not there */
	if (cached_after_a_free() == 0)
		_exit(CHILD_LISTS_OFF);
	quire_pcp_disable(scene.q);
	if (cached_after_a_free() != 0)
		_exit(CHILD_LISTS_ON);
}

static void child_finds_its_lists_off(void *arg)
{
	(void)arg;
	if (cached_after_a_free() != 0)
		_exit(CHILD_LISTS_ON);
	quire_pcp_enable(scene.q);
	if (cached_after_a_free() == 0)
		_exit(CHILD_LISTS_OFF);
}

static void *disables(void *arg)
{
	pthread_barrier_t *barrier = arg;

	quire_pcp_disable(scene.q);
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	quire_pcp_enable(scene.q);
	return NULL;
}

static void lists_that_another_thread_switched_off_are_on_in_a_child(void **state)
{
	pthread_barrier_t barrier;
	pthread_t thread;

	(void)state;
	scene_begin(QUIRE_ON);
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, disables, &barrier), 0);
	pthread_barrier_wait(&barrier);
	expect_life(child_finds_its_lists_on, NULL);
	quire_pcp_disable(scene.q);
	expect_life(child_finds_its_lists_off, NULL);
	quire_pcp_enable(scene.q);
	assert_u64_eq(cached_after_a_free(), 0);
	pthread_barrier_wait(&barrier);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(cached_after_a_free() != 0);
	pthread_barrier_destroy(&barrier);
	quire_destroy(scene.q);
}

static void lists_that_the_forking_thread_switched_off_are_off_in_its_child(void **state)
{
	(void)state;
	scene_begin(QUIRE_ON);
	quire_pcp_disable(scene.q);
	expect_life(child_finds_its_lists_off, NULL);
	quire_pcp_enable(scene.q);
	quire_destroy(scene.q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worker_begins_again_in_a_child),
		cmocka_unit_test(a_fork_of_a_single_thread_loses_nothing),
		cmocka_unit_test(pages_in_other_threads_hands_are_lost_and_counted),
		cmocka_unit_test(lists_that_another_thread_switched_off_are_on_in_a_child),
		cmocka_unit_test(lists_that_the_forking_thread_switched_off_are_off_in_its_child),
		cmocka_unit_test(child_and_parent_go_on_with_sequences),
		cmocka_unit_test(child_and_parent_go_on_with_locks),
	};
	pid_t dog = watchdog_start(PARENT_S + (unsigned)(env_u64("QUIRE_FORKS", FORKS) / 10));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	kill(dog, SIGKILL);
	return failed;
}
