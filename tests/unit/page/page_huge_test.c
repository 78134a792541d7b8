/* SPDX-License-Identifier: MIT */
/*
 * Advice about huge pages by block: what is given back in part loses it, what is whole has it again,
 * and it costs no more mappings than the budget has.  The system's own account (/proc/self/smaps) is
 * the witness.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <quire/page.h>

#include "base/check.h"
#include "huge/huge.h"
#include "machine/linux/mappings.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "mapped.h"
#include "page/pages.h"
#include "quire_test.h"

#define PAGE	   4096u
#define BLOCKS	   32u
#define A_BLOCK	   (MIB(2) / PAGE)
#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs"

/* ---- the system's account ---- */

/* The advice of the mapping around @addr: 'h' for huge pages, 'n' against them, '-' for none of both. */
static char advice_at(const void *addr)
{
	return mapping_has_flag(addr, "hg") ? 'h' : mapping_has_flag(addr, "nh") ? 'n' : '-';
}

static uint64_t advice_counted(void)
{
	struct mem_mappings_stat stat;

	mem_mappings_read(&stat);
	return stat.used[MAPPINGS_ADVICE];
}

/* ---- pages of whole blocks ---- */

struct blocks {
	struct quire *q;
	bool used[BLOCKS * 2]; /* by number: pages were taken from it */
	char *page[BLOCKS * A_BLOCK];
};

static uint32_t block_of(const struct blocks *b, const char *page)
{
	return (uint32_t)((size_t)(page - pages_of(b->q)->base) / MIB(2));
}

static struct blocks *blocks_make(void)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .page_shift = 12, .report = QUIRE_OFF,
				   .worker = QUIRE_WORKER_OFF, .thp = QUIRE_ON);
	struct blocks *b = calloc(1, sizeof(*b));

	assert_int_equal(quire_create(&options, &b->q), 0);
	for (unsigned i = 0; i < BLOCKS * A_BLOCK; i++) {
		b->page[i] = quire_alloc_pages(b->q, 0, QUIRE_MOVABLE);
		assert_non_null(b->page[i]);
		b->page[i][0] = 1;
		assert_true(block_of(b, b->page[i]) < BLOCKS * 2);
		b->used[block_of(b, b->page[i])] = true;
	}
	return b;
}

/* Of the blocks that pages were taken from, by parity; 0: any. */
static void expect_advice(const struct blocks *b, char even, char odd)
{
	for (unsigned i = 0; i < BLOCKS * 2 && kernel_knows_huge_pages(); i++)
		if (b->used[i] && (i % 2 == 0 ? even : odd) != 0)
			assert_int_equal(advice_at(pages_of(b->q)->base + i * MIB(2)),
					 i % 2 == 0 ? even : odd);
}

static void give(struct blocks *b, unsigned i)
{
	quire_free_pages(b->q, b->page[i], 0);
	b->page[i] = NULL;
}

/* Of each block with @parity (2: any) all pages but the first go. */
static void free_parts(struct blocks *b, unsigned parity)
{
	for (unsigned i = 0; i < BLOCKS * A_BLOCK; i++)
		if ((uintptr_t)b->page[i] % MIB(2) != 0 &&
		    (parity == 2 || block_of(b, b->page[i]) % 2 == parity))
			give(b, i);
	quire_release(b->q);
}

static void free_all(struct blocks *b)
{
	for (unsigned i = 0; i < BLOCKS * A_BLOCK; i++)
		if (b->page[i] != NULL)
			give(b, i);
	quire_release(b->q);
}

static void blocks_end(struct blocks *b)
{
	quire_destroy(b->q);
	free(b);
}

/* ---- claims ---- */

static void block_given_back_in_part_is_advised_against_huge_pages(void **state)
{
	struct blocks *b;

	(void)state;
	if (!kernel_knows_huge_pages())
		skip_because("the system has no huge pages");
	b = blocks_make();
	expect_advice(b, 'h', 'h');
	free_parts(b, 1);
	expect_advice(b, 'h', 'n');
	free_all(b);
	expect_advice(b, 'h', 'h');
	blocks_end(b);
}

/* A part of a huge page that is unmapped only stays charged, out of anybody's reach. */
static void block_given_back_in_part_is_charged_for_what_is_left(void **state)
{
	struct memory_group group;
	struct blocks *b;
	uint64_t before, end_ns;

	(void)state;
	if (!memory_group_enter(&group))
		skip_because("no memory cgroup of our own");
	b = blocks_make();
	before = memory_group_bytes(&group);
	free_parts(b, 2);
	end_ns = await_begin(); /* the system keeps some of it for a moment, by CPU */
	while (memory_group_bytes(&group) >= before - BLOCKS * MIB(2) + MIB(4) &&
	       await_more(end_ns))
		;
	assert_true(memory_group_bytes(&group) < before - BLOCKS * MIB(2) + MIB(4));
	free_all(b);
	blocks_end(b);
	memory_group_leave(&group);
}

static void mappings_come_back_when_all_is_freed(void **state)
{
	uint64_t counted = advice_counted();
	struct blocks *b = blocks_make();
	size_t before = count_maps();
	uint64_t edges = advice_counted();

	(void)state;
	free_parts(b, 1);
	assert_true(count_maps() >= before + BLOCKS - 2 || !kernel_knows_huge_pages());
	assert_true(advice_counted() >= edges + BLOCKS - 2);
	free_all(b);
	assert_u64_eq(count_maps(), before);
	assert_u64_eq(advice_counted(), edges);
	blocks_end(b);
	assert_u64_eq(advice_counted(), counted);
}

/* Past the budget a block takes its neighbours along, so that it needs no mapping. */
static void budget_bounds_the_mappings_and_no_part_keeps_the_advice(void **state)
{
	struct blocks *b = blocks_make();
	size_t before = count_maps();

	(void)state;
	mappings_set_system_max((advice_counted() + 4) * 8 * 16);
	free_parts(b, 1);
	assert_true(count_maps() <= before + 6);
	expect_advice(b, 0, 'n');
	free_all(b);
	expect_advice(b, 'h', 'h');
	assert_true(count_maps() <= before);
	mappings_set_system_max(0);
	blocks_end(b);
}

static void without_huge_pages_nothing_is_advised_by_block(void **state)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .thp = QUIRE_OFF);
	uint64_t counted;
	struct quire *q;
	char *page[600];

	(void)state;
	assert_int_equal(quire_create(&options, &q), 0);
	for (unsigned i = 0; i < 600; i++)
		page[i] = quire_alloc_pages(q, 0, QUIRE_MOVABLE);
	counted = advice_counted();
	for (unsigned i = 1; i < 600; i++)
		quire_free_pages(q, page[i], 0);
	quire_release(q);
	assert_u64_eq(advice_counted(), counted);
	quire_destroy(q);
}

/* ---- a map against a plain recount ---- */

static uint32_t recount(const struct huge_map *map)
{
	uint32_t edges = 0;

	for (uint32_t i = 1; i < map->blocks_nr; i++) {
		enum huge_kind a = huge_kind(map, i - 1), b = huge_kind(map, i);

		edges += (a == HUGE_WISHED ? HUGE_PLAIN : a) != (b == HUGE_WISHED ? HUGE_PLAIN : b);
	}
	return edges;
}

static void change(struct huge_map *map, unsigned *seed, uint32_t blocks)
{
	uint32_t first = (uint32_t)rand_r(seed) % blocks;
	uint32_t end =
		first + 1 + (uint32_t)rand_r(seed) % (blocks - first < 4 ? blocks - first : 4);

	switch (rand_r(seed) % 4) {
	case 0:
		huge_allow(map, first, end);
		break;
	case 1:
		huge_settle(map, first, end, rand_r(seed) % 2 != 0);
		break;
	default:
		huge_deny(map, first, end);
		for (uint32_t i = first; i < end; i++)
			assert_int_equal(huge_kind(map, i), HUGE_PLAIN);
	}
}

static void map_counts_what_the_system_has_for_any_changes(void **state)
{
	static uint8_t kind[64];
	char *base = mem_reserve(MIB(2) * 64, MIB(2), "quire-test");
	unsigned seed = (unsigned)env_u64("QUIRE_TEST_SEED", 1);
	struct mutex mutex;
	struct huge_map map;
	size_t before = count_maps();

	(void)state;
	mutex_init(&mutex, RANK_HUGE);
	mutex_acquire(&mutex);
	huge_init(&map, &mutex, base, kind, 64);
	assert_int_equal(mem_commit(base, MIB(2) * 48), 0);
	huge_usable(&map, 0, 20, true);
	/* Some of the others are published before they are counted. */
	huge_usable_uncounted(&map, 24, 30, false);
	assert_u64_eq(map.edges, 1);
	huge_usable(&map, 20, 24, false);
	huge_usable(&map, 30, 48, false);
	assert_u64_eq(map.edges, 4);
	huge_count(&map, 0, 48, false);
	assert_u64_eq(map.edges, 2);
	mappings_set_system_max((advice_counted() + 8) * 8 * 16);
	for (unsigned i = 0; i < 3000; i++) {
		change(&map, &seed, 48);
		assert_u64_eq(map.edges, recount(&map));
		assert_true(map.edges <= 12);
		if (i % 100 == 0 && kernel_knows_huge_pages())
			assert_u64_eq(count_maps(), before + map.edges);
	}
	mappings_set_system_max(0);
	huge_fini(&map);
	mutex_release(&mutex);
	mem_release(base, MIB(2) * 64);
}

/* The system joins memory that was written only where it was one mapping before.  So a block that is committed
 * behind an advised one, with or without advice, must not become a mapping that no later advice joins. */
static void blocks_made_usable_later_join_what_is_in_front_of_them(void **state)
{
	static uint8_t kind[6];
	char *base = mem_reserve(MIB(2) * 6, MIB(2), "quire-test");
	struct mutex mutex;
	struct huge_map map;
	size_t before;

	(void)state;
	if (!kernel_knows_huge_pages())
		skip_because("the system has no huge pages");
	mutex_init(&mutex, RANK_HUGE);
	mutex_acquire(&mutex);
	before = count_maps();
	huge_init(&map, &mutex, base, kind, 6);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(mem_commit(huge_addr(&map, i), MIB(2)), 0);
		huge_usable(&map, i, i + 1, i % 2 == 0);
		*huge_addr(&map, i) = 1;
		assert_int_equal(advice_at(huge_addr(&map, i)), i % 2 == 0 ? 'h' : 'n');
		assert_u64_eq(map.edges, i + 1);
		assert_u64_eq(count_maps(), before + map.edges);
	}
	huge_allow(&map, 0, 5);
	assert_u64_eq(map.edges, 1);
	assert_u64_eq(count_maps(), before + 1);
	assert_true(huge_deny(&map, 0, 5));
	assert_u64_eq(map.edges, 1);
	assert_u64_eq(count_maps(), before + 1);
	huge_fini(&map);
	mutex_release(&mutex);
	mem_release(base, MIB(2) * 6);
}

/* A block is advised as soon as that costs no mapping, since its neighbour is. */
static void what_the_budget_refuses_is_wished_for(void **state)
{
	static uint8_t kind[8];
	char *base = mem_reserve(MIB(2) * 8, MIB(2), "quire-test");
	struct mutex mutex;
	struct huge_map map;

	(void)state;
	mutex_init(&mutex, RANK_HUGE);
	mutex_acquire(&mutex);
	huge_init(&map, &mutex, base, kind, 8);
	assert_int_equal(mem_commit(base, MIB(2) * 8), 0);
	huge_usable(&map, 0, 1, true);
	huge_usable(&map, 1, 8, false);
	mappings_set_system_max(advice_counted() * 8 * 16);
	huge_allow(&map, 3, 4);
	assert_int_equal(huge_kind(&map, 3), HUGE_WISHED);
	huge_allow(&map, 1, 2);
	assert_int_equal(huge_kind(&map, 1), HUGE_ADVISED);
	assert_int_equal(huge_kind(&map, 3), HUGE_WISHED);
	huge_allow(&map, 2, 3);
	assert_int_equal(huge_kind(&map, 3), HUGE_ADVISED);
	assert_int_equal(huge_kind(&map, 4), HUGE_PLAIN);
	assert_u64_eq(map.edges, 1);
	mappings_set_system_max(0);
	huge_fini(&map);
	mutex_release(&mutex);
	mem_release(base, MIB(2) * 8);
}

/* ---- beside the system's thread ---- */

static long khugepaged_sleeps(const char *write_ms)
{
	char text[32] = "";
	int file = open(KHUGEPAGED, write_ms != NULL ? O_RDWR : O_RDONLY);
	ssize_t got = file >= 0 ? read(file, text, sizeof(text) - 1) : -1;

	if (got > 0 && write_ms != NULL &&
	    pwrite(file, write_ms, strlen(write_ms), 0) != (ssize_t)strlen(write_ms))
		got = -1;
	if (file >= 0)
		close(file);
	return got > 0 ? atol(text) : -1;
}

/* What the system had, put back on every way out: a failed assertion goes to the teardown, a signal that
 * ends the test to the handler.  Only calls that are legal there. */
static char sleeps_before[32];
/* Another run of this test, which would take our setting for the system's, waits for its lock. */
static int turn = -1;

static void restore_khugepaged(void)
{
	int file = sleeps_before[0] != '\0' ? open(KHUGEPAGED, O_WRONLY) : -1;

	if (file >= 0) {
		(void)!write(file, sleeps_before, strlen(sleeps_before));
		close(file);
	}
	sleeps_before[0] = '\0';
}

static void restore_and_die(int signal_nr)
{
	restore_khugepaged();
	signal(signal_nr, SIG_DFL);
	raise(signal_nr);
}

static int hurry_khugepaged(void **state)
{
	long ms;

	(void)state;
	turn = open(KHUGEPAGED, O_RDONLY | O_CLOEXEC);
	if (turn < 0)
		return 0;
	if (flock(turn, LOCK_EX) != 0)
		return -1;
	ms = khugepaged_sleeps(NULL);
	if (ms < 0)
		return 0;
	snprintf(sleeps_before, sizeof(sleeps_before), "%ld", ms);
	signal(SIGTERM, restore_and_die);
	signal(SIGINT, restore_and_die);
	if (khugepaged_sleeps("10") < 0)
		sleeps_before[0] = '\0';
	return 0;
}

static int leave_khugepaged(void **state)
{
	(void)state;
	restore_khugepaged();
	if (turn >= 0)
		close(turn);
	turn = -1;
	return 0;
}

/* 64 MB less 1 MB are released; within 3 s of the thread's work none comes back. */
static void released_parts_stay_away_beside_khugepaged(void **state)
{
	struct timespec pause = { .tv_sec = 3 };
	struct blocks *b;
	uint64_t left;

	(void)state;
	if (sleeps_before[0] == '\0')
		skip_because("khugepaged may not be hurried here");
	b = blocks_make();
	free_parts(b, 2);
	left = status_bytes("RssAnon");
	nanosleep(&pause, NULL);
	assert_true(status_bytes("RssAnon") < left + MIB(1));
	free_all(b);
	blocks_end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_given_back_in_part_is_advised_against_huge_pages),
		cmocka_unit_test(block_given_back_in_part_is_charged_for_what_is_left),
		cmocka_unit_test(mappings_come_back_when_all_is_freed),
		cmocka_unit_test(budget_bounds_the_mappings_and_no_part_keeps_the_advice),
		cmocka_unit_test(without_huge_pages_nothing_is_advised_by_block),
		cmocka_unit_test(map_counts_what_the_system_has_for_any_changes),
		cmocka_unit_test(blocks_made_usable_later_join_what_is_in_front_of_them),
		cmocka_unit_test(what_the_budget_refuses_is_wished_for),
		cmocka_unit_test_setup_teardown(released_parts_stay_away_beside_khugepaged,
						hurry_khugepaged, leave_khugepaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
