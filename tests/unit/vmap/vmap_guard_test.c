/* SPDX-License-Identifier: MIT */
/* Guard pages: running off an area's end faults, whatever became of its addresses before. */
#include "unit/vmap/vmap_case.h"

#include <setjmp.h>
#include <sys/mman.h>

#include "machine/linux/backing.h"
#include "mapped.h"

#define GUARDED_NR 20000u

/* All of it can be written, and the byte after it cannot. */
static void check_guarded(struct quire *q, char *addr)
{
	size_t bytes = area_at(q, addr).bytes;

	memset(addr, 0x3c, bytes);
	if (guards() && !faults_at(addr + bytes))
		fail_msg("no guard after %zu bytes", bytes);
}

static void running_off_the_end_faults(void **state)
{
	static const size_t sizes[] = { 1,	 4096,	   KIB(28), KIB(60),
					KIB(64), KIB(520), MIB(2),  MIB(6) + 1 };
	struct quire *q = *state;
	char *held[8];

	for (unsigned i = 0; i < 8; i++)
		held[i] = vtake(q, sizes[i], 0);
	for (unsigned i = 0; i < 8; i++) {
		check_guarded(q, held[i]);
		if (guards())
			assert_true(area_at(q, held[i]).bytes <
				    sizes[i] + sizes[i] / 4 + quire_page_bytes(q));
	}
	free_areas(q, (void **)held, 8);
}

static void a_reused_area_is_guarded_again(void **state)
{
	struct quire *q = *state;

	for (unsigned round = 0; round < 8; round++) {
		for (size_t bytes = KIB(8); bytes < MIB(4); bytes = bytes * 3 + 100) {
			char *addr = vtake(q, bytes, 0);

			check_guarded(q, addr);
			quire_vfree(q, addr);
		}
		if (round == 4)
			quire_vmap_purge(q);
	}
}

/* The large one lies over the guards of the small ones, which must be gone. */
static void old_guards_are_gone_from_the_middle_of_a_new_area(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	void *held[64];
	char *addr;

	for (unsigned round = 0; round < 4; round++) {
		size_t n = take_areas(q, (round * 3 + 1) * page, 0, held, 64);

		assert_u64_eq(n, 64);
		free_areas(q, held, n);
		if (round % 2 == 0)
			quire_vmap_purge(q);
		addr = vtake(q, 64 * (round * 3 + 1) * page, 0);
		check_guarded(q, addr);
		assert_ptr_equal(quire_vrealloc(q, addr, 20 * page, 0), addr);
		check_guarded(q, addr);
		quire_vfree(q, addr);
	}
}

/* Within its class nothing moves; beyond it the guard goes along. */
static void a_guard_follows_an_area_that_grows_and_shrinks(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	char *addr = vtake(q, 5 * page, 0);

	for (unsigned i = 0; i < 12; i++) {
		addr = quire_vrealloc(q, addr, (i * 7 % 30 + 1) * page, 0);
		assert_non_null(addr);
		check_guarded(q, addr);
	}
	quire_vfree(q, addr);
}

/* ---- right behind what was asked for ---- */

static sigjmp_buf fault_jump;

static void on_fault(int signal_nr)
{
	(void)signal_nr;
	siglongjmp(fault_jump, 1);
}

/* In this process, so that thousands of places can be tried. */
static bool write_faults(char *addr)
{
	const struct sigaction action = { .sa_handler = on_fault };
	volatile bool faults = true;

	if (sigsetjmp(fault_jump, 1) == 0) {
		sigaction(SIGSEGV, &action, NULL);
		*(volatile char *)addr = 1;
		faults = false;
	}
	signal(SIGSEGV, SIG_DFL);
	return faults;
}

/* The last byte of the last page is the user's, the next one is nobody's. */
static void check_end(struct quire *q, char *addr, size_t pages)
{
	size_t bytes = pages * quire_page_bytes(q);

	assert_u64_eq(area_at(q, addr).bytes, bytes);
	if (write_faults(addr) || write_faults(addr + bytes - 1))
		fail_msg("a page inside %zu cannot be written", pages);
	if (guards() && !write_faults(addr + bytes))
		fail_msg("no guard right behind %zu pages", pages);
}

/* Up and down, so that each class is reused for more pages and for fewer. */
static void check_sizes(struct quire *q, size_t from, size_t to)
{
	size_t page = quire_page_bytes(q);

	for (unsigned round = 0; round < 3; round++) {
		for (size_t n = from; n <= to; n++) {
			size_t pages = round % 2 == 0 ? n : from + to - n;
			char *addr = vtake(q, (pages - 1) * page + 1 + pages % 2 * (page - 1), 0);

			check_end(q, addr, pages);
			quire_vfree(q, addr);
		}
		quire_vmap_purge(q);
	}
}

static void a_guard_stands_right_behind_every_number_of_pages(void **state)
{
	struct quire *q = *state;
	size_t block = MIB(2) / quire_page_bytes(q);

	check_sizes(q, 1, 64);
	check_sizes(q, block - 3, block + 3);
	check_sizes(q, 2 * block + block / 4 - 2, 2 * block + block / 4 + 2);
}

static void a_guard_stands_right_behind_what_realloc_leaves(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	char *addr = vtake(q, 40 * page, 0);

	for (unsigned i = 0; i < 200; i++) {
		size_t pages = i * 23 % 64 + 1;

		addr = quire_vrealloc(q, addr, pages * page, 0);
		assert_non_null(addr);
		check_end(q, addr, pages);
	}
	for (size_t pages = 64; pages != 0; pages--) {
		assert_ptr_equal(quire_vrealloc(q, addr, pages * page, 0), addr);
		check_end(q, addr, pages);
	}
	quire_vfree(q, addr);
}

/* With an alignment, in a part of the span, and as mappings. */
static void a_guard_stands_right_behind_placed_areas(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);

	for (size_t pages = 1; pages <= 32; pages++) {
		const struct quire_vmalloc_options options =
			QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = 4 * page);
		char *addr = quire_vmalloc_with(q, pages * page, &options);

		assert_non_null(addr);
		check_end(q, addr, pages);
		quire_vfree(q, addr);
	}
}

/* Freed areas of growing sizes leave their guards at growing distances, closer and farther than what is
 * removed by one call.  Each large area covers all of them. */
static void no_old_guard_is_left_in_an_area(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	char *addr, *small[24];

	if (page > KIB(16))
		skip_because("so many pages are more than the limit");
	for (unsigned round = 0; round < 3; round++) {
		size_t total = 0;

		for (unsigned i = 0; i < 24; i++) {
			size_t pages = 1 + i * (i + round) / 2;

			small[i] = vtake(q, pages * page, 0);
			total += pages + 1;
		}
		for (unsigned i = 0; i < 24; i++)
			quire_vfree(q, small[(i + 5 * round) % 24]);
		addr = vtake(q, total * page, 0);
		for (size_t i = 0; i < total; i++)
			if (write_faults(addr + i * page))
				fail_msg("page %zu of %zu cannot be written", i, total);
		check_end(q, addr, total);
		quire_vfree(q, addr);
	}
}

/* Where guards are mappings. */
static void check_without_markers(void *arg)
{
	struct quire *q;

	deny_guards();
	q = vmap_make((struct quire_options){ .limit_bytes = 0 });
	(void)arg;
	check_sizes(q, 1, 40);
	a_guard_stands_right_behind_what_realloc_leaves((void **)&q);
	assert_int_equal(quire_verify(q), 0);
}

static void guards_that_are_mappings_stand_there_too(void **state)
{
	(void)state;
	expect_life(check_without_markers, NULL);
}

/* What does not change costs nothing; what does, two calls. */
static void a_guard_moves_only_when_the_number_of_pages_changes(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	uint64_t calls;

	if (!caches() || !guards())
		skip_because("this case keeps no freed areas, or has no guards");
	for (unsigned i = 0; i < 4; i++)
		quire_vfree(q, vtake(q, 9 * page, 0));
	calls = backing_calls_nr();
	for (unsigned i = 0; i < 100; i++)
		quire_vfree(q, vtake(q, 9 * page - i, 0));
	assert_u64_eq(backing_calls_nr(), calls);
	quire_vfree(q, vtake(q, 10 * page, 0));
	assert_true(backing_calls_nr() - calls <= 3);
	calls = backing_calls_nr();
	quire_vfree(q, vtake(q, 9 * page, 0));
	assert_true(backing_calls_nr() - calls <= 3);
}

/* ---- what was freed ---- */

static void check_freed(char *addr, size_t bytes, const char *where)
{
	if (!write_faults(addr) || !write_faults(addr + bytes / 2) ||
	    !write_faults(addr + bytes - 1))
		fail_msg("%zu freed bytes can be written: %s", bytes, where);
}

/* Freed, merged with its neighbours and cut again, purged; then handed out again as if new. */
static void check_life_after_free(struct quire *q, size_t bytes)
{
	char *held[3];

	for (unsigned i = 0; i < 3; i++) {
		held[i] = vtake(q, bytes, QUIRE_ZERO);
		assert_true(reads_as(held[i], bytes, 0));
		memset(held[i], 0x5a, bytes);
	}
	quire_vfree(q, held[0]);
	quire_vfree(q, held[1]);
	check_freed(held[0], bytes, "lazy");
	check_freed(held[1], bytes, "lazy");
	quire_vfree(q, vtake(q, quire_page_bytes(q), 0)); /* merges what is lazy */
	check_freed(held[0], bytes, "cached");
	check_freed(held[1], bytes, "cached");
	quire_vmap_purge(q);
	check_freed(held[0], bytes, "purged");
	check_freed(held[1], bytes, "purged");
	assert_false(write_faults(held[2]));
	quire_vfree(q, held[2]);
}

static void what_was_freed_faults_if_asked_for(void **state)
{
	struct quire *q = vmap_make((struct quire_options){ .guard = QUIRE_GUARD_FREED });
	size_t page = quire_page_bytes(q);
	char *addr;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		check_life_after_free(q, page);
		check_life_after_free(q, 9 * page);
		check_life_after_free(q, MIB(3));
	}
	addr = vtake(q, 40 * page, 0);
	assert_ptr_equal(quire_vrealloc(q, addr, 10 * page, 0), addr);
	check_freed(addr + 10 * page, 30 * page, "the tail");
	addr = quire_vrealloc(q, addr, 60 * page, QUIRE_ZERO);
	assert_non_null(addr);
	assert_false(write_faults(addr + 60 * page - 1));
	quire_vfree(q, addr);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* Each by mprotect() would be two mappings. */
static void guards_cost_no_mappings(void **state)
{
	struct quire *q = *state;
	static void *held[GUARDED_NR];
	size_t n, maps;

	held[0] = vtake(q, 4096, 0);
	maps = count_maps();
	n = 1 + take_areas(q, 4096, 0, held + 1, GUARDED_NR / (quire_page_bytes(q) / 4096) / 2 - 1);
	assert_true(n > 500);
	if (kernel_has_guards()) {
		assert_true(!guards() || vstat_of(q).guards_installed >= n);
		assert_true(count_maps() <= maps + 64);
	}
	free_areas(q, held, n);
}

static void without_guards_none_is_installed(void **state)
{
	struct quire *q = vmap_make((struct quire_options){ .guard = QUIRE_GUARD_OFF });
	void *held[100];

	(void)state;
	assert_u64_eq(take_areas(q, KIB(40), 0, held, 100), 100);
	assert_u64_eq(vstat_of(q).guards_installed, 0);
	free_areas(q, held, 100);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* The whole span can be used. */
static void without_guards_areas_fill_the_span(void **state)
{
	struct quire *q = vmap_make((struct quire_options){
		.guard = QUIRE_GUARD_OFF, .cache = QUIRE_OFF, .vmap_span_bytes = MIB(8) });
	size_t page = quire_page_bytes(q), nr = MIB(8) / page;
	static void *held[4096];

	(void)state;
	assert_u64_eq(take_areas(q, page, 0, held, 4096), nr);
	free_areas(q, held, nr);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(running_off_the_end_faults),
		VMAP_TEST(a_reused_area_is_guarded_again),
		VMAP_TEST(old_guards_are_gone_from_the_middle_of_a_new_area),
		VMAP_TEST(a_guard_follows_an_area_that_grows_and_shrinks),
		VMAP_TEST(a_guard_stands_right_behind_every_number_of_pages),
		VMAP_TEST(a_guard_stands_right_behind_what_realloc_leaves),
		VMAP_TEST(a_guard_stands_right_behind_placed_areas),
		VMAP_TEST(no_old_guard_is_left_in_an_area),
		VMAP_TEST(guards_that_are_mappings_stand_there_too),
		VMAP_TEST(a_guard_moves_only_when_the_number_of_pages_changes),
		VMAP_TEST(what_was_freed_faults_if_asked_for),
		VMAP_TEST(guards_cost_no_mappings),
		VMAP_TEST(without_guards_none_is_installed),
		VMAP_TEST(without_guards_areas_fill_the_span),
	};

	return VMAP_TESTS_RUN("vmap_guard", tests);
}
