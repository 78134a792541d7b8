/* SPDX-License-Identifier: MIT */
/*
 * percpu_ref_race_test.c - references killed while threads that migrate take and drop them
 *
 * Two users take and drop as fast as they can until tryget_live() fails; a third kills.  Each life
 * must be released once, by nobody while a reference is held; then it is revived.
 */
#include "quire_test.h"

#include <sched.h>

#include <quire/percpu_ref.h>

#include "machine/atomic.h"

#define LIVES 2000u

static struct quire_percpu_ref ref;
static uint32_t released, broken, life_begun, users_done; /* atomic */
static unsigned cpus[64], cpus_nr;

static void release(struct quire_percpu_ref *which)
{
	(void)which;
	fetch_add_relaxed(&released, 1);
}

static void wait_for(const uint32_t *word, uint32_t value)
{
	while (load_acquire(word) < value)
		sched_yield();
}

static void use(unsigned index, uint32_t life)
{
	for (unsigned i = 0; quire_percpu_ref_tryget_live(&ref); i++) {
		if (i % 64 == 0)
			(void)pin_to_cpu(cpus[(i / 64 + index) % cpus_nr]);
		quire_percpu_ref_get(&ref);
		if (load_relaxed(&released) >= life)
			fetch_add_relaxed(&broken, 1);
		quire_percpu_ref_put_many(&ref, 2);
	}
}

static void run_thread(unsigned index, void *arg)
{
	uint32_t lives = *(uint32_t *)arg;

	for (uint32_t life = 1; life <= lives; life++) {
		if (index != 0) {
			wait_for(&life_begun, life);
			use(index, life);
			__atomic_fetch_add(&users_done, 1, __ATOMIC_RELEASE);
			continue;
		}
		if (life > 1)
			quire_percpu_ref_reinit(&ref);
		store_release(&life_begun, life);
		for (unsigned i = 0; i < life % 50; i++)
			sched_yield();
		quire_percpu_ref_kill(&ref);
		wait_for(&users_done, 2 * life);
		if (load_relaxed(&released) != life)
			fetch_add_relaxed(&broken, 1);
	}
}

static void each_life_is_released_once(void **state)
{
	uint32_t lives = (uint32_t)env_u64("QUIRE_REF_LIVES", LIVES);

	(void)state;
	released = broken = life_begun = users_done = 0;
	assert_int_equal(quire_percpu_ref_init(quire_default(), &ref, release, 0), 0);
	team_run(3, run_thread, &lives);
	assert_u64_eq(broken, 0);
	assert_u64_eq(released, lives);
	quire_percpu_ref_exit(&ref);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_life_is_released_once),
	};

	for (int cpu = allowed_cpu_next(0); cpu >= 0 && cpus_nr < 64;
	     cpu = allowed_cpu_next((unsigned)cpu + 1))
		cpus[cpus_nr++] = (unsigned)cpu;
	return cmocka_run_group_tests_name("percpu_ref_race", tests, NULL, NULL);
}
