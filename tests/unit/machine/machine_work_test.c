/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/linux/backing.h"
#include "machine/linux/sanitizer.h"
#include "machine/work.h"

#define NS_PER_MS UINT64_C(1000000)
/* Between two attempts to make a thread that the system refuses. */
#define PAUSE_MS  50u

/* A function that counts its runs and answers what the test has set. */
struct job {
	struct work work;
	uint32_t runs_nr;   /* atomic */
	uint64_t answer;    /* atomic */
	uint64_t ran_at_ns; /* atomic: the last run */
	uint32_t inside;    /* atomic: runs under way */
	uint32_t overlaps_nr;
	uint32_t linger_us;
	uint32_t signals_open_nr; /* signals that the running thread would accept */
	char name[16];
};

static uint64_t job_run(void *arg, uint64_t now_ns)
{
	struct job *job = arg;
	sigset_t mask;

	if (fetch_add_relaxed(&job->inside, 1) != 0)
		fetch_add_relaxed(&job->overlaps_nr, 1);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	job->signals_open_nr = 0;
	for (int signal = 1; signal < 32; signal++)
		job->signals_open_nr +=
			!sigismember(&mask, signal) && signal != SIGKILL && signal != SIGSTOP;
	pthread_getname_np(pthread_self(), job->name, sizeof(job->name));
	if (job->linger_us != 0)
		usleep(job->linger_us);
	fetch_sub_relaxed(&job->inside, 1);
	store_relaxed(&job->ran_at_ns, now_ns);
	fetch_add_relaxed(&job->runs_nr, 1);
	return load_relaxed(&job->answer);
}

static void job_init(struct job *job, enum work_mode mode, uint64_t answer)
{
	const struct work_options options = { .mode = mode, .pause_ns = PAUSE_MS * NS_PER_MS };

	*job = (struct job){ .answer = answer };
	work_init(&job->work, &options, job_run, job);
}

static uint32_t runs(struct job *job)
{
	return load_relaxed(&job->runs_nr);
}

/* Waits until the job has run @runs_nr times; what it gives is printed by the assertion. */
static uint32_t runs_awaited(struct job *job, uint32_t runs_nr)
{
	uint64_t end_ns = await_begin();

	while (runs(job) < runs_nr && await_more(end_ns))
		;
	return runs(job);
}

/* A thread ends some time after its function has said so. */
static size_t threads_awaited(size_t threads_nr)
{
	uint64_t end_ns = await_begin();

	while (count_threads() != threads_nr && await_more(end_ns))
		;
	return count_threads();
}

static void worker_runs_what_is_due_once(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	work_kick(&job.work, 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs_awaited(&job, 1), 1);
	usleep(20000);
	assert_u64_eq(runs(&job), 1);
	work_stop(&job.work);
}

static void worker_runs_at_the_time_it_was_told_and_not_before(void **state)
{
	uint64_t due_ns = clock_now_ns() + 30 * NS_PER_MS;
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	work_start(&job.work, WORK_CALLER_WAITS);
	work_kick(&job.work, due_ns);
	assert_u64_eq(runs_awaited(&job, 1), 1);
	assert_true(load_relaxed(&job.ran_at_ns) >= due_ns);
	work_stop(&job.work);
}

static void answer_of_the_function_is_the_next_due_time(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, 0); /* always due */
	work_kick(&job.work, 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_true(runs_awaited(&job, 5) >= 5);
	store_relaxed(&job.answer, (uint64_t)WORK_IDLE);
	work_stop(&job.work);
}

static void kick_wakes_a_sleeping_worker(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	work_start(&job.work, WORK_CALLER_WAITS);
	for (uint32_t i = 1; i <= 200; i++) {
		work_kick(&job.work, 0);
		assert_u64_eq(runs_awaited(&job, i), i);
	}
	work_stop(&job.work);
}

static void later_kick_does_not_put_off_an_earlier_one(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	work_kick(&job.work, clock_now_ns() + 10 * NS_PER_MS);
	work_kick(&job.work, clock_now_ns() + 3600 * 1000 * NS_PER_MS);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs_awaited(&job, 1), 1);
	work_stop(&job.work);
}

static void worker_exits_when_told_and_starts_again(void **state)
{
	size_t threads_before = count_threads(), maps_before;
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_EXIT);
	maps_before = count_maps();
	for (uint32_t i = 1; i <= 20; i++) {
		work_kick(&job.work, 0);
		work_start(&job.work, WORK_CALLER_WAITS);
		assert_u64_eq(runs_awaited(&job, i), i);
		assert_u64_eq(threads_awaited(threads_before), threads_before);
	}
	work_stop(&job.work);
	assert_u64_eq(count_threads(), threads_before);
	/* malloc may have mapped, and ThreadSanitizer does; 20 stacks left behind would be 40. */
	assert_true(MACHINE_TSAN || count_maps() < maps_before + 20);
	assert_null(job.work.stack);
}

/* The function says "exit" while another thread kicks and starts as fast as it can. */
static void no_kick_is_lost_while_the_worker_exits(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_EXIT);
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t before = runs(&job);

		work_kick(&job.work, 0);
		work_start(&job.work, WORK_CALLER_WAITS);
		if (i % 3 == 0)
			assert_true(runs_awaited(&job, before + 1) > before);
	}
	work_stop(&job.work);
	assert_u64_eq(job.overlaps_nr, 0);
}

/* Somebody kicks after the function has looked and before its answer "exit" is heard. */
static uint64_t kicked_while_running(void *arg, uint64_t now_ns)
{
	struct job *job = arg;

	(void)now_ns;
	if (fetch_add_relaxed(&job->runs_nr, 1) == 0)
		work_kick(&job->work, 0);
	return WORK_EXIT;
}

static void kick_during_the_last_run_keeps_the_worker(void **state)
{
	const struct work_options options = { .mode = WORK_THREAD };
	struct job job = { .answer = 0 };

	(void)state;
	work_init(&job.work, &options, kicked_while_running, &job);
	work_kick(&job.work, 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs_awaited(&job, 2), 2);
	work_stop(&job.work);
}

static void stop_joins_and_leaves_no_thread(void **state)
{
	size_t threads_before = count_threads();
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(count_threads(), threads_before + 1);
	work_stop(&job.work);
	assert_u64_eq(threads_awaited(threads_before), threads_before);
	work_kick(&job.work, 0);
	usleep(5000);
	assert_u64_eq(runs(&job), 0);
	work_stop(&job.work); /* nothing to stop: harmless */
}

static void stop_waits_for_a_run_under_way(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, 0);
	job.linger_us = 20000;
	work_kick(&job.work, 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	while (load_relaxed(&job.inside) == 0)
		usleep(100);
	work_stop(&job.work);
	assert_u64_eq(load_relaxed(&job.inside), 0);
	assert_true(runs(&job) >= 1);
}

static void worker_blocks_signals_and_has_a_name(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	work_kick(&job.work, 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs_awaited(&job, 1), 1);
	work_stop(&job.work);
	assert_u64_eq(job.signals_open_nr, 0);
	assert_string_equal(job.name, "quire-worker");
}

static void start_leaves_the_callers_signal_mask_alone(void **state)
{
	sigset_t before, after;
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	work_start(&job.work, WORK_CALLER_WAITS);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	work_stop(&job.work);
	for (int signal = 1; signal < 32; signal++)
		assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
}

static void inline_mode_runs_in_the_caller(void **state)
{
	size_t threads_before = count_threads();
	struct job job;

	(void)state;
	job_init(&job, WORK_INLINE, WORK_IDLE);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs(&job), 0);
	work_kick(&job.work, 0);
	assert_u64_eq(runs(&job), 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs(&job), 1);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs(&job), 1);
	assert_u64_eq(count_threads(), threads_before);
	work_stop(&job.work);
}

static void off_mode_runs_only_when_polled(void **state)
{
	uint64_t later_ns = clock_now_ns() + 3600 * 1000 * NS_PER_MS;
	struct job job;

	(void)state;
	job_init(&job, WORK_OFF, later_ns);
	work_kick(&job.work, 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs(&job), 0);
	assert_u64_eq(work_poll(&job.work), later_ns);
	assert_u64_eq(runs(&job), 1);
	assert_u64_eq(work_poll(&job.work), later_ns);
	assert_u64_eq(runs(&job), 1);
	work_stop(&job.work);
}

static void poll_often(unsigned index, void *arg)
{
	struct job *job = arg;

	for (unsigned i = 0; i < 300; i++) {
		work_kick(&job->work, 0);
		if (index == 0)
			work_start(&job->work, WORK_CALLER_WAITS);
		else
			(void)work_poll(&job->work);
	}
}

static void poll_and_worker_never_run_together(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	job.linger_us = 20;
	team_run(3, poll_often, &job);
	work_stop(&job.work);
	assert_u64_eq(job.overlaps_nr, 0);
	assert_true(runs(&job) > 0);
}

static struct job *kicked_by_handler;

static void kick_in_handler(int signal)
{
	(void)signal;
	work_kick(&kicked_by_handler->work, 0);
}

static void kick_is_legal_in_a_signal_handler(void **state)
{
	const struct sigaction action = { .sa_handler = kick_in_handler };
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_IDLE);
	kicked_by_handler = &job;
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_u64_eq(runs_awaited(&job, 1), 1);
	work_stop(&job.work);
}

/* Each of the calls that make the stack is refused in turn; then nothing is left behind. */
static void start_without_memory_changes_nothing(void **state)
{
	size_t threads_before = count_threads();
	struct job job;

	(void)state;
	job_init(&job, WORK_THREAD, WORK_EXIT);
	for (uint64_t nth = 1; nth <= 2; nth++) {
		size_t maps_before = count_maps();

		backing_fail_after(nth, ENOMEM);
		errno = 0;
		work_start(&job.work, WORK_CALLER_WAITS);
		assert_int_equal(errno, 0);
		assert_u64_eq(count_threads(), threads_before);
		assert_u64_eq(count_maps(), maps_before);
		assert_null(job.work.stack);
	}
	backing_fail_after(0, 0);
	work_kick(&job.work, 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs_awaited(&job, 1), 1);
	work_stop(&job.work);
}

static void child_continues(void *arg)
{
	struct job *job = arg;
	uint32_t runs_before = runs(job);

	work_fork_child(&job->work);
	CHECK_VALUES(count_threads() == 1, count_threads(), 1);
	CHECK(job->work.stack == NULL);
	work_kick(&job->work, 0);
	work_start(&job->work, WORK_CALLER_WAITS);
	CHECK(runs_awaited(job, runs_before + 1) == runs_before + 1);
	work_stop(&job->work);
}

static void child_of_a_fork_starts_its_own_worker(void **state)
{
	struct job job;

	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has no threads in a child of fork");
	job_init(&job, WORK_THREAD, WORK_IDLE);
	work_kick(&job.work, 0);
	work_start(&job.work, WORK_CALLER_WAITS);
	assert_u64_eq(runs_awaited(&job, 1), 1);
	expect_life(child_continues, &job);
	work_kick(&job.work, 0);
	assert_u64_eq(runs_awaited(&job, 2), 2);
	work_stop(&job.work);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worker_runs_what_is_due_once),
		cmocka_unit_test(worker_runs_at_the_time_it_was_told_and_not_before),
		cmocka_unit_test(answer_of_the_function_is_the_next_due_time),
		cmocka_unit_test(kick_wakes_a_sleeping_worker),
		cmocka_unit_test(later_kick_does_not_put_off_an_earlier_one),
		cmocka_unit_test(worker_exits_when_told_and_starts_again),
		cmocka_unit_test(no_kick_is_lost_while_the_worker_exits),
		cmocka_unit_test(kick_during_the_last_run_keeps_the_worker),
		cmocka_unit_test(stop_joins_and_leaves_no_thread),
		cmocka_unit_test(stop_waits_for_a_run_under_way),
		cmocka_unit_test(worker_blocks_signals_and_has_a_name),
		cmocka_unit_test(start_leaves_the_callers_signal_mask_alone),
		cmocka_unit_test(inline_mode_runs_in_the_caller),
		cmocka_unit_test(off_mode_runs_only_when_polled),
		cmocka_unit_test(poll_and_worker_never_run_together),
		cmocka_unit_test(kick_is_legal_in_a_signal_handler),
		cmocka_unit_test(start_without_memory_changes_nothing),
		cmocka_unit_test(child_of_a_fork_starts_its_own_worker),
	};

	return cmocka_run_group_tests_name("machine_work", tests, NULL, NULL);
}
