/* SPDX-License-Identifier: MIT */
/*
 * main.c - runs the test programs in turns
 *
 * From the command line, beside what the programs read from their environment:
 *
 *     QUIRE_BARE_SECONDS=n   begin rounds until n seconds have passed; at least one
 *     QUIRE_BARE_ONLY=n      that program only, by its place in the table
 */
#include "machine/bare/main.h"

#include "machine/clock.h"
#include "quire_test.h"

#define NS_PER_S UINT64_C(1000000000)

/* The main() of each, which the build names so. */
#define PROGRAMS(P)                                                                                \
	P(page_model_test)                                                                         \
	P(vmap_model_test)                                                                         \
	P(percpu_model_test)                                                                       \
	P(page_drain_race_test)                                                                    \
	P(vmap_race_test)                                                                          \
	P(percpu_race_test)                                                                        \
	P(percpu_ref_race_test)                                                                    \
	P(interrupt_test)                                                                          \
	P(memory_test)

#define DECLARE(name) int name##_main(void);
#define ENTRY(name)   { #name, name##_main },

PROGRAMS(DECLARE)

static const struct {
	const char *name;
	int (*run)(void);
} programs[] = { PROGRAMS(ENTRY) };
#define PROGRAMS_NR (sizeof(programs) / sizeof(programs[0]))

static int run_round(uint64_t only)
{
	int failed_nr = 0;

	for (size_t i = 0; i < PROGRAMS_NR; i++) {
		uint64_t begun_ns = clock_now_ns();

		if (only < PROGRAMS_NR && only != i)
			continue;
		failed_nr += programs[i].run() != 0;
		print_message("%s: %llu ms\n", programs[i].name,
			      (unsigned long long)((clock_now_ns() - begun_ns) / 1000000));
	}
	return failed_nr;
}

int bare_main(void)
{
	uint64_t end_ns = env_u64("QUIRE_BARE_SECONDS", 0) * NS_PER_S;
	uint64_t only = env_u64("QUIRE_BARE_ONLY", PROGRAMS_NR), round = 0;
	int failed_nr = 0;

	do {
		print_message("round %llu\n", (unsigned long long)++round);
		failed_nr += run_round(only);
	} while (failed_nr == 0 && clock_now_ns() < end_ns);
	print_message("%llu rounds, %d programs failed, %llu s\n", (unsigned long long)round,
		      failed_nr, (unsigned long long)(clock_now_ns() / NS_PER_S));
	return failed_nr;
}
