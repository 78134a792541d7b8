/* SPDX-License-Identifier: MIT */
/*
 * Handlers free objects whatever they interrupted, and allocate with QUIRE_NOLOCK.  First by hand, with each lock
 * held; then by a timer, while two threads allocate and free and a third drains.  A process that watches ends a run
 * that hangs.
 *
 * QUIRE_SIGNAL_MS sets how long the timed runs take.
 */
#include "unit/slab/cache_case.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "machine/clock.h"
#include "stress.h"

#define OBJECTS_NR 40u
#define THREADS_NR 2u
#define RUN_MS	   1500u
#define WATCHDOG_S 100u

static struct {
	struct cache_case it;
	void *to_free[OBJECTS_NR], *got[OBJECTS_NR];
	uint64_t handled, served, broken;
	bool stop;
} scene;

static void fill(void *object)
{
	memset(object, (int)((uintptr_t)object >> 6 & 0x7f), 64);
}

static bool is_filled(const unsigned char *object)
{
	for (unsigned i = 0; i < 64; i++)
		if (object[i] != ((uintptr_t)object >> 6 & 0x7f))
			return false;
	return true;
}

static void free_and_alloc(int signal_nr)
{
	int errno_before = errno;

	(void)signal_nr;
	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		if (scene.to_free[i] != NULL && !is_filled(scene.to_free[i]))
			scene.broken++;
		quire_cache_free(scene.it.cache, scene.to_free[i]);
		scene.to_free[i] = NULL;
		scene.got[i] = quire_cache_alloc(scene.it.cache, QUIRE_NOLOCK);
		if (scene.got[i] != NULL)
			fill(scene.got[i]);
	}
	errno = errno_before;
}

static void begin(const struct quire_options *options)
{
	memset(&scene, 0, sizeof(scene));
	scene.it = case_begin(options, 64);
	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		scene.to_free[i] = quire_cache_alloc(scene.it.cache, 0);
		fill(scene.to_free[i]);
	}
	signal_handle(SIGUSR1, free_and_alloc);
}

static unsigned end(void)
{
	unsigned served = 0;

	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		assert_null(scene.to_free[i]);
		served += scene.got[i] != NULL;
		quire_cache_free(scene.it.cache, scene.got[i]);
	}
	assert_u64_eq(scene.broken, 0);
	assert_u64_eq(case_stat(&scene.it).used, 0);
	case_end(&scene.it);
	return served;
}

static const struct quire_options plain = QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64));
static const struct quire_options bare =
	QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .rseq = QUIRE_OFF);

static void with_lock_held(const struct quire_options *options, struct lock *(*lock)(void))
{
	lock_token token;

	begin(options);
	token = lock_acquire(lock());
	raise(SIGUSR1);
	lock_release(lock(), token);
	end();
}

static struct lock *class_lock(void)
{
	return &scene.it.s->class[scene.it.class].lock;
}

static struct lock *barn_lock(void)
{
	return &scene.it.s->class[scene.it.class].barn.lock;
}

static struct lock *other_lock(void)
{
	return &scene.it.s->cpu[0].lock;
}

static void a_handler_gets_by_with_any_lock_held(void **state)
{
	bool has_sheaves;

	(void)state;
	with_lock_held(&plain, class_lock);
	with_lock_held(&plain, barn_lock);
	with_lock_held(&bare, class_lock);
	with_lock_held(&bare, barn_lock);
	begin(&plain);
	raise(SIGUSR1);
	has_sheaves = case_has_sheaves(&scene.it);
	end();
	if (has_sheaves)
		with_lock_held(&plain, other_lock);
	assert_u64_eq(scene.broken, 0);
}

/* The barn has objects, but its lock is held, and so is the class's: frees are deferred. */
static void without_any_lock_frees_wait(void **state)
{
	lock_token barn, class;
	unsigned served;

	(void)state;
	begin(&bare);
	barn = lock_acquire(barn_lock());
	class = lock_acquire(class_lock());
	raise(SIGUSR1);
	lock_release(class_lock(), class);
	lock_release(barn_lock(), barn);
	assert_u64_eq(scene.it.s->deferred_total, OBJECTS_NR);
	served = end();
	assert_int_equal(served, 0);
}

/* ---- by a timer ---- */

/* Keeps some of what it frees and allocates: only this thread's handler runs it. */
static void at_the_timer(int signal_nr)
{
	static void *kept[OBJECTS_NR];
	static unsigned turn;
	int errno_before = errno;
	void **place = &kept[turn++ % OBJECTS_NR];

	(void)signal_nr;
	scene.handled++;
	if (*place != NULL && !is_filled(*place))
		scene.broken++;
	quire_cache_free(scene.it.cache, *place);
	*place = load_relaxed(&scene.stop) ? NULL : quire_cache_alloc(scene.it.cache, QUIRE_NOLOCK);
	if (*place != NULL) {
		scene.served++;
		fill(*place);
	}
	errno = errno_before;
}

static void work(struct cache_case *it, uint64_t *random, uint64_t *broken)
{
	void *objects[64];
	unsigned n = 1 + stress_random(random, 64);

	for (unsigned i = 0; i < n; i++) {
		objects[i] = quire_cache_alloc(it->cache, 0);
		fill(objects[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		*broken += !is_filled(objects[i]);
		quire_cache_free(it->cache, objects[i]);
	}
}

static void *thread_run(void *arg)
{
	uint64_t random = (uintptr_t)arg, broken = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	while (!load_relaxed(&scene.stop)) {
		work(&scene.it, &random, &broken);
		if (random % 8 == 0)
			quire_cache_shrink(scene.it.cache);
	}
	fetch_add_relaxed(&scene.broken, broken);
	return NULL;
}

static void run_by_timer(const struct quire_options *options)
{
	uint64_t end_ns = env_u64("QUIRE_SIGNAL_MS", RUN_MS) * 1000000 + clock_now_ns();
	uint64_t random = 5, broken = 0;
	pthread_t threads[THREADS_NR];
	pid_t watchdog = watchdog_start(WATCHDOG_S);

	memset(&scene, 0, sizeof(scene));
	scene.it = case_begin(options, 64);
	for (uintptr_t i = 0; i < THREADS_NR; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_run, (void *)(i + 1)), 0);
	signal_handle(SIGALRM, at_the_timer);
	alarm_every_us(100);
	while (clock_now_ns() < end_ns)
		work(&scene.it, &random, &broken);
	store_relaxed(&scene.stop, true);
	alarm_every_us(0);
	for (unsigned i = 0; i < THREADS_NR; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		at_the_timer(0);
	kill(watchdog, SIGKILL);
	child_wait(watchdog);
	assert_u64_eq(scene.broken + broken, 0);
	assert_true(scene.handled > 100 && scene.served != 0);
	assert_u64_eq(case_stat(&scene.it).used, 0);
	case_end(&scene.it);
}

static void a_timer_interrupts_everything(void **state)
{
	(void)state;
	run_by_timer(&plain);
	assert_u64_eq(scene.broken, 0);
}

static void a_timer_interrupts_everything_without_sequences(void **state)
{
	(void)state;
	run_by_timer(&bare);
	assert_u64_eq(scene.broken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_gets_by_with_any_lock_held),
		cmocka_unit_test(without_any_lock_frees_wait),
		cmocka_unit_test(a_timer_interrupts_everything),
		cmocka_unit_test(a_timer_interrupts_everything_without_sequences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
