/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include "base/check.h"
#include "confine.h"
#include "machine/linux/mappings.h"
#include "machine/mem.h"

#define ROUNDS 20000u

static struct mem_mappings_stat read_now(void)
{
	struct mem_mappings_stat stat;

	mem_mappings_read(&stat);
	return stat;
}

/* 65,530 / 8 = 8,191, and a sixteenth of it is 511. */
static void budget_is_a_share_of_what_the_system_grants(void **state)
{
	(void)state;
	mappings_set_system_max(65530);
	assert_u64_eq(read_now().max, 8191);
	assert_false(mem_mappings_take(MAPPINGS_GUARDS, 8192));
	assert_true(mem_mappings_take(MAPPINGS_GUARDS, 8191));
	assert_false(mem_mappings_take(MAPPINGS_FRAMES, 1));
	mem_mappings_give(MAPPINGS_GUARDS, 8191);
	assert_false(mem_mappings_take(MAPPINGS_ADVICE, 512));
	assert_true(mem_mappings_take(MAPPINGS_ADVICE, 511));
	assert_true(mem_mappings_take(MAPPINGS_FRAMES, 8191 - 511));
	assert_false(mem_mappings_take(MAPPINGS_GUARDS, 1));
	mem_mappings_give(MAPPINGS_ADVICE, 511);
	mem_mappings_give(MAPPINGS_FRAMES, 8191 - 511);
	mappings_set_system_max(0);
}

static void refused_request_takes_nothing_and_is_counted(void **state)
{
	uint64_t before = read_now().refused[MAPPINGS_ADVICE];

	(void)state;
	mappings_set_system_max(8 * 16 * 4);
	assert_true(mem_mappings_take(MAPPINGS_ADVICE, 3));
	assert_false(mem_mappings_take(MAPPINGS_ADVICE, 2));
	assert_u64_eq(read_now().used[MAPPINGS_ADVICE], 3);
	assert_u64_eq(read_now().refused[MAPPINGS_ADVICE], before + 1);
	assert_true(mem_mappings_take(MAPPINGS_ADVICE, 1));
	mem_mappings_give(MAPPINGS_ADVICE, 4);
	assert_u64_eq(read_now().used[MAPPINGS_ADVICE], 0);
	mappings_set_system_max(0);
}

static void what_must_be_is_counted_beyond_the_budget(void **state)
{
	(void)state;
	mappings_set_system_max(8);
	mem_mappings_add(MAPPINGS_FRAMES, 5);
	assert_u64_eq(read_now().used[MAPPINGS_FRAMES], 5);
	assert_false(mem_mappings_take(MAPPINGS_GUARDS, 1));
	mem_mappings_give(MAPPINGS_FRAMES, 5);
	assert_true(mem_mappings_take(MAPPINGS_GUARDS, 1));
	mem_mappings_give(MAPPINGS_GUARDS, 1);
	mappings_set_system_max(0);
}

static void takes_and_gives(unsigned index, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t nr = 1 + (i + index) % 3;
		enum mem_mappings kind = i % 2 == 0 ? MAPPINGS_GUARDS : MAPPINGS_FRAMES;

		CHECK(read_now().used[kind] <= 4);
		if (mem_mappings_take(kind, nr))
			mem_mappings_give(kind, nr);
	}
}

static void budget_holds_for_many_threads(void **state)
{
	(void)state;
	mappings_set_system_max(8 * 4);
	team_run(3, takes_and_gives, NULL);
	assert_u64_eq(read_now().used[MAPPINGS_GUARDS], 0);
	assert_u64_eq(read_now().used[MAPPINGS_FRAMES], 0);
	assert_true(mem_mappings_take(MAPPINGS_GUARDS, 4));
	mem_mappings_give(MAPPINGS_GUARDS, 4);
	mappings_set_system_max(0);
}

static void asks_without_proc(void *arg)
{
	(void)arg;
	if (!confine_hide("/proc")) {
		fprintf(stderr, "skipped: /proc cannot be hidden here\n");
		return;
	}
	CHECK(read_now().max == 8191);
}

static void system_that_does_not_tell_is_taken_for_the_default(void **state)
{
	(void)state;
	mappings_set_system_max(0);
	expect_life(asks_without_proc, NULL);
	assert_true(read_now().max > 0);
}

static void gives_what_was_not_taken(void *arg)
{
	(void)arg;
	mem_mappings_give(MAPPINGS_ADVICE, 1);
}

static void giving_more_than_was_taken_is_a_bug(void **state)
{
	(void)state;
	expect_death(gives_what_was_not_taken, NULL, "quire: bug: CHECK");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(budget_is_a_share_of_what_the_system_grants),
		cmocka_unit_test(refused_request_takes_nothing_and_is_counted),
		cmocka_unit_test(what_must_be_is_counted_beyond_the_budget),
		cmocka_unit_test(budget_holds_for_many_threads),
		cmocka_unit_test(system_that_does_not_tell_is_taken_for_the_default),
		cmocka_unit_test(giving_more_than_was_taken_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
