/* SPDX-License-Identifier: MIT */
/*
 * Long random sequences against a naive allocator: an array of live objects, each filled with its
 * own number in every unit and looked at when it is freed.  An overlap, a copy that moved or was
 * lost, and content left from before are seen so; quire_verify() is asked now and then.
 *
 * QUIRE_PERCPU_MODEL_OPS sets how many operations there are.
 */
#include "unit/percpu/percpu_case.h"

#include "stress.h"

#define LIVE_MAX 4000u

struct live {
	unsigned char *ptr;
	size_t bytes;
	unsigned char number;
};

static struct live live[LIVE_MAX];

static size_t random_bytes(uint64_t *random)
{
	static const size_t most[] = { 8, 64, 64, 512, 2000, 6000, QUIRE_PERCPU_BYTES_MAX };

	return 1 + stress_random(random, (unsigned)most[stress_random(random, 7)]);
}

static bool is_filled(const unsigned char *copy, size_t bytes, unsigned char number)
{
	return copy[0] == number && memcmp(copy, copy + 1, bytes - 1) == 0;
}

static void take_size(struct quire *q, struct live *entry, size_t bytes, size_t align,
		      unsigned flags)
{
	static unsigned char numbers;
	unsigned char *ptr = quire_alloc_percpu(q, bytes, align, flags);

	if (ptr == NULL)
		return;
	assert_int_equal((uintptr_t)ptr % align, 0);
	assert_in_range(quire_percpu_bytes(q, ptr), bytes, bytes + 7);
	*entry = (struct live){ ptr, bytes, numbers++ % 255 + 1 };
	for (unsigned unit = 0; unit < UNITS; unit++) {
		unsigned char *copy = quire_per_cpu_ptr(ptr, unit);

		if (!is_filled(copy, bytes, 0))
			fail_msg("%zu bytes in unit %u are not zero", bytes, unit);
		memset(copy, entry->number, bytes);
	}
}

static void take(struct quire *q, struct live *entry, uint64_t *random)
{
	static const unsigned flags[] = { 0, 0, QUIRE_ATOMIC, QUIRE_NOWAIT };
	size_t bytes = random_bytes(random), align = (size_t)1 << stress_random(random, 7);

	take_size(q, entry, bytes, align, flags[stress_random(random, 4)]);
}

static void give(struct quire *q, struct live *entry)
{
	for (unsigned unit = 0; unit < UNITS; unit++) {
		const unsigned char *copy = quire_per_cpu_ptr(entry->ptr, unit);

		if (!is_filled(copy, entry->bytes, entry->number))
			fail_msg("of %zu bytes in unit %u some changed", entry->bytes, unit);
	}
	quire_free_percpu(q, entry->ptr);
	entry->ptr = NULL;
}

static void give_all(struct quire *q)
{
	for (unsigned i = 0; i < LIVE_MAX; i++)
		if (live[i].ptr != NULL)
			give(q, &live[i]);
	quire_percpu_shrink(q);
	assert_int_equal(quire_verify(q), 0);
	assert_int_equal(percpu_stat(q).objects, 0);
	assert_int_equal(percpu_stat(q).populated_pages, percpu_stat(q).first_pages);
	quire_destroy(q);
}

static void run_ops(struct quire_options options, uint64_t ops)
{
	struct quire *q = percpu_make(options);
	uint64_t random = 4711, target = LIVE_MAX / 2;

	for (uint64_t i = 0; i < ops; i++) {
		struct live *entry = &live[stress_random(&random, LIVE_MAX)];

		if (i % 8192 == 0)
			target = stress_random(&random, LIVE_MAX);
		if (entry->ptr != NULL)
			give(q, entry);
		else if (entry < &live[target])
			take(q, entry, &random);
		if (i % 4096 == 0)
			balance_tick(&q->percpu->module, i * 1000000);
		if (i % 2048 == 0)
			assert_int_equal(quire_verify(q), 0);
	}
	give_all(q);
}

static uint64_t ops_nr(void)
{
	return env_u64("QUIRE_PERCPU_MODEL_OPS", 60000);
}

static void run(struct quire_options options)
{
	run_ops(options, ops_nr());
}

static void packed(void **state)
{
	(void)state;
	run((struct quire_options){ .limit_bytes = 0 });
}

static void as_linux(void **state)
{
	(void)state;
	run((struct quire_options){ .placement = QUIRE_PLACEMENT_LINUX });
}

/* And no sequences, so that all frees and allocations are placed. */
static void with_any_rule_left_out(void **state)
{
	(void)state;
	for (unsigned rule = QUIRE_RULE_APART; rule <= QUIRE_RULE_ACROSS; rule++)
		run_ops((struct quire_options){ .placement_without =
							(enum quire_placement_rule)rule,
						.rseq = QUIRE_OFF },
			ops_nr() / 6);
}

static void without_sequences_in_a_small_limit(void **state)
{
	(void)state;
	run((struct quire_options){ .rseq = QUIRE_OFF, .limit_bytes = UINT64_C(16) << 20 });
}

/* One size comes and goes until it is warm, among objects that lie anywhere; then another does. */
static void sizes_in_turns(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .limit_bytes = 0 });
	uint64_t random = 4711, cached = 0;

	(void)state;
	for (uint64_t i = 0; i < ops_nr() / 20; i++) {
		size_t bytes = 5 + stress_random(&random, CACHE_SMALL_NR * 8 - 4);

		for (unsigned k = 0; k < 20; k++) {
			struct live *entry = &live[stress_random(&random, LIVE_MAX / 4)];
			struct live turn = { .ptr = NULL };

			take_size(q, &turn, bytes, 1, 0);
			give(q, &turn);
			if (entry->ptr != NULL)
				give(q, entry);
			else
				take(q, entry, &random);
		}
		cached += percpu_stat(q).cached_objects != 0;
		if (i % 16 == 0)
			assert_int_equal(quire_verify(q), 0);
		if (i % 256 == 0)
			quire_percpu_shrink(q);
	}
	assert_true(cached != 0 || q->percpu->stacks.cpu.slots_nr == 0);
	give_all(q);
}

static void large_pages(void **state)
{
	(void)state;
	run((struct quire_options){ .page_shift = 16 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed),
		cmocka_unit_test(as_linux),
		cmocka_unit_test(with_any_rule_left_out),
		cmocka_unit_test(without_sequences_in_a_small_limit),
		cmocka_unit_test(sizes_in_turns),
		cmocka_unit_test(large_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
