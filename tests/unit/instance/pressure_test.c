/* SPDX-License-Identifier: MIT */
/*
 * pressure_test.c - what the worker does when memory is short, and the descriptors by which it learns that
 *
 * Pressure itself is made by a socket in the place of the trigger, whose urgent byte poll() reports as it does
 * pressure; or the worker is told as its thread would tell it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "confine.h"
#include "instance/relief.h"
#include "instance/worker.h"
#include "machine/clock.h"
#include "machine/linux/pressure.h"
#include "machine/linux/sanitizer.h"
#include "page/pages.h"
#include "quire_test.h"

#define PAGES_NR 8192u /* 32 MiB: enough to watch */
#define MS	 UINT64_C(1000000)

static void *page[PAGES_NR];

static void fill_pages(struct quire *q, unsigned pages_nr)
{
	for (unsigned i = 0; i < pages_nr; i++) {
		page[i] = quire_alloc_pages(q, 0, 0);
		CHECK(page[i] != NULL);
		memset(page[i], 1, quire_page_bytes(q));
	}
}

static void free_pages(struct quire *q, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		quire_free_pages(q, page[i], 0);
}

static struct quire *make(enum quire_worker worker, uint64_t limit_bytes, uint32_t decay_ms)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .worker = worker,
				   .decay_ms = decay_ms);
	struct quire *q = NULL;

	CHECK(quire_create(&options, &q) == 0);
	return q;
}

/* An instance whose worker watches; NULL if the system has nothing to watch. */
static struct quire *make_watched(void)
{
	struct quire *q = make(QUIRE_WORKER_THREAD, MIB(256), 20);
	uint64_t end_ns = await_begin();

	fill_pages(q, PAGES_NR);
	while (work_pressure(&q->work) == WORK_PRESSURE_UNWATCHED && await_more(end_ns))
		quire_free_pages(q, quire_alloc_pages(q, 6, 0), 6); /* keeps it at work */
	return work_pressure(&q->work) == WORK_PRESSURE_REFUSED ? NULL : q;
}

/* ---- the sleep ---- */

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static uint64_t file_id(int fd)
{
	struct stat stat;

	CHECK(fstat(fd, &stat) == 0);
	return (uint64_t)stat.st_dev << 48 ^ (uint64_t)stat.st_ino;
}

/* Two ends of a connection, over which urgent bytes can be sent. */
static void connect_two(int fd[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t bytes = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &bytes) == 0);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(fd[0], (struct sockaddr *)&address, sizeof(address)) == 0);
	fd[1] = accept(listener, NULL, NULL);
	CHECK(fd[1] >= 0);
	close(listener);
}

static void watch_socket(struct work_watch *watch, int fd[2])
{
	connect_two(fd);
	pressure_init(watch);
	watch->trigger = fd[0];
	watch->file = file_id(fd[0]);
	watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	CHECK(watch->timer >= 0);
}

static void pressure_ends_a_sleep(void **state)
{
	struct work_watch watch;
	uint64_t now_ns;
	int fd[2];

	(void)state;
	watch_socket(&watch, fd);
	now_ns = clock_now_ns();
	pressure_sleep(&watch, now_ns, now_ns + 20 * MS);
	assert_true(clock_now_ns() >= now_ns + 20 * MS);
	assert_int_equal(watch.pressed, 0);
	assert_int_equal(send(fd[1], "!", 1, MSG_OOB), 1);
	pressure_sleep(&watch, clock_now_ns(), WORK_IDLE);
	assert_int_equal(watch.pressed, 1);
	pressure_close(&watch);
	close(fd[1]);
}

/* Whether it comes before the sleep or in it, and only once. */
static void a_waker_ends_a_sleep(void **state)
{
	struct work_watch watch;
	uint64_t now_ns;
	int fd[2];

	(void)state;
	watch_socket(&watch, fd);
	pressure_wake(&watch);
	pressure_wake(&watch);
	pressure_sleep(&watch, clock_now_ns(), WORK_IDLE);
	now_ns = clock_now_ns();
	pressure_sleep(&watch, now_ns, now_ns + 20 * MS);
	assert_true(clock_now_ns() >= now_ns + 20 * MS);
	assert_int_equal(watch.pressed, 0);
	pressure_close(&watch);
	close(fd[1]);
}

/* The program has closed both, and their numbers are its own file's now. */
static void expect_left_alone(int own)
{
	struct work_watch watch;
	int fd[2], trigger, timer;

	watch_socket(&watch, fd);
	trigger = watch.trigger;
	timer = watch.timer;
	assert_true(dup2(own, trigger) == trigger && dup2(own, timer) == timer);
	pressure_wake(&watch);
	pressure_sleep(&watch, clock_now_ns(), clock_now_ns() + MS);
	assert_false(pressure_is_open(&watch));
	assert_true(is_open(trigger) && is_open(timer));
	close(trigger);
	close(timer);
	close(fd[1]);
}

/* Of a file that can be read, as any regular one, poll() reports so each time: the worker must not ask again. */
static void others_descriptors_are_left_alone(void **state)
{
	int file = open("/proc/self/exe", O_RDONLY), ends[2], urgent[2];

	(void)state;
	assert_true(file >= 0);
	assert_int_equal(pipe(ends), 0);
	connect_two(urgent);
	assert_int_equal(send(urgent[1], "!", 1, MSG_OOB), 1);
	expect_left_alone(file);
	expect_left_alone(ends[0]); /* nothing to read */
	expect_left_alone(ends[1]);
	expect_left_alone(urgent[0]);
	close(file);
	close(ends[0]);
	close(ends[1]);
	close(urgent[0]);
	close(urgent[1]);
}

static void a_closed_descriptor_ends_the_watch(void **state)
{
	struct work_watch watch;
	int fd[2];

	(void)state;
	watch_socket(&watch, fd);
	close(watch.trigger);
	pressure_sleep(&watch, clock_now_ns(), WORK_IDLE);
	assert_false(pressure_is_open(&watch));
	close(fd[1]);
}

/* ---- the descriptors of an instance ---- */

static unsigned count_open(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned nr = 0;

	CHECK(directory != NULL);
	while (readdir(directory) != NULL)
		nr++;
	closedir(directory);
	return nr;
}

/* The worker has others open for a moment, when it reads what there is. */
static void expect_open(unsigned nr)
{
	uint64_t end_ns = await_begin();

	while (count_open() != nr && await_more(end_ns))
		;
	CHECK_VALUES(count_open() == nr, count_open(), nr);
}

/* The thread stores what it has opened a moment later. */
static void await_watch(const struct quire *q)
{
	uint64_t end_ns = await_begin();

	while (load_acquire(&q->work.watch.timer) < 0 && await_more(end_ns))
		;
}

static void open_and_destroy(void *arg)
{
	unsigned before = count_open();
	struct quire *q = make_watched();

	(void)arg;
	if (q == NULL)
		return;
	expect_open(before + 2);
	await_watch(q);
	CHECK(fcntl(q->work.watch.trigger, F_GETFD) & FD_CLOEXEC);
	CHECK(fcntl(q->work.watch.timer, F_GETFD) & FD_CLOEXEC);
	CHECK(quire_worker_stop(q) == 0);
	CHECK_VALUES(count_open() == before, count_open(), before);
	quire_worker_start(q);
	quire_destroy(q);
	CHECK_VALUES(count_open() == before, count_open(), before);
}

static void the_watch_ends_with_the_worker(void **state)
{
	(void)state;
	expect_life(open_and_destroy, NULL);
}

static void forks(void *arg)
{
	unsigned before = count_open();
	struct quire *q = make_watched();
	int status;
	pid_t child;

	(void)arg;
	if (q == NULL)
		return;
	expect_open(before + 2);
	child = fork();
	if (child == 0) {
		CHECK_VALUES(count_open() == before, count_open(), before);
		CHECK(work_pressure(&q->work) == WORK_PRESSURE_UNWATCHED);
		free_pages(q, 0, 16);
		for (unsigned i = 0; i < 64; i++)
			quire_free_pages(q, quire_alloc_pages(q, 6, 0), 6);
		quire_destroy(q);
		CHECK_VALUES(count_open() == before, count_open(), before);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	expect_open(before + 2);
	CHECK(work_pressure(&q->work) != WORK_PRESSURE_UNWATCHED);
	quire_destroy(q);
}

static void a_child_of_fork_closes_its_copies(void **state)
{
	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer follows no child that starts threads");
	expect_life(forks, NULL);
}

static void without_descriptors(void *arg)
{
	struct quire *q;

	(void)arg;
	confine_limit(RLIMIT_NOFILE, 0);
	q = make_watched();
	CHECK(q == NULL);
}

static void without_a_timer(void *arg)
{
	unsigned before = count_open();
	struct quire *q;

	(void)arg;
	confine_deny(SYS_timerfd_create, EMFILE);
	q = make_watched();
	CHECK(q == NULL);
	CHECK_VALUES(count_open() == before, count_open(), before);
}

/* Everything else works as it did. */
static void a_refused_watch_changes_nothing(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(without_descriptors, NULL);
	expect_life(without_a_timer, NULL);
}

/* ---- what is done ---- */

struct cache {
	struct quire *q;
	unsigned calls, left;
	size_t asked_bytes;
	uint64_t id;
	pthread_t thread;
};

static size_t scan(size_t bytes, void *arg)
{
	struct cache *cache = arg;
	size_t given = 0;
	void *own;

	fetch_add_relaxed(&cache->calls, 1u);
	cache->asked_bytes += bytes;
	cache->thread = pthread_self();
	own = quire_alloc_pages(cache->q, 0, 0); /* it may allocate */
	quire_free_pages(cache->q, own, 0);
	for (; given < bytes && cache->left != 0; given += 4096)
		quire_free_pages(cache->q, page[--cache->left], 0);
	return given;
}

static void cache_register(struct cache *cache, struct quire *q, unsigned pages_nr, uint32_t cost)
{
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "cache", .scan = scan, .arg = cache, .cost = cost);

	*cache = (struct cache){ .q = q, .left = pages_nr };
	CHECK(quire_shrinker_register(q, &shrinker, &cache->id) == 0);
}

static void press(struct quire *q)
{
	store_relaxed(&q->work.watch.pressed, 1u);
	(void)worker_run(q, clock_now_ns());
}

static uint64_t held_bytes(struct quire *q)
{
	struct relief relief = { .held_bytes = 0 };

	pages_of(q)->module.look(&pages_of(q)->module, &relief);
	return relief.held_bytes;
}

/* Of pages and of areas, long before a decay has passed. */
static void what_is_free_goes_back_under_pressure(void **state)
{
	struct quire *q = make(QUIRE_WORKER_OFF, MIB(256), 3600000);
	uint64_t held;

	(void)state;
	fill_pages(q, PAGES_NR);
	free_pages(q, 1, PAGES_NR);
	for (unsigned i = 0; i < 8; i++)
		quire_vfree(q, quire_vmalloc(q, MIB(1), 0));
	held = held_bytes(q);
	(void)worker_run(q, clock_now_ns());
	(void)worker_run(q, clock_now_ns());
	assert_true(held_bytes(q) >= held - MIB(1));
	press(q);
	assert_true(held_bytes(q) < MIB(3)); /* per-CPU stacks and records stay */
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void a_sixteenth_is_asked_of_the_cheapest(void **state)
{
	struct quire *q = make(QUIRE_WORKER_OFF, MIB(256), 3600000);
	struct cache cheap, dear;
	uint64_t held;

	(void)state;
	fill_pages(q, PAGES_NR);
	cache_register(&dear, q, 0, 2);
	cache_register(&cheap, q, PAGES_NR, 1);
	held = held_bytes(q);
	press(q);
	assert_int_equal(cheap.calls, 1);
	assert_int_equal(dear.calls, 0);
	assert_in_range(PAGES_NR - cheap.left, PAGES_NR / 16 - 16, held / 16 / 4096 + 1);
	assert_true(held_bytes(q) <= held - MIB(1));
	press(q);
	assert_int_equal(cheap.calls, 2);
	(void)worker_run(q, clock_now_ns()); /* no pressure now */
	assert_int_equal(cheap.calls, 2);
	cheap.left = 0;
	press(q);
	assert_int_equal(dear.calls, 1);
	quire_destroy(q);
}

/* Before anything is refused, and no more than up to the high mark. */
static void near_the_limit_shrinkers_are_asked(void **state)
{
	struct quire *q = make(QUIRE_WORKER_OFF, MIB(32), 1000);
	struct zone *zone = &pages_of(q)->zone[0];
	uint64_t now_ns = clock_now_ns(), lacking;
	struct cache cache;
	unsigned nr = 0;

	(void)state;
	while (zone->managed_pages - nr >= zone->mark_low)
		page[nr++] = quire_alloc_pages(q, 0, 0);
	cache_register(&cache, q, nr, 1);
	quire_drain_all(q);
	lacking = zone->mark_high - zone->mark_low;
	(void)worker_run(q, now_ns);
	assert_int_equal(cache.calls, 1);
	assert_in_range(nr - cache.left, lacking - 2, lacking + 2);
	(void)worker_run(q, now_ns + 1); /* a decay has not passed */
	(void)worker_run(q, now_ns + 2000 * MS);
	assert_int_equal(cache.calls, 1);
	quire_destroy(q);
}

static void on_the_thread(void *arg)
{
	struct quire *q = make_watched();
	uint64_t end_ns = await_begin();
	struct cache cache;

	(void)arg;
	if (q == NULL)
		return;
	cache_register(&cache, q, PAGES_NR, 1);
	store_relaxed(&q->work.watch.pressed, 1u);
	work_kick(&q->work, 0);
	while (load_relaxed(&cache.calls) == 0 && await_more(end_ns))
		continue;
	quire_shrinker_unregister(q, cache.id);
	CHECK(cache.calls != 0);
	CHECK(!pthread_equal(cache.thread, pthread_self()));
	quire_destroy(q);
}

static void the_worker_calls_shrinkers_on_its_thread(void **state)
{
	(void)state;
	expect_life(on_the_thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pressure_ends_a_sleep),
		cmocka_unit_test(a_waker_ends_a_sleep),
		cmocka_unit_test(others_descriptors_are_left_alone),
		cmocka_unit_test(a_closed_descriptor_ends_the_watch),
		cmocka_unit_test(the_watch_ends_with_the_worker),
		cmocka_unit_test(a_child_of_fork_closes_its_copies),
		cmocka_unit_test(a_refused_watch_changes_nothing),
		cmocka_unit_test(what_is_free_goes_back_under_pressure),
		cmocka_unit_test(a_sixteenth_is_asked_of_the_cheapest),
		cmocka_unit_test(near_the_limit_shrinkers_are_asked),
		cmocka_unit_test(the_worker_calls_shrinkers_on_its_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
