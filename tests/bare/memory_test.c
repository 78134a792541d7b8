/* SPDX-License-Identifier: MIT */
/*
 * What one CPU changes in the page tables, another one that has just used the page sees at its next access.
 *
 * The reader stays on its CPU and has the translation at hand.  Meanwhile the other CPU makes the change.  So a change that
 * asks no CPU to forget its translations is seen each time, and not only when a race is lost.
 */
#include "quire_test.h"

#include "machine/atomic.h"
#include "machine/mem.h"

static struct {
	uint64_t *page;
	void (*change)(void);
	uint64_t before, after; /* what the reader found */
	uint32_t turn;		/* atomic: 1, it has read; 2, the change is made */
} scene;

static char *memory; /* a reservation of PAGES_NR pages */
#define PAGES_NR 4u
#define ROUNDS	 64u

static uint64_t *page_of(unsigned i)
{
	return (uint64_t *)(void *)(memory + i * mem_page_bytes());
}

static uint64_t read_now(const uint64_t *word)
{
	return *(const volatile uint64_t *)word;
}

static void await_turn(uint32_t turn)
{
	while (load_acquire(&scene.turn) != turn)
		__asm__ volatile("pause");
}

static void member(unsigned index, void *arg)
{
	(void)arg;
	(void)pin_to_cpu(index);
	if (index == 0) {
		await_turn(1);
		scene.change();
		store_release(&scene.turn, 2); /* pairs with await_turn() */
		return;
	}
	scene.before = read_now(scene.page);
	store_release(&scene.turn, 1); /* pairs with await_turn() */
	await_turn(2);
	scene.after = read_now(scene.page);
}

static void check(uint64_t *page, void (*change)(void), uint64_t before, uint64_t after)
{
	memset(&scene, 0, sizeof(scene));
	scene.page = page;
	scene.change = change;
	team_run(2, member, NULL);
	assert_u64_eq(scene.before, before);
	assert_u64_eq(scene.after, after);
}

static int setup(void **state)
{
	*state = memory = mem_reserve(PAGES_NR * mem_page_bytes(), mem_page_bytes(), "memory_test");
	return memory != NULL ? 0 : 1;
}

static int teardown(void **state)
{
	mem_release(*state, PAGES_NR * mem_page_bytes());
	return 0;
}

static void unback(void)
{
	assert_u64_eq(gather_unback_one(page_of(0), mem_page_bytes()), mem_page_bytes());
}

static void memory_that_a_gather_took_away_reads_zero(void **state)
{
	(void)state;
	assert_int_equal(mem_commit(page_of(0), mem_page_bytes()), 0);
	assert_u64_eq(*page_of(0), 0);
	*page_of(0) = 7;
	check(page_of(0), unback, 7, 0);
}

static void commit_and_write(void)
{
	assert_int_equal(mem_commit(page_of(0), mem_page_bytes()), 0);
	*page_of(0) = 9;
}

/* Not each round shows a change that nobody is asked about: an emulated CPU may drop a translation by itself. */
static void a_page_that_was_read_only_shows_what_is_written_to_it(void **state)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		assert_int_equal(mem_commit_readonly(page_of(0), mem_page_bytes()), 0);
		check(page_of(0), commit_and_write, 0, 9);
		assert_int_equal(teardown(state) + setup(state), 0);
	}
}

static void unmap_alias(void)
{
	struct mem_range range;
	struct gather gather;

	gather_begin(&gather, &range, 1);
	gather_unmap_frames(&gather, page_of(1), mem_page_bytes());
	assert_u64_eq(gather_finish(&gather), mem_page_bytes());
}

static void an_alias_goes_and_its_frame_stays(void **state)
{
	void *frame = page_of(0);

	(void)state;
	assert_int_equal(mem_commit(memory, 2 * mem_page_bytes()), 0);
	*page_of(0) = 5;
	assert_int_equal(mem_map_frames(page_of(1), &frame, 1, mem_page_bytes()), 0);
	check(page_of(1), unmap_alias, 5, 0);
	assert_u64_eq(*page_of(0), 5);
}

static void move(void)
{
	assert_int_equal(mem_move(page_of(0), page_of(2), mem_page_bytes()), 0);
}

static void moved_memory_is_where_it_went_and_nowhere_else(void **state)
{
	(void)state;
	assert_int_equal(mem_commit(memory, PAGES_NR * mem_page_bytes()), 0);
	*page_of(0) = 4;
	*page_of(2) = 3;
	check(page_of(2), move, 3, 4);
	assert_u64_eq(*page_of(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_that_a_gather_took_away_reads_zero, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_page_that_was_read_only_shows_what_is_written_to_it, setup, teardown),
		cmocka_unit_test_setup_teardown(an_alias_goes_and_its_frame_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(moved_memory_is_where_it_went_and_nowhere_else,
						setup, teardown),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
