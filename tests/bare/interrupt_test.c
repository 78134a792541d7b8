/* SPDX-License-Identifier: MIT */
/*
 * Timer interrupts that allocate and free, as signal handlers do, beside threads of the same instance.
 *
 * At each tick each CPU's handler allocates and frees pages, a per-CPU object and what threads left for it, whatever
 * it interrupted.  Every page carries its owner's name, so one that was handed out twice is seen; in the end nothing is
 * lost.
 *
 * QUIRE_INTERRUPT_MS sets how long each run takes.
 */
#include "quire_test.h"

#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include <quire/vmap.h>

#include "machine/atomic.h"
#include "machine/bare/cpus.h"
#include "machine/bare/interrupts.h"
#include "machine/clock.h"
#include "machine/cpu.h"
#include "machine/lock.h"
#include "stress.h"

#define THREADS_NR 6u
#define RUN_MS	   1000u
#define LEFT_NR	   16u

/* One CPU's handler, which nothing but the handler uses while the timer has it. */
struct on_tick {
	struct stress_owner pages;
	uint64_t ticks_nr, served_nr, not_zero, not_told;
};

static struct {
	struct quire *q;
	struct on_tick handlers[CPUS_MAX];
	struct stress_owner threads[THREADS_NR];
	void *left[LEFT_NR]; /* atomic: pages and areas that threads leave for a handler to free */
	void *areas[LEFT_NR];
	uint64_t *counter; /* per CPU */
	uint64_t counted;  /* atomic */
	uint64_t end_ns;
} scene;

static void free_what_was_left(unsigned i)
{
	quire_free_pages(scene.q, __atomic_exchange_n(&scene.left[i], NULL, __ATOMIC_ACQ_REL), 0);
	quire_vfree(scene.q, __atomic_exchange_n(&scene.areas[i], NULL, __ATOMIC_ACQ_REL));
}

static void tick(void)
{
	struct on_tick *handler = &scene.handlers[cpus_here()->number];
	uint64_t *object = quire_alloc_percpu(scene.q, 24, 0, QUIRE_NOLOCK);

	handler->not_told += !lock_nested();
	for (unsigned i = 0; i < 4; i++)
		stress_step(&handler->pages);
	if (object != NULL) {
		handler->served_nr++;
		handler->not_zero += object[2] != 0;
		object[2] = 7;
		quire_free_percpu(scene.q, object);
	}
	free_what_was_left((unsigned)(handler->ticks_nr++ % LEFT_NR));
	quire_this_cpu_inc(scene.counter);
	fetch_add_relaxed(&scene.counted, 1);
}

static void leave(struct stress_owner *owner)
{
	unsigned i = stress_random(&owner->random, LEFT_NR);
	void *page = quire_alloc_pages(scene.q, 0, QUIRE_MOVABLE);
	void *area = quire_vmalloc(scene.q, 5000, 0);

	quire_free_pages(scene.q, __atomic_exchange_n(&scene.left[i], page, __ATOMIC_ACQ_REL), 0);
	quire_vfree(scene.q, __atomic_exchange_n(&scene.areas[i], area, __ATOMIC_ACQ_REL));
}

static void member(unsigned index, void *arg)
{
	struct stress_owner *owner = &scene.threads[index];

	(void)arg;
	while (clock_now_ns() < scene.end_ns) {
		for (unsigned i = 0; i < 64; i++)
			stress_step(owner);
		leave(owner);
		quire_this_cpu_inc(scene.counter);
		fetch_add_relaxed(&scene.counted, 1);
	}
	stress_end(owner);
}

static void scene_begin(enum quire_switch rseq)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .rseq = rseq, .decay_ms = 20);

	memset(&scene, 0, sizeof(scene));
	assert_int_equal(quire_create(&options, &scene.q), 0);
	scene.counter = quire_alloc_percpu(scene.q, 8, 0, 0);
	assert_non_null(scene.counter);
	for (unsigned i = 0; i < cpus_nr(); i++) {
		stress_begin(&scene.handlers[i].pages, scene.q, 100 + i);
		scene.handlers[i].pages.flags = QUIRE_NOLOCK;
		scene.handlers[i].pages.slots_nr = 32;
	}
	for (unsigned i = 0; i < THREADS_NR; i++)
		stress_begin(&scene.threads[i], scene.q, i);
	scene.end_ns = clock_now_ns() + env_u64("QUIRE_INTERRUPT_MS", RUN_MS) * 1000000;
}

static void check_handler(struct on_tick *handler)
{
	stress_end(&handler->pages);
	assert_u64_eq(handler->pages.broken, 0);
	assert_u64_eq(handler->not_zero, 0);
	assert_u64_eq(handler->not_told, 0);
	assert_true(handler->ticks_nr != 0 && handler->served_nr != 0);
	print_message("%llu ticks, %llu allocations of pages in them, %llu refused\n",
		      (unsigned long long)handler->ticks_nr,
		      (unsigned long long)handler->pages.allocs,
		      (unsigned long long)handler->pages.refused);
}

static void check(enum quire_switch rseq)
{
	scene_begin(rseq);
	interrupts_handle_timer(tick);
	team_run(THREADS_NR, member, NULL);
	interrupts_handle_timer(NULL);
	cpu_fence(); /* no handler runs any more: each CPU has taken an interrupt since */
	for (unsigned i = 0; i < LEFT_NR; i++)
		free_what_was_left(i);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		assert_u64_eq(scene.threads[i].broken, 0);
		assert_u64_eq(scene.threads[i].refused, 0);
	}
	for (unsigned i = 0; i < cpus_nr(); i++)
		check_handler(&scene.handlers[i]);
	assert_u64_eq(quire_per_cpu_sum(scene.counter), scene.counted);
	quire_free_percpu(scene.q, scene.counter);
	quire_release(scene.q);
	stress_assert_conserved(scene.q);
	quire_destroy(scene.q);
}

static void timer_interrupts_allocate_and_free_whatever_they_interrupt(void **state)
{
	(void)state;
	check(QUIRE_ON);
}

static void without_sequences_they_do_too(void **state)
{
	(void)state;
	check(QUIRE_OFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_interrupts_allocate_and_free_whatever_they_interrupt),
		cmocka_unit_test(without_sequences_they_do_too),
	};

	return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}
