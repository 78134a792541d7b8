/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "confine.h"
#include "machine/linux/backing.h"
#include "machine/linux/sanitizer.h"
#include "machine/mem.h"
#include "mapped.h"

#define PAGES 64u

static size_t page(size_t n)
{
	return n * mem_page_bytes();
}

static char *reserve(bool shared)
{
	char *addr = shared ? mem_reserve_shared(page(PAGES), (size_t)2 << 20, "quire-test")
			    : mem_reserve(page(PAGES), (size_t)2 << 20, "quire-test");

	CHECK(addr != NULL);
	CHECK(mem_commit(addr, page(PAGES)) == 0);
	if (!shared)
		mem_advise_huge(addr, page(PAGES), false);
	return addr;
}

/* ---- guards ---- */

/* What would be given back with it is not looked at here. */
static int guard(char *addr, size_t bytes)
{
	bool mapped;

	return mem_guard(addr, bytes, &mapped);
}

static void check_guards(void *arg)
{
	char *addr = reserve(false);

	(void)arg;
	memset(addr, 1, page(8));
	CHECK(guard(addr + page(2), page(2)) == 0);
	for (size_t i = 0; i < 8; i++)
		CHECK_VALUES(is_accessible(addr + page(i)) == (i / 2 != 1), i, 0);
	CHECK(mem_unguard(addr, page(8)) == 0);
	for (size_t i = 0; i < 8; i++)
		CHECK_VALUES(addr[page(i)] == (i / 2 != 1), i, addr[page(i)]);
	mem_release(addr, page(PAGES));
}

static void guarded_page_faults_and_its_neighbours_stay(void **state)
{
	(void)state;
	check_guards(NULL);
	assert_int_equal(mem_guard_works(), kernel_has_guards());
}

static void guards_cost_no_mapping(void **state)
{
	char *addr = reserve(false);
	size_t maps_before = count_maps();

	(void)state;
	for (size_t i = 1; i < PAGES; i += 2)
		assert_int_equal(guard(addr + page(i), page(1)), 0);
	if (mem_guard_works())
		assert_u64_eq(count_maps(), maps_before);
	mem_release(addr, page(PAGES));
}

static void guard_survives_unback(void **state)
{
	char *addr = reserve(false);
	struct mem_range range;
	struct gather gather;

	(void)state;
	memset(addr, 1, page(8));
	assert_int_equal(guard(addr + page(3), page(1)), 0);
	gather_begin(&gather, &range, 1);
	gather_unback(&gather, addr, page(8));
	assert_u64_eq(gather_finish(&gather), page(8));
	assert_false(is_accessible(addr + page(3)));
	assert_int_equal(addr[page(4)], 0);
	mem_release(addr, page(PAGES));
}

static void fill_every_second(struct mem_range *ranges, char *addr)
{
	for (size_t i = 0; i < PAGES / 2; i++)
		ranges[i] = (struct mem_range){ .addr = addr + page(2 * i), .bytes = page(1) };
}

static void many_guards_go_in_one_call(void **state)
{
	struct mem_range ranges[PAGES / 2];
	char *addr = reserve(false);
	uint64_t calls_before;

	(void)state;
	/* Both probes are made by now. */
	check_guards(NULL);
	fill_every_second(ranges, addr);
	for (size_t i = 0; i < PAGES / 2; i++)
		assert_int_equal(guard(ranges[i].addr, ranges[i].bytes), 0);
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(is_accessible(addr + page(i)), i % 2);
	calls_before = backing_calls_nr();
	mem_unguard_ranges(ranges, PAGES / 2);
	if (mem_guard_works() && !MACHINE_ASAN)
		assert_u64_eq(backing_calls_nr() - calls_before, 1);
	for (size_t i = 0; i < PAGES; i++)
		assert_true(is_accessible(addr + page(i)));
	mem_release(addr, page(PAGES));
}

static void check_guards_of_old(void *arg)
{
	struct mem_range ranges[PAGES / 2];
	char *addr;

	(void)arg;
	deny_guards();
	check_guards(NULL);
	CHECK(!mem_guard_works());
	addr = reserve(false);
	fill_every_second(ranges, addr);
	for (size_t i = 0; i < PAGES / 2; i++)
		CHECK(guard(ranges[i].addr, ranges[i].bytes) == 0);
	for (size_t i = 0; i < PAGES; i++)
		CHECK(is_accessible(addr + page(i)) == (i % 2 == 1));
	mem_unguard_ranges(ranges, PAGES / 2);
	for (size_t i = 0; i < PAGES; i++)
		CHECK(is_accessible(addr + page(i)));
}

/* In a child that has not probed: main() has it first. */
static void kernel_without_guards_gets_mappings(void **state)
{
	(void)state;
	expect_life(check_guards_of_old, NULL);
}

static void check_guards_in_locked_memory(void *arg)
{
	char *addr = reserve(false);

	(void)arg;
	CHECK(syscall(SYS_mlock, addr, page(8)) == 0);
	CHECK(guard(addr + page(2), page(1)) == 0);
	CHECK(!is_accessible(addr + page(2)));
	CHECK(is_accessible(addr + page(3)));
	CHECK(mem_unguard(addr, page(8)) == 0);
	CHECK(addr[page(2)] == 0);
	addr[page(2)] = 1;
}

static void locked_memory_takes_guards_too(void **state)
{
	(void)state;
	if (mlock(&(char){ 0 }, 1) != 0)
		skip_because("no memory may be locked here");
	expect_life(check_guards_in_locked_memory, NULL);
}

/* As in locked memory before Linux 5.18: the system takes nothing away. */
static void guard_what_the_system_keeps(void *arg)
{
	char *addr = reserve(false);

	(void)arg;
	deny_guards();
	confine_deny_argument(SYS_madvise, 2, MADV_DONTNEED, EINVAL);
	confine_deny_argument(SYS_madvise, 2, BACKING_DONTNEED_LOCKED, EINVAL);
	memset(addr, 1, page(3));
	CHECK(guard(addr + page(1), page(1)) == 0);
	CHECK(!is_accessible(addr + page(1)));
	CHECK(mem_unguard(addr + page(1), page(1)) == 0);
	for (size_t i = 0; i < page(3); i++)
		CHECK_VALUES(addr[i] == (i / page(1) != 1), i, addr[i]);
}

static void unguarded_page_reads_zero_even_if_the_system_kept_it(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(guard_what_the_system_keeps, NULL);
}

static void refused_guard_says_so_and_keeps_the_page(void **state)
{
	char *addr = reserve(false);

	(void)state;
	(void)mem_guard_works();
	addr[0] = 1;
	backing_fail_after(1, ENOMEM);
	assert_int_equal(guard(addr, page(1)), -ENOMEM);
	backing_fail_after(0, 0);
	assert_int_equal(addr[0], 1);
	mem_release(addr, page(PAGES));
}

/* ---- a vector that the caller lends ---- */

static void lent_vector_makes_512_ranges_one_call(void **state)
{
	static struct mem_range ranges[512];
	static struct mem_vector vector[512];
	char *addr = mem_reserve(page(1024), page(1), "quire-test");
	struct gather gather;
	uint64_t calls_before;

	(void)state;
	assert_int_equal(mem_commit(addr, page(1024)), 0);
	memset(addr, 1, page(1024));
	gather_begin(&gather, ranges, 512);
	gather_lend(&gather, vector, 512);
	for (size_t i = 0; i < 512; i++)
		gather_unback(&gather, addr + page(2 * i), page(1));
	calls_before = backing_calls_nr();
	assert_u64_eq(gather_finish(&gather), page(512));
	assert_true(backing_calls_nr() - calls_before == 1 ||
		    backing_calls_nr() - calls_before == 512);
	for (size_t i = 0; i < 1024; i++)
		assert_int_equal(addr[page(i)], i % 2);
	mem_release(addr, page(1024));
}

/* ---- frames ---- */

/* Frames in the order given, one digit each. */
static int map(char *at, char *frames, const char *order)
{
	void *list[16];
	size_t n = strlen(order);

	for (size_t i = 0; i < n; i++)
		list[i] = frames + page((size_t)(order[i] - '0'));
	return mem_map_frames(at, list, n, page(1));
}

static size_t unmap_frames(char *at, size_t pages)
{
	struct mem_range range;
	struct gather gather;

	gather_begin(&gather, &range, 1);
	gather_unmap_frames(&gather, at, page(pages));
	return gather_finish(&gather);
}

static void shared_reservation_reads_zero_and_keeps_no_file_open(void **state)
{
	int before = open("/dev/null", O_RDONLY), after;
	char *frames = reserve(true);

	(void)state;
	close(before);
	after = open("/dev/null", O_RDONLY);
	close(after);
	assert_int_equal(before, after);
	assert_u64_eq((uintptr_t)frames & (((size_t)2 << 20) - 1), 0);
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(frames[page(i)], 0);
	mem_release(frames, page(PAGES));
	assert_false(is_accessible(frames));
}

static void aliases_show_the_same_memory(void **state)
{
	char *frames = reserve(true), *at = reserve(false);

	(void)state;
	for (size_t i = 0; i < 8; i++)
		memset(frames + page(i), (int)i + 1, page(1));
	assert_int_equal(map(at + page(8), frames, "01240077"), 0);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(at[page(8 + i)], "01240077"[i] - '0' + 1);
	at[page(8)] = 99;
	assert_int_equal(frames[0], 99);
	assert_int_equal(at[page(12)], 99);
	assert_int_equal(at[page(7)], 0);
	assert_int_equal(at[page(16)], 0);
	mem_release(at, page(PAGES));
	assert_int_equal(frames[0], 99);
	mem_release(frames, page(PAGES));
}

static void unmapped_aliases_are_plain_memory_in_one_mapping(void **state)
{
	char *frames = reserve(true), *at = reserve(false);
	size_t maps_before;

	(void)state;
	memset(at, 1, page(PAGES));
	maps_before = count_maps();
	frames[0] = 5;
	assert_int_equal(map(at + page(8), frames, "0246"), 0);
	assert_int_equal(at[page(8)], 5);
	assert_true(count_maps() > maps_before);
	assert_u64_eq(unmap_frames(at + page(8), 4), page(4));
	assert_int_equal(at[page(8)], 0);
	at[page(8)] = 1;
	assert_int_equal(frames[0], 5);
	assert_u64_eq(count_maps(), maps_before);
	mem_release(at, page(PAGES));
	mem_release(frames, page(PAGES));
}

static void unback_empties_a_frame_and_its_aliases(void **state)
{
	char *frames = reserve(true), *at = reserve(false);
	struct mem_range ranges[2];
	struct gather gather;

	(void)state;
	memset(frames, 1, page(8));
	assert_int_equal(map(at, frames, "0123"), 0);
	gather_begin(&gather, ranges, 2);
	gather_unback_shared(&gather, frames, page(1));
	gather_unback_shared(&gather, frames + page(1), page(1));
	gather_unback(&gather, at + page(8), page(1));
	assert_u64_eq(gather.ranges_nr, 2);
	assert_u64_eq(gather_finish(&gather), page(3));
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(frames[page(i)], i >= 2);
		assert_int_equal(at[page(i)], i >= 2);
	}
	mem_release(at, page(PAGES));
	mem_release(frames, page(PAGES));
}

/* The n-th call is refused, for every n; after the gather all is as before. */
static void refused_mapping_leaves_nothing_after_the_gather(void **state)
{
	char *frames = reserve(true), *at = reserve(false);
	size_t maps_before;

	(void)state;
	memset(at, 1, page(PAGES));
	maps_before = count_maps();
	for (uint64_t nth = 1; nth <= 4; nth++) {
		backing_fail_after(nth, ENOMEM);
		assert_int_equal(map(at, frames, "0246"), -ENOMEM);
		backing_fail_after(0, 0);
		assert_u64_eq(unmap_frames(at, 4), page(4));
		assert_u64_eq(count_maps(), maps_before);
		assert_int_equal(at[0], 0);
	}
	mem_release(at, page(PAGES));
	mem_release(frames, page(PAGES));
}

static bool is_mapped(const void *addr)
{
	unsigned char present;

	return mincore((void *)(uintptr_t)addr, page(1), &present) == 0;
}

/* The system has unmapped what was to be replaced before it refuses: nobody else may get the addresses. */
static void late_refusal_leaves_no_hole(void **state)
{
	char *frames = reserve(true), *at = reserve(false);
	size_t maps_before = count_maps();

	(void)state;
	backing_fail_late(ENOMEM);
	assert_int_equal(map(at, frames, "0246"), -ENOMEM);
	for (size_t i = 0; i < 4; i++)
		assert_true(is_mapped(at + page(i)));
	assert_u64_eq(unmap_frames(at, 4), page(4));
	assert_u64_eq(count_maps(), maps_before);
	assert_int_equal(map(at, frames, "0123"), 0);
	backing_fail_late(ENOMEM);
	assert_u64_eq(unmap_frames(at, 4), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_true(is_mapped(at + page(i)));
		assert_false(is_accessible(at + page(i)));
	}
	assert_u64_eq(unmap_frames(at, 4), page(4));
	assert_int_equal(at[0], 0);
	mem_release(at, page(PAGES));
	mem_release(frames, page(PAGES));
}

static void refused_reservation_leaves_nothing(void **state)
{
	size_t maps_before = count_maps();
	unsigned refused = 0;
	bool done = false;

	(void)state;
	for (uint64_t nth = 1; !done; nth++) {
		char *frames;

		backing_fail_after(nth, ENOMEM);
		frames = mem_reserve_shared(page(PAGES), page(1), "quire-test");
		backing_fail_after(0, 0);
		done = frames != NULL;
		refused += !done;
		if (done)
			mem_release(frames, page(PAGES));
		assert_true(count_maps() <= maps_before + 1);
	}
	assert_u64_eq(refused, 4); /* reserve, make, map, advise */
}

static void reserve_under_a_file_limit(void *arg)
{
	struct rlimit limit = { .rlim_cur = page(PAGES) - 1, .rlim_max = page(PAGES) - 1 };

	(void)arg;
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(mem_reserve_shared(page(PAGES), page(1), "quire-test") == NULL);
	CHECK(mem_reserve_shared(page(PAGES - 1), page(1), "quire-test") != NULL);
}

static void limit_on_file_sizes_refuses_and_does_not_kill(void **state)
{
	(void)state;
	expect_life(reserve_under_a_file_limit, NULL);
}

static void look_in_child(void *arg)
{
	char *const *addrs = arg;

	CHECK(!is_accessible(addrs[0]));
	CHECK(!is_accessible(addrs[1]));
	CHECK(is_accessible(addrs[1] + page(1)));
}

static void child_of_fork_has_neither_frames_nor_aliases(void **state)
{
	char *addrs[2] = { reserve(true), reserve(false) };

	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer maps memory of its own into the child's holes");
	addrs[1][page(1)] = 1;
	assert_int_equal(map(addrs[1], addrs[0], "3"), 0);
	expect_life(look_in_child, addrs);
	assert_true(is_accessible(addrs[1]));
	mem_release(addrs[1], page(PAGES));
	mem_release(addrs[0], page(PAGES));
}

/* Alternating frames, so that each is a mapping, until the system's bound. */
static void map_until_refused(void *arg)
{
	size_t most = 70000, mapped = 0;
	char *frames = reserve(true), *at = mem_reserve(page(most), page(1), "quire-test");
	int error = 0;

	(void)arg;
	CHECK(at != NULL && mem_commit(at, page(most)) == 0);
	mem_advise_huge(at, page(most), false);
	for (; error == 0 && mapped < most; mapped++)
		error = map(at + page(mapped), frames, mapped % 2 ? "0" : "2");
	CHECK(error == -ENOMEM || mapped == most);
	/* All of it can be taken away at the bound. */
	CHECK(unmap_frames(at, most) == page(most));
	CHECK(map(at, frames, "0202") == 0);
}

static void bound_on_mappings_refuses_and_is_left_again(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(map_until_refused, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_without_guards_gets_mappings),
		cmocka_unit_test(guarded_page_faults_and_its_neighbours_stay),
		cmocka_unit_test(guards_cost_no_mapping),
		cmocka_unit_test(guard_survives_unback),
		cmocka_unit_test(many_guards_go_in_one_call),
		cmocka_unit_test(locked_memory_takes_guards_too),
		cmocka_unit_test(unguarded_page_reads_zero_even_if_the_system_kept_it),
		cmocka_unit_test(refused_guard_says_so_and_keeps_the_page),
		cmocka_unit_test(lent_vector_makes_512_ranges_one_call),
		cmocka_unit_test(shared_reservation_reads_zero_and_keeps_no_file_open),
		cmocka_unit_test(aliases_show_the_same_memory),
		cmocka_unit_test(unmapped_aliases_are_plain_memory_in_one_mapping),
		cmocka_unit_test(unback_empties_a_frame_and_its_aliases),
		cmocka_unit_test(refused_mapping_leaves_nothing_after_the_gather),
		cmocka_unit_test(late_refusal_leaves_no_hole),
		cmocka_unit_test(refused_reservation_leaves_nothing),
		cmocka_unit_test(limit_on_file_sizes_refuses_and_does_not_kill),
		cmocka_unit_test(child_of_fork_has_neither_frames_nor_aliases),
		cmocka_unit_test(bound_on_mappings_refuses_and_is_left_again),
	};

	return cmocka_run_group_tests_name("machine_frames", tests, NULL, NULL);
}
