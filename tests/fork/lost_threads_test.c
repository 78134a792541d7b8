/* SPDX-License-Identifier: MIT */
/*
 * lost_threads_test.c - children of a program with threads, of which one held the loader's locks at the fork
 *
 * Libc frees none of these locks in the child, so whoever starts a thread there, or asks for loaded objects,
 * waits for ever.
 */
#include <errno.h>
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>

#include "base/check.h"
#include "confine.h"
#include "instance/instance.h"
#include "machine/linux/lost_threads.h"
#include "machine/linux/sanitizer.h"
#include "machine/work.h"
#include "page/pages.h"
#include "quire_test.h"

#define PAGES_NR      8192u /* 32 MiB */
#define RESIDENT_MOST ((uint64_t)12 << 20)

static struct quire *q;
static void *pages[PAGES_NR];
static pthread_barrier_t turn;

static void make(uint32_t decay_ms)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)64 << 21, .decay_ms = decay_ms);

	assert_int_equal(quire_create(&options, &q), 0);
	pages_of(q)->worth_pages = 0; /* anything is worth a worker */
}

static int hold(struct dl_phdr_info *object, size_t bytes, void *arg)
{
	(void)object;
	(void)bytes;
	(void)arg;
	pthread_barrier_wait(&turn); /* held */
	pthread_barrier_wait(&turn); /* no longer needed */
	return 1;
}

static void *holder(void *arg)
{
	(void)arg;
	(void)dl_iterate_phdr(hold, NULL);
	return NULL;
}

/* Of a child that does @body.  Nothing is asserted while other threads wait for the end of this one's turn. */
static int status_of(void (*body)(void *arg))
{
	pid_t child = child_fork();

	if (child == 0) {
		alarm(30); /* it may hang */
		body(NULL);
		_exit(0);
	}
	return child_wait(child);
}

/* @body in a child, while another thread of this process is in the loader. */
static void expect_life_beside_the_loader(void (*body)(void *arg))
{
	pthread_t thread;
	int status;

	pthread_barrier_init(&turn, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, holder, NULL), 0);
	pthread_barrier_wait(&turn);
	status = status_of(body);
	pthread_barrier_wait(&turn);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&turn);
	assert_int_equal(status, 0);
}

static void use(void)
{
	for (unsigned i = 0; i < PAGES_NR; i++) {
		pages[i] = quire_alloc_pages(q, 0, 0);
		CHECK(pages[i] != NULL);
		memset(pages[i], 1, quire_page_bytes(q));
	}
	for (unsigned i = 0; i < PAGES_NR; i++)
		quire_free_pages(q, pages[i], 0);
	quire_free_percpu(q, quire_alloc_percpu(q, 64, 0, 0));
}

static void child_uses_everything(void *arg)
{
	static const uint64_t content = 42;
	static uint64_t *variable;
	const struct quire_percpu_variable definition =
		QUIRE_PERCPU_VARIABLE_INIT(.pointer = (void **)(void *)&variable,
					   .content = &content, .bytes = sizeof(content),
					   .align = sizeof(content));
	struct quire *other;
	void *page;

	(void)arg;
	CHECK(lost_threads());
	use();
	quire_percpu_define(&definition);
	CHECK(*quire_per_cpu_ptr(variable, 0) == content);
	quire_percpu_undefine(&definition);
	CHECK(quire_create(NULL, &other) == 0);
	page = quire_alloc_pages(other, 0, 0);
	CHECK(page != NULL);
	quire_free_pages(other, page, 0);
	quire_destroy(other);
	CHECK(count_threads() == 1);
	CHECK(q->work.stack == NULL); /* nor has there been another */
}

static void a_child_waits_for_no_lock_of_the_loader(void **state)
{
	(void)state;
	make(1);
	use();
	expect_life_beside_the_loader(child_uses_everything);
	quire_destroy(q);
}

static void child_calls_now_and_then(void *arg)
{
	uint64_t end_ns = await_begin();

	(void)arg;
	use();
	if (MACHINE_ASAN) /* its quarantine keeps what each look allocates */
		return;
	while (status_bytes("RssAnon") > RESIDENT_MOST && await_more(end_ns))
		quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
	CHECK_VALUES(status_bytes("RssAnon") <= RESIDENT_MOST, status_bytes("RssAnon"),
		     RESIDENT_MOST);
}

static void its_calls_give_back_what_is_due(void **state)
{
	(void)state;
	make(20);
	expect_life_beside_the_loader(child_calls_now_and_then);
	quire_destroy(q);
}

static void forks_again(void *arg)
{
	(void)arg;
	expect_life(child_uses_everything, NULL);
}

static void nor_does_a_child_of_such_a_child(void **state)
{
	(void)state;
	make(1);
	expect_life_beside_the_loader(forks_again);
	quire_destroy(q);
}

static void child_lost_nothing(void *arg)
{
	(void)arg;
	CHECK(!lost_threads());
}

static void child_has_a_worker(void *arg)
{
	(void)arg;
	CHECK(!lost_threads());
	use();
	CHECK(q->work.stack != NULL);
}

/* Also while it is only being started, and when it has ended. */
static void workers_are_no_threads_that_are_lost(void **state)
{
	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has a thread of its own");
	for (unsigned i = 0; i < 100; i++) {
		make(1000);
		use();
		assert_non_null(q->work.stack);
		expect_life(child_has_a_worker, NULL);
		assert_int_equal(quire_worker_stop(q), 0);
		expect_life(child_lost_nothing, NULL);
		quire_worker_start(q);
		quire_destroy(q);
	}
}

static void child_with_a_worker_forks(void *arg)
{
	child_has_a_worker(arg);
	expect_life(child_lost_nothing, NULL);
}

static void a_child_counts_its_own_worker_and_not_its_parents(void **state)
{
	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has a thread of its own");
	make(1000);
	use();
	assert_non_null(q->work.stack);
	expect_life(child_with_a_worker_forks, NULL);
	quire_destroy(q);
}

static void child_lost_threads(void *arg)
{
	(void)arg;
	CHECK(lost_threads());
}

static void forks_without_proc(void *arg)
{
	(void)arg;
	confine_deny(SYS_newfstatat, EACCES);
	expect_life(child_lost_threads, NULL);
}

static void threads_that_cannot_be_counted_are_lost(void **state)
{
	(void)state;
	if (MACHINE_TSAN || MACHINE_ASAN)
		skip_because("a sanitizer's own calls would be under the filter, too");
	make(1);
	expect_life(forks_without_proc, NULL);
	quire_destroy(q);
}

static void *waiter(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&turn);
	return NULL;
}

static void forks_after_a_refusal(void *arg)
{
	pthread_t thread;

	(void)arg;
	pthread_barrier_init(&turn, NULL, 2);
	CHECK(pthread_create(&thread, NULL, waiter, NULL) == 0);
	confine_deny(SYS_clone3, EPERM);
	make(600000); /* it is asked for once */
	use();
	CHECK(q->work.refused);
	expect_life(child_lost_threads, NULL);
	pthread_barrier_wait(&turn);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&turn);
	quire_destroy(q);
}

static void a_worker_that_was_refused_counts_for_no_thread(void **state)
{
	(void)state;
	if (MACHINE_TSAN || MACHINE_ASAN)
		skip_because("a sanitizer's own calls would be under the filter, too");
	expect_life(forks_after_a_refusal, NULL);
}

static void child_works_only_when_asked(void *arg)
{
	struct quire *asked;
	const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);

	(void)arg;
	CHECK(lost_threads());
	CHECK(quire_create(&options, &asked) == 0);
	quire_free_pages(asked, quire_alloc_pages(asked, 0, 0), 0);
	CHECK(!work_needs_callers(&asked->work));
	quire_destroy(asked);
	use();
	CHECK(work_needs_callers(&q->work));
	CHECK(quire_worker_stop(q) == 0);
	use();
	CHECK(!work_needs_callers(&q->work));
	quire_worker_start(q);
	use();
	CHECK(work_needs_callers(&q->work));
}

static void calls_of_a_child_do_no_work_that_they_were_told_to_leave(void **state)
{
	(void)state;
	make(1);
	expect_life_beside_the_loader(child_works_only_when_asked);
	quire_destroy(q);
}

static struct work visiting;
static int visit_status;

/* As a shrinker may, which the worker calls. */
static uint64_t forks_in_a_visit(void *arg, uint64_t now_ns)
{
	pid_t child = child_fork();

	(void)arg;
	(void)now_ns;
	if (child == 0) {
		work_fork_child(&visiting);
		_exit(lost_threads() ? 0 : 1);
	}
	__atomic_store_n(&visit_status, child_wait(child), __ATOMIC_RELEASE);
	return WORK_IDLE;
}

static void a_child_of_a_worker_goes_on_with_its_stack(void **state)
{
	const struct work_options options = { .mode = WORK_THREAD, .pause_ns = 1000000 };
	uint64_t end_ns = await_begin();

	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has no threads in a child of fork");
	visit_status = -1;
	work_init(&visiting, &options, forks_in_a_visit, NULL);
	work_kick(&visiting, 0);
	work_start(&visiting, WORK_CALLER_WAITS);
	while (__atomic_load_n(&visit_status, __ATOMIC_ACQUIRE) == -1 && await_more(end_ns))
		;
	work_stop(&visiting);
	assert_int_equal(visit_status, 0);
}

#if !MACHINE_ASAN && !MACHINE_TSAN /* these have a pthread_create() of their own */

/* The maker of the next thread, which has libc's locks for all we know. */
static bool stops_in_create;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
		   void *arg)
{
	static __typeof__(pthread_create) *create;

	if (create == NULL)
		*(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
	if (__atomic_exchange_n(&stops_in_create, false, __ATOMIC_RELAXED)) {
		pthread_barrier_wait(&turn); /* in the middle */
		pthread_barrier_wait(&turn);
	}
	return create(thread, attributes, body, arg);
}

static void *starts_a_worker(void *arg)
{
	__atomic_store_n(&stops_in_create, true, __ATOMIC_RELAXED);
	use();
	return arg;
}

static void who_makes_a_worker_can_be_lost(void **state)
{
	pthread_t thread;
	int status;

	(void)state;
	make(1000);
	pthread_barrier_init(&turn, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, starts_a_worker, NULL), 0);
	pthread_barrier_wait(&turn);
	status = status_of(child_lost_threads);
	pthread_barrier_wait(&turn);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&turn);
	assert_int_equal(status, 0);
	assert_non_null(q->work.stack);
	quire_destroy(q);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_are_no_threads_that_are_lost),
		cmocka_unit_test(a_child_waits_for_no_lock_of_the_loader),
		cmocka_unit_test(its_calls_give_back_what_is_due),
		cmocka_unit_test(nor_does_a_child_of_such_a_child),
		cmocka_unit_test(a_child_counts_its_own_worker_and_not_its_parents),
		cmocka_unit_test(threads_that_cannot_be_counted_are_lost),
		cmocka_unit_test(a_worker_that_was_refused_counts_for_no_thread),
		cmocka_unit_test(calls_of_a_child_do_no_work_that_they_were_told_to_leave),
		cmocka_unit_test(a_child_of_a_worker_goes_on_with_its_stack),
#if !MACHINE_ASAN && !MACHINE_TSAN
		cmocka_unit_test(who_makes_a_worker_can_be_lost),
#endif
	};

	return cmocka_run_group_tests_name("lost_threads", tests, NULL, NULL);
}
