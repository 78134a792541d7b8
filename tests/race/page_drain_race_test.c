/* SPDX-License-Identifier: MIT */
/*
 * Owners allocate and free while others empty the owners' CPUs.  A round is one remote call: one
 * CPU drained, all of them, lists switched off and on, or a block isolated and put back;
 * a drain that finds nothing is none.  Nothing is lost (conservation, quire_verify) and nothing is
 * doubled (every page carries its owner's name).
 *
 * QUIRE_RACE_ROUNDS sets how many rounds there are in all.
 */
#include "quire_test.h"

#include <quire/page.h>

#include "stress.h"

#define OWNERS_NR 2u
#define ROUNDS	  UINT64_C(200000)

struct race {
	struct quire *q;
	struct stress_owner owners[OWNERS_NR];
	uint64_t rounds;   /* of all drainers */
	uint32_t drainers; /* still at work */
	int cpus[64];
	unsigned cpus_nr;
	bool (*round)(struct race *race, uint64_t *random, uint64_t i); /* false: found nothing */
};

static void pin_to_nth(struct race *race, unsigned nth)
{
	pin_to_cpu((unsigned)race->cpus[nth % race->cpus_nr]);
}

static void own(struct race *race, unsigned index)
{
	struct stress_owner *owner = &race->owners[index];

	/* The first stays on its CPU, the others move about. */
	do {
		pin_to_nth(race, index == 0 ? 0 : stress_random(&owner->random, race->cpus_nr));
		for (unsigned i = 0; i < 16384; i++)
			stress_step(owner);
	} while (__atomic_load_n(&race->drainers, __ATOMIC_ACQUIRE) != 0);
	stress_end(owner);
}

static void drain(struct race *race, unsigned index)
{
	uint64_t random = index + 77;

	pin_to_nth(race, index - OWNERS_NR + 1);
	for (uint64_t done = 0, calls = 0; done < race->rounds; calls++)
		done += race->round(race, &random, calls);
	__atomic_sub_fetch(&race->drainers, 1, __ATOMIC_RELEASE);
}

static void member(unsigned index, void *arg)
{
	if (index < OWNERS_NR)
		own(arg, index);
	else
		drain(arg, index);
}

static void race_run(const struct quire_options *options, unsigned drainers, uint64_t rounds,
		     bool (*round)(struct race *race, uint64_t *random, uint64_t i))
{
	static struct race race;

	race = (struct race){ .rounds = rounds / drainers, .drainers = drainers, .round = round };
	assert_int_equal(quire_create(options, &race.q), 0);
	for (int cpu = allowed_cpu_next(0); cpu >= 0 && race.cpus_nr < 64;
	     cpu = allowed_cpu_next((unsigned)cpu + 1))
		race.cpus[race.cpus_nr++] = cpu;
	for (unsigned i = 0; i < OWNERS_NR; i++) {
		stress_begin(&race.owners[i], race.q, i);
		race.owners[i].order_max = 10;
		race.owners[i].slots_nr = 64;
	}
	team_run(OWNERS_NR + drainers, member, &race);
	for (unsigned i = 0; i < OWNERS_NR; i++) {
		assert_u64_eq(race.owners[i].broken, 0);
		assert_u64_eq(race.owners[i].refused, 0);
		assert_true(race.owners[i].allocs != 0);
	}
	stress_assert_conserved(race.q);
	quire_destroy(race.q);
}

static bool one_cpu(struct race *race, uint64_t *random, uint64_t i)
{
	(void)i;
	return quire_drain_slot(race->q, stress_random(random, quire_slots(race->q))) != 0;
}

static bool isolate_and_back(struct race *race, uint64_t *random)
{
	void *addr = stress_any(&race->owners[stress_random(random, OWNERS_NR)], random);

	return addr != NULL && quire_isolate_pageblock(race->q, addr) == 0 &&
	       quire_unisolate_pageblock(race->q, addr) == 0;
}

static bool any_call(struct race *race, uint64_t *random, uint64_t i)
{
	switch (i % 16) {
	case 0:
		quire_pcp_disable(race->q);
		quire_pcp_enable(race->q);
		return true;
	case 1:
		return isolate_and_back(race, random);
	case 2:
		return quire_drain_all(race->q) != 0;
	default:
		return one_cpu(race, random, i);
	}
}

static uint64_t rounds_wanted(void)
{
	return env_u64("QUIRE_RACE_ROUNDS", ROUNDS);
}

static const struct quire_options plain =
	QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20, .worker = QUIRE_WORKER_OFF);

static void remote_drains_lose_and_double_nothing(void **state)
{
	(void)state;
	race_run(&plain, 1, rounds_wanted() / 5, one_cpu);
}

static void drains_disabling_and_isolation_lose_and_double_nothing(void **state)
{
	(void)state;
	race_run(&plain, 2, rounds_wanted() / 10 * 6, any_call);
}

static void without_sequences_they_lose_and_double_nothing(void **state)
{
	struct quire_options options = plain;

	(void)state;
	options.rseq = QUIRE_OFF;
	race_run(&options, 2, rounds_wanted() / 10, any_call);
}

static void on_two_zones_they_lose_and_double_nothing(void **state)
{
	struct quire_options options = plain;

	(void)state;
	options.zones = 2;
	race_run(&options, 2, rounds_wanted() / 10, any_call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remote_drains_lose_and_double_nothing),
		cmocka_unit_test(drains_disabling_and_isolation_lose_and_double_nothing),
		cmocka_unit_test(without_sequences_they_lose_and_double_nothing),
		cmocka_unit_test(on_two_zones_they_lose_and_double_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
