/* SPDX-License-Identifier: MIT */
/*
 * Signal handlers are this allocator's interrupts: they allocate with QUIRE_NOLOCK and free
 * anything, whatever they interrupted.  First by hand, with each lock held; then for a time with a
 * timer, while two threads allocate and free.  An alarm ends a run that hangs.
 *
 * QUIRE_SIGNAL_MS sets how long each of the two timed runs takes.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "machine/lock.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "quire_test.h"
#include "stress.h"

extern void __tsan_init(void) __attribute__((weak));

#define RUN_MS	    2500u
#define TIMER_NS    100000 /* 10 kHz */
#define THREADS_NR  2u
#define ORDERS_NR   4u
#define WATCHDOG_S  60u
/* Signals that each thread must have had, and for how much longer than its time it runs until then. */
#define SIGNALS_MIN 100u
#define LONGER_S    20u

/* ---- by hand ------------------------------------------------------------------------------------ */

/* What the handler is to free and what it was given.  The handler runs inside raise(). */
static struct {
	struct quire *q;
	void *to_free[ORDERS_NR];
	void *got[ORDERS_NR];
	bool allocates;
} scene;

static void free_and_alloc(int signal_nr)
{
	(void)signal_nr;
	for (unsigned order = 0; order < ORDERS_NR; order++) {
		quire_free_pages(scene.q, scene.to_free[order], order);
		scene.to_free[order] = NULL;
		if (scene.allocates)
			scene.got[order] = quire_alloc_pages(scene.q, order, QUIRE_NOLOCK);
	}
}

static void scene_begin(enum quire_switch rseq)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)64 << 20, .rseq = rseq,
				   .worker = QUIRE_WORKER_OFF);

	alarm(WATCHDOG_S);
	memset(&scene, 0, sizeof(scene));
	scene.allocates = true;
	assert_int_equal(quire_create(&options, &scene.q), 0);
	for (unsigned order = 0; order < ORDERS_NR; order++) {
		scene.to_free[order] = quire_alloc_pages(scene.q, order, 0);
		assert_non_null(scene.to_free[order]);
	}
	signal_handle(SIGUSR1, free_and_alloc);
}

static uint64_t deferred_frees(void)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	assert_int_equal(quire_page_stat_read(scene.q, &stat), 0);
	return stat.deferred_frees;
}

/* An ordinary call takes in what was deferred; then everything is where it belongs. */
static void scene_end(void)
{
	void *page = quire_alloc_pages(scene.q, 4, 0);

	assert_non_null(page);
	quire_free_pages(scene.q, page, 4);
	quire_drain_all(scene.q);
	assert_u64_eq(pages_of(scene.q)->deferred, FRAME_NONE);
	for (unsigned order = 0; order < ORDERS_NR; order++) {
		assert_null(scene.to_free[order]);
		quire_free_pages(scene.q, scene.got[order], order);
	}
	stress_assert_conserved(scene.q);
	quire_destroy(scene.q);
	alarm(0);
}

static void hold_all_doors(void)
{
	for (unsigned slot = 0; slot < quire_slots(scene.q); slot++) {
		struct pcp *pcp = page_pcp(pages_of(scene.q), 0, slot);

		lock_acquire_ordered(&pcp->door.lock);
		if (pcp->door.ready)
			stacks_close_locked(&pages_of(scene.q)->stacks, &pcp->door);
	}
}

static void release_all_doors(void)
{
	for (unsigned slot = 0; slot < quire_slots(scene.q); slot++) {
		struct pcp *pcp = page_pcp(pages_of(scene.q), 0, slot);

		if (pcp->door.ready)
			stacks_open_locked(&pages_of(scene.q)->stacks, &pcp->door);
		lock_release(&pcp->door.lock, 0);
	}
}

static void check_with_zone_lock_held(enum quire_switch rseq)
{
	lock_token token;

	scene_begin(rseq);
	token = lock_acquire(&pages_of(scene.q)->zone[0].lock);
	raise(SIGUSR1);
	lock_release(&pages_of(scene.q)->zone[0].lock, token);
	scene_end();
}

static void a_handler_that_interrupts_the_zone_lock_never_blocks(void **state)
{
	(void)state;
	check_with_zone_lock_held(QUIRE_ON);
	check_with_zone_lock_held(QUIRE_OFF);
}

/* The buddy is free, so the frees go there and the allocations come from there. */
static void check_with_doors_held(enum quire_switch rseq)
{
	scene_begin(rseq);
	hold_all_doors();
	raise(SIGUSR1);
	release_all_doors();
	assert_u64_eq(deferred_frees(), 0);
	for (unsigned order = 0; order < ORDERS_NR; order++)
		assert_non_null(scene.got[order]);
	scene_end();
}

static void a_handler_that_interrupts_every_pcp_lock_uses_the_buddy(void **state)
{
	(void)state;
	check_with_doors_held(QUIRE_ON);
	check_with_doors_held(QUIRE_OFF);
}

static void raise_with_everything_held(void)
{
	lock_token token;

	hold_all_doors();
	token = lock_acquire(&pages_of(scene.q)->zone[0].lock);
	raise(SIGUSR1);
	lock_release(&pages_of(scene.q)->zone[0].lock, token);
	release_all_doors();
	assert_int_equal(quire_verify(scene.q), 0);
}

static void check_deferred(enum quire_switch rseq)
{
	scene_begin(rseq);
	scene.allocates = false;
	raise_with_everything_held();
	assert_u64_eq(deferred_frees(), ORDERS_NR);
	assert_true(pages_of(scene.q)->deferred != FRAME_NONE);
	scene_end();
}

static void with_every_lock_held_frees_are_deferred_and_taken_in_later(void **state)
{
	(void)state;
	check_deferred(QUIRE_ON);
	check_deferred(QUIRE_OFF);
}

/* First from what the handler itself freed, which nobody could take in; then from the spares, which
 * the first such call asks for. */
static void check_served_with_everything_held(enum quire_switch rseq)
{
	scene_begin(rseq);
	raise_with_everything_held();
	for (unsigned order = 0; order < ORDERS_NR; order++) {
		assert_non_null(scene.got[order]);
		quire_free_pages(scene.q, scene.got[order], order);
	}
	quire_free_pages(scene.q, quire_alloc_pages(scene.q, 5, 0), 5);
	raise_with_everything_held();
	for (unsigned order = 0; order < ORDERS_NR; order++)
		assert_non_null(scene.got[order]);
	scene_end();
}

static void with_every_lock_held_allocations_are_served(void **state)
{
	(void)state;
	check_served_with_everything_held(QUIRE_ON);
	check_served_with_everything_held(QUIRE_OFF);
}

static void check_with_mutexes_held(enum quire_switch rseq)
{
	scene_begin(rseq);
	mutex_acquire(&pages_of(scene.q)->pcp_disable_mutex);
	mutex_acquire(&pages_of(scene.q)->giveback_mutex);
	mutex_acquire(&pages_of(scene.q)->grow_mutex);
	raise(SIGUSR1);
	mutex_release(&pages_of(scene.q)->grow_mutex);
	mutex_release(&pages_of(scene.q)->giveback_mutex);
	mutex_release(&pages_of(scene.q)->pcp_disable_mutex);
	scene_end();
}

static void a_handler_that_interrupts_waiting_locks_never_blocks(void **state)
{
	(void)state;
	check_with_mutexes_held(QUIRE_ON);
	check_with_mutexes_held(QUIRE_OFF);
}

static void a_handler_that_interrupts_nothing_is_served(void **state)
{
	(void)state;
	scene_begin(QUIRE_ON);
	raise(SIGUSR1);
	for (unsigned order = 0; order < ORDERS_NR; order++)
		assert_non_null(scene.got[order]);
	assert_u64_eq(deferred_frees(), 0);
	scene_end();
}

/* ---- by a timer ----------------------------------------------------------------------------------- */

#define HANDED_NR 64u

/* One thread and the handler on it.  The thread hands single pages over for the handler to free. */
struct interrupted {
	struct stress_owner thread, handler;
	void *handed[HANDED_NR]; /* filled by the thread, emptied by the handler */
	uint64_t handed_nr, taken_nr, signals_nr, ran_ms;
};

static struct {
	struct quire *q;
	struct interrupted members[THREADS_NR];
	uint64_t end_ns, longest_ns;
} timed;

static _Thread_local struct interrupted *self;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void tick(int signal_nr)
{
	struct interrupted *member = self;
	int errno_before = errno; /* a refusal sets it */

	(void)signal_nr;
	if (member == NULL)
		return;
	member->signals_nr++;
	for (unsigned i = 0; i < 4; i++)
		stress_step(&member->handler);
	for (unsigned i = 0; i < HANDED_NR; i++) {
		void *page = member->handed[i];

		if (page == NULL)
			continue;
		member->handed[i] = NULL;
		member->taken_nr++;
		quire_free_pages(timed.q, page, 0);
	}
	errno = errno_before;
}

/* Each thread has a timer of its own, aimed at itself. */
static timer_t timer_begin(void)
{
	const struct itimerspec period = { .it_interval = { .tv_nsec = TIMER_NS },
					   .it_value = { .tv_nsec = TIMER_NS } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2 };
	timer_t timer = NULL;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
	    timer_settime(timer, 0, &period, NULL) != 0)
		abort();
	return timer;
}

static void hand_over(struct interrupted *member, unsigned i)
{
	void *volatile *slot = &member->handed[i % HANDED_NR];
	void *page;

	if (*slot != NULL)
		return;
	page = quire_alloc_pages(timed.q, 0, QUIRE_MOVABLE);
	member->handed_nr += page != NULL;
	*slot = page;
}

/* Percent of the allocations in handlers that may be refused where the CPUs are shared.  Under
 * ThreadSanitizer locks are held twenty times as long. */
static unsigned shared_max(void)
{
	return __tsan_init != NULL ? 50 : 10;
}

/* For the time of the run.  Where other processes take the CPUs, that may be a few slices: then it goes on
 * until there were enough signals, and not most of them while the other thread had no CPU. */
static bool goes_on(const struct interrupted *member)
{
	uint64_t time_ns = now_ns();

	return time_ns < timed.end_ns ||
	       (time_ns < timed.longest_ns &&
		(member->signals_nr <= SIGNALS_MIN ||
		 member->handler.refused * 100 > member->handler.allocs * shared_max()));
}

static void interrupted_run(unsigned index, void *arg)
{
	struct interrupted *member = &timed.members[index];
	uint64_t begun_ns = now_ns();
	timer_t timer;

	(void)arg;
	self = member;
	timer = timer_begin();
	while (goes_on(member)) {
		for (unsigned i = 0; i < 512; i++)
			stress_step(&member->thread);
		hand_over(member, (unsigned)member->thread.allocs);
	}
	member->ran_ms = (now_ns() - begun_ns) / 1000000;
	timer_delete(timer);
	self = NULL;
	stress_end(&member->thread);
	stress_end(&member->handler);
	for (unsigned i = 0; i < HANDED_NR; i++) {
		member->taken_nr += member->handed[i] != NULL;
		quire_free_pages(timed.q, member->handed[i], 0);
	}
}

static void timed_begin(enum quire_switch rseq)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20,
								.rseq = rseq, .decay_ms = 50);
	uint64_t run_ms = env_u64("QUIRE_SIGNAL_MS", RUN_MS);

	memset(&timed, 0, sizeof(timed));
	alarm(WATCHDOG_S + (unsigned)(run_ms / 50));
	assert_int_equal(quire_create(&options, &timed.q), 0);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		stress_begin(&timed.members[i].thread, timed.q, i);
		stress_begin(&timed.members[i].handler, timed.q, 100 + i);
		timed.members[i].thread.order_max = 9;
		timed.members[i].handler.flags = QUIRE_NOLOCK;
		timed.members[i].handler.slots_nr = 32;
	}
	signal_handle(SIGUSR2, tick);
	timed.end_ns = now_ns() + run_ms * 1000000;
	timed.longest_ns = timed.end_ns + LONGER_S * UINT64_C(1000000000);
}

static void check_member(const struct interrupted *member)
{
	assert_u64_eq(member->thread.broken, 0);
	assert_u64_eq(member->thread.refused, 0);
	assert_u64_eq(member->handler.broken, 0);
	assert_u64_eq(member->handed_nr, member->taken_nr);
	assert_true(member->signals_nr > SIGNALS_MIN);
	print_message("%llu signals, %llu allocations in handlers, %llu refused\n",
		      (unsigned long long)member->signals_nr,
		      (unsigned long long)member->handler.allocs,
		      (unsigned long long)member->handler.refused);
}

/*
 * 99 % are served.  Where other processes take the CPUs (then many ticks are missed), a thread may
 * lose its CPU for long while it holds a lock, and the other's handlers find nothing: 90 %.
 */
static void check_served(void)
{
	uint64_t signals = 0, ticks = 0, allocs = 0, refused = 0;
	unsigned share_max;

	for (unsigned i = 0; i < THREADS_NR; i++) {
		signals += timed.members[i].signals_nr;
		ticks += timed.members[i].ran_ms * 10;
		allocs += timed.members[i].handler.allocs;
		refused += timed.members[i].handler.refused;
	}
	share_max = signals * 10 >= ticks * 9 && __tsan_init == NULL ? 1 : shared_max();
	if (__tsan_init != NULL)
		print_message("under ThreadSanitizer only half is asked for\n");
	else if (share_max != 1)
		print_message("the CPUs are shared: only 90 %% is asked for\n");
	assert_true(refused * 100 <= allocs * share_max);
}

static void check_timed(enum quire_switch rseq)
{
	timed_begin(rseq);
	team_run(THREADS_NR, interrupted_run, NULL);
	for (unsigned i = 0; i < THREADS_NR; i++)
		check_member(&timed.members[i]);
	check_served();
	stress_assert_conserved(timed.q);
	quire_destroy(timed.q);
	alarm(0);
}

static void under_a_10_khz_timer_handlers_are_served_and_nothing_is_lost(void **state)
{
	(void)state;
	check_timed(QUIRE_ON);
}

static void without_sequences_the_same_holds(void **state)
{
	(void)state;
	check_timed(QUIRE_OFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_that_interrupts_nothing_is_served),
		cmocka_unit_test(a_handler_that_interrupts_the_zone_lock_never_blocks),
		cmocka_unit_test(a_handler_that_interrupts_every_pcp_lock_uses_the_buddy),
		cmocka_unit_test(with_every_lock_held_frees_are_deferred_and_taken_in_later),
		cmocka_unit_test(with_every_lock_held_allocations_are_served),
		cmocka_unit_test(a_handler_that_interrupts_waiting_locks_never_blocks),
		cmocka_unit_test(under_a_10_khz_timer_handlers_are_served_and_nothing_is_lost),
		cmocka_unit_test(without_sequences_the_same_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
