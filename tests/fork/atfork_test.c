/* SPDX-License-Identifier: MIT */
/*
 * Handlers of pthread_atfork() that belong to others use Quire, while other threads do and the worker
 * comes by: no refusal, no wait for ever, and both processes verify afterwards.
 *
 * Method   A set of handlers is registered before Quire's own, from .preinit_array, so that it runs
 *          while the fork keeps every lock; another one is registered after, as programs do.  Each
 *          handler allocates and frees pages, areas and per-CPU objects, more than is online, makes
 *          and destroys an instance, and gives memory back.  A part of an instance that is made in such
 *          a handler is kept by the fork as well.  Another handler wants more than there is, beside a
 *          thread that is held up in the middle of growing.
 *
 * QUIRE_FORKS sets how many forks there are.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/vmap.h>
#include <quire/percpu.h>

#include "grower.h"
#include "machine/linux/sanitizer.h"
#include "machine/lock.h"
#include "page/pages.h"
#include "quire_test.h"
#include "stress.h"

#define FORKS	   20u
#define THREADS_NR 2u
#define BLOCKS_NR  8u /* of 4 MiB: the zone has to grow for them */

static struct {
	struct quire *q, *fresh; /* fresh: nothing was allocated from it before a handler does */
	void (*early)(void);	 /* what the early handler does besides */
	bool active, stop;
	uint32_t refusals, nested, early_runs, late_runs, kept_runs;
} scene;

static void count_refusal(const void *ptr)
{
	scene.refusals += ptr == NULL;
}

static void use_pages(struct quire *q)
{
	void *pages[300], *blocks[BLOCKS_NR];

	for (unsigned i = 0; i < 300; i++)
		count_refusal(pages[i] = quire_alloc_pages(q, i % 3, 0));
	for (unsigned i = 0; i < BLOCKS_NR; i++)
		count_refusal(blocks[i] = quire_alloc_pages(q, QUIRE_ORDER_MAX, QUIRE_NOWAIT));
	for (unsigned i = 0; i < BLOCKS_NR; i++)
		if (blocks[i] != NULL)
			quire_free_pages(q, blocks[i], QUIRE_ORDER_MAX);
	for (unsigned i = 0; i < 300; i++)
		if (pages[i] != NULL)
			quire_free_pages(q, pages[i], i % 3);
}

static void use_areas_and_objects(struct quire *q)
{
	void *areas[20], *objects[200];

	for (unsigned i = 0; i < 20; i++)
		count_refusal(areas[i] = quire_vmalloc(q, (size_t)(i + 1) * 10000, QUIRE_ZERO));
	for (unsigned i = 0; i < 200; i++)
		count_refusal(objects[i] = quire_alloc_percpu(q, 8 + i % 5 * 16, 0, 0));
	for (unsigned i = 0; i < 20; i++)
		quire_vfree(q, areas[i]);
	for (unsigned i = 0; i < 200; i++)
		quire_free_percpu(q, objects[i]);
}

static void use_all(void)
{
	struct quire *q = NULL;

	scene.nested += lock_nested();
	scene.kept_runs += lock_kept();
	use_pages(scene.q);
	use_areas_and_objects(scene.q);
	use_areas_and_objects(scene.fresh);
	(void)quire_release(scene.q);
	(void)quire_drain_all(scene.q);
	if (quire_create(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = (size_t)64 << 20),
			 &q) != 0)
		scene.refusals++;
	else
		use_areas_and_objects(q);
	quire_destroy(q);
	count_refusal(quire_default());
}

static void use_early(void)
{
	if (scene.early != NULL)
		scene.early();
	if (!scene.active)
		return;
	scene.early_runs++;
	use_all();
}

static void use_late(void)
{
	if (!scene.active)
		return;
	scene.late_runs++;
	use_all();
}

static void register_early(void)
{
	(void)pthread_atfork(use_early, use_early, use_early);
}

__attribute__((section(".preinit_array"),
	       used)) static void (*const before_constructors)(void) = register_early;

__attribute__((constructor)) static void register_late(void)
{
	(void)pthread_atfork(use_late, use_late, use_late);
}

static void *thread_run(void *arg)
{
	static struct stress_owner owners[THREADS_NR];
	unsigned index = (unsigned)(uintptr_t)arg;

	stress_begin(&owners[index], scene.q, index + 1);
	while (!__atomic_load_n(&scene.stop, __ATOMIC_RELAXED)) {
		void *object = quire_alloc_percpu(scene.q, 64, 0, 0);

		quire_vfree(scene.q, quire_vmalloc(scene.q, 20000, 0));
		quire_free_percpu(scene.q, object);
		for (unsigned i = 0; i < 100; i++)
			stress_step(&owners[index]);
	}
	stress_end(&owners[index]);
	return (void *)(uintptr_t)owners[index].broken;
}

static unsigned child_finds(void)
{
	use_pages(scene.q);
	use_areas_and_objects(scene.q);
	if (scene.refusals != 0)
		return 2;
	if (lock_nested() || lock_kept())
		return 3;
	return quire_verify(scene.q) != 0 || quire_verify(scene.fresh) != 0 ||
	       quire_verify(quire_default()) != 0;
}

static void handlers_of_others_are_served(void **state)
{
	pthread_t threads[THREADS_NR];
	uint64_t forks = env_u64("QUIRE_FORKS", FORKS);
	void *broken;

	(void)state;
	assert_int_equal(
		quire_create(&(struct quire_options)QUIRE_OPTIONS_INIT(.decay_ms = 1), &scene.q),
		0);
	for (uint64_t i = 0; i < THREADS_NR; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_run, (void *)i), 0);
	for (uint64_t i = 0; i < forks; i++) {
		assert_int_equal(quire_create(NULL, &scene.fresh), 0);
		scene.active = true;
		expect_fork(i, child_finds);
		scene.active = false;
		assert_u64_eq(scene.refusals, 0);
		assert_u64_eq(quire_verify(scene.fresh), 0);
		quire_destroy(scene.fresh);
	}
	__atomic_store_n(&scene.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		assert_int_equal(pthread_join(threads[i], &broken), 0);
		assert_ptr_equal(broken, NULL);
	}
	assert_u64_eq(quire_verify(scene.q), 0);
	/* Prepare and parent; and the later ones never with a lock of ours. */
	assert_u64_eq(scene.early_runs, 2 * forks);
	assert_u64_eq(scene.late_runs, 2 * forks);
	assert_u64_eq(scene.kept_runs, 2 * forks);
	assert_u64_eq(scene.nested, 0);
	quire_destroy(scene.q);
}

/* ---- a handler that wants what another thread is getting ---- */

static void *take_block(struct quire *q)
{
	return quire_alloc_pages(q, QUIRE_ORDER_MAX, QUIRE_NOWAIT);
}

/* Small ones, until no more are had. */
static void want_all_pages(void)
{
	static void *blocks[1 << 14];
	unsigned nr = 0;

	while ((blocks[nr] = quire_alloc_pages(scene.q, 3, 0)) != NULL)
		nr++;
	for (unsigned i = nr; i-- != 0;)
		quire_free_pages(scene.q, blocks[i], 3);
}

static unsigned child_is_right(void)
{
	want_all_pages();
	return quire_verify(scene.q) != 0;
}

/* The thread has blocks in hand when the fork begins, and needs a lock that the fork keeps to bring them
 * online: the handler goes without, and is not held up.  Nor is the child, which has no such thread. */
static void a_handler_does_not_wait_for_a_grower(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (size_t)64 << 20, .worker = QUIRE_WORKER_OFF);
	struct grower grower = { .take = take_block };
	pid_t watchdog = watchdog_start(60);

	(void)state;
	/* A CPU's first call commits its stacks, under a lock that fork has to wait for. */
	assert_true(pin_to_cpu((unsigned)sched_getcpu()));
	assert_int_equal(quire_create(&options, &scene.q), 0);
	grower.q = scene.q;
	quire_free_pages(scene.q, quire_alloc_pages(scene.q, 0, 0), 0);
	/* The rest of the first step, so that the grower has to commit. */
	assert_non_null(quire_alloc_pages(scene.q, QUIRE_ORDER_MAX, 0));
	mutex_acquire(&pages_of(scene.q)->grow_mutex); /* a caller that may not wait goes without */
	grower_start(&grower, 1);
	mutex_release(&pages_of(scene.q)->grow_mutex);
	scene.early = want_all_pages;
	expect_fork(0, child_is_right);
	scene.early = NULL;
	grower_end(&grower);
	kill(watchdog, SIGKILL);
	assert_u64_eq(quire_verify(scene.q), 0);
	quire_destroy(scene.q);
}

/* ---- a handler whose call wants a worker ---- */

static pid_t parent;
static size_t threads_nr;

static void want_worker_in_child(void)
{
	size_t bytes = (size_t)8 << 20;
	void *area;

	if (getpid() == parent)
		return;
	area = quire_vmalloc(scene.fresh, bytes, 0);
	count_refusal(area);
	memset(area, 1, bytes);
	quire_vfree(scene.fresh, area);
	threads_nr = count_threads();
}

static unsigned child_has_no_worker_yet(void)
{
	unsigned before = threads_nr != 1;

	want_worker_in_child();
	return before + 2u * (threads_nr != 2);
}

/* The child's instance forgets its worker in our handler, and would take away the stack of one that was just started. */
static void a_handler_that_runs_before_ours_starts_no_worker(void **state)
{
	(void)state;
	assert_int_equal(quire_create(NULL, &scene.fresh), 0);
	parent = getpid();
	scene.early = want_worker_in_child;
	expect_fork(0, child_has_no_worker_yet);
	scene.early = NULL;
	quire_destroy(scene.fresh);
}

/* ---- a handler that wants areas that wait to be purged ---- */

#define AREA_BYTES ((size_t)64 << 10)
#define AREAS_MOST 256u
#define CONTENT	   0x5a

struct areas {
	unsigned char *area[AREAS_MOST];
	unsigned nr;
};

static struct areas handed_out;

/* Until there are no more addresses. */
static void take_areas(struct areas *areas)
{
	unsigned char *area;

	while (areas->nr < AREAS_MOST && (area = quire_vmalloc(scene.q, AREA_BYTES, 0)) != NULL) {
		memset(area, CONTENT, AREA_BYTES);
		areas->area[areas->nr++] = area;
	}
}

static void purge_and_take_areas(void)
{
	take_areas(&handed_out);
	quire_vmap_purge(scene.q);
	take_areas(&handed_out);
}

static unsigned areas_are_whole(void)
{
	unsigned broken = quire_verify(scene.q) != 0;

	quire_vmap_purge(scene.q);
	for (unsigned i = 0; i < handed_out.nr; i++)
		broken += handed_out.area[i][0] != CONTENT ||
			  handed_out.area[i][AREA_BYTES - 1] != CONTENT;
	return broken != 0 || quire_verify(scene.q) != 0;
}

/* The child has those that waited when the fork began, so nobody may be given one of them before it is over. */
static void areas_that_wait_are_not_handed_out_in_a_fork(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (size_t)64 << 20,
				   .vmap_span_bytes = (size_t)8 << 20, .worker = QUIRE_WORKER_OFF,
				   .guard = QUIRE_GUARD_FREED);
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;
	static struct areas areas;

	(void)state;
	assert_int_equal(quire_create(&options, &scene.q), 0);
	take_areas(&areas);
	assert_in_range(areas.nr, 64, AREAS_MOST - 1);
	for (unsigned i = 0; i < areas.nr; i += 2)
		quire_vfree(scene.q, areas.area[i]);
	quire_vmap_stat_read(scene.q, &stat);
	assert_in_range(stat.lazy_bytes, areas.nr / 2 * AREA_BYTES, SIZE_MAX);
	scene.early = purge_and_take_areas;
	expect_fork(0, areas_are_whole);
	scene.early = NULL;
	assert_int_equal(areas_are_whole(), 0);
	quire_destroy(scene.q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_of_others_are_served),
		cmocka_unit_test(a_handler_does_not_wait_for_a_grower),
		cmocka_unit_test(a_handler_that_runs_before_ours_starts_no_worker),
		cmocka_unit_test(areas_that_wait_are_not_handed_out_in_a_fork),
	};

	return cmocka_run_group_tests_name("atfork", tests, NULL, NULL);
}
