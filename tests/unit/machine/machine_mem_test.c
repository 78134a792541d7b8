/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/check.h"
#include "confine.h"
#include "machine/linux/backing.h"
#include "machine/linux/sanitizer.h"
#include "machine/linux/written.h"
#include "machine/mem.h"
#include "mapped.h"

/* The line of /proc/self/maps that holds @addr; "" if none does. */
static void find_mapping(const void *addr, char *line, int line_bytes)
{
	FILE *file = fopen("/proc/self/maps", "r");
	bool is_found = false;

	assert_non_null(file);
	while (!is_found && fgets(line, line_bytes, file) != NULL) {
		unsigned long start, end;

		assert_int_equal(sscanf(line, "%lx-%lx", &start, &end), 2);
		is_found = start <= (uintptr_t)addr && (uintptr_t)addr < end;
	}
	if (!is_found)
		line[0] = '\0';
	fclose(file);
}

static bool is_mapped(const void *addr)
{
	char line[512];

	find_mapping(addr, line, sizeof(line));
	return line[0] != '\0';
}

static void reservation_is_aligned_and_has_the_size_asked_for(void **state)
{
	static const size_t aligns[] = { 4096, 65536, MIB(2), MIB(1024) };

	(void)state;
	for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
		char *base = mem_reserve(MIB(10), aligns[i], "quire-test");

		assert_non_null(base);
		assert_u64_eq((uintptr_t)base & (aligns[i] - 1), 0);
		assert_true(is_mapped(base));
		assert_true(is_mapped(base + MIB(10) - 1));
		mem_release(base, MIB(10));
		assert_false(is_mapped(base));
		assert_false(is_mapped(base + MIB(10) - 1));
	}
}

/* Several side by side, since one may happen to need no slack at an end. */
static void reserving_leaves_no_slack_mapped(void **state)
{
	uint64_t before_bytes = status_bytes("VmSize"), after_bytes;
	char *bases[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		bases[i] = mem_reserve((10 + i) * MIB(1), MIB(1024), "quire-test");
		assert_non_null(bases[i]);
	}
	after_bytes = status_bytes("VmSize");
	for (unsigned i = 0; i < 4; i++)
		mem_release(bases[i], (10 + i) * MIB(1));
	assert_true(after_bytes - before_bytes >= MIB(46));
	assert_true(after_bytes - before_bytes < MIB(56));
	assert_true(status_bytes("VmSize") - before_bytes < MIB(10));
}

static void reservation_beyond_the_address_space_is_refused(void **state)
{
	size_t maps_before = count_maps();

	(void)state;
	assert_null(mem_reserve((size_t)1 << 60, MIB(2), "quire-test"));
	assert_u64_eq(count_maps(), maps_before);
}

static void reservation_shows_its_name(void **state)
{
	char line[512];
	char *base = mem_reserve(MIB(10), MIB(2), "quire-test-name");

	(void)state;
	assert_non_null(base);
	find_mapping(base, line, sizeof(line));
	mem_release(base, MIB(10));
	if (strstr(line, "[anon:") == NULL)
		skip_because("a kernel without names, or before 5.17");
	assert_non_null(strstr(line, "[anon:quire-test-name]"));
	assert_non_null(strstr(line, "---p"));
}

static void committed_part_is_usable_and_zero_and_the_rest_is_not(void **state)
{
	size_t page_bytes = mem_page_bytes();
	char *base = mem_reserve(MIB(10), MIB(2), "quire-test");

	(void)state;
	assert_false(is_accessible(base));
	assert_int_equal(mem_commit(base + MIB(2), MIB(2)), 0);
	assert_false(is_accessible(base + MIB(2) - page_bytes));
	assert_false(is_accessible(base + MIB(4)));
	for (size_t at = 0; at < MIB(2); at += page_bytes)
		assert_int_equal(base[MIB(2) + at], 0);
	base[MIB(3)] = 1;
	assert_int_equal(mem_commit(base + MIB(2), MIB(2)), 0);
	assert_int_equal(base[MIB(3)], 1);
	mem_release(base, MIB(10));
}

static void decommit_gives_memory_back_and_commit_reads_zero_again(void **state)
{
	char *base = mem_reserve(MIB(10), MIB(2), "quire-test");
	uint64_t used_bytes, left_bytes, before_bytes = status_bytes("RssAnon");

	(void)state;
	assert_int_equal(mem_commit(base, MIB(8)), 0);
	memset(base, 1, MIB(8));
	used_bytes = status_bytes("RssAnon") - before_bytes;
	assert_int_equal(mem_decommit(base, MIB(6), "quire-test"), 0);
	left_bytes = status_bytes("RssAnon") - before_bytes;
	assert_true(used_bytes >= MIB(7));
	assert_true(MACHINE_TSAN || left_bytes <= MIB(3)); /* its shadow memory is counted too */
	assert_false(is_accessible(base));
	assert_int_equal(base[MIB(6)], 1);
	assert_int_equal(mem_commit(base, MIB(8)), 0);
	assert_int_equal(base[0], 0);
	assert_int_equal(base[MIB(6)], 1);
	mem_release(base, MIB(10));
}

/* Grow and shrink many times: the mappings of one reservation join again. */
static void committing_and_decommitting_leaves_few_mappings(void **state)
{
	size_t maps_before = count_maps();
	char *base = mem_reserve(MIB(64), MIB(2), "quire-test");

	(void)state;
	for (size_t at = 0; at < MIB(64); at += MIB(2))
		assert_int_equal(mem_commit(base + at, MIB(2)), 0);
	assert_true(count_maps() <= maps_before + 2);
	for (size_t at = 0; at < MIB(64); at += MIB(4))
		assert_int_equal(mem_decommit(base + at, MIB(2), "quire-test"), 0);
	for (size_t at = MIB(2); at < MIB(64); at += MIB(4))
		assert_int_equal(mem_decommit(base + at, MIB(2), "quire-test"), 0);
	assert_true(count_maps() <= maps_before + 2);
	mem_release(base, MIB(64));
}

/* What strict overcommit does, without touching the system's mode: mprotect is refused. */
static void refused_commit_says_so_and_changes_nothing(void **state)
{
	char *base = mem_reserve(MIB(10), MIB(2), "quire-test");

	(void)state;
	backing_fail_after(1, EACCES);
	assert_int_equal(mem_commit(base, MIB(2)), -ENOMEM);
	assert_false(is_accessible(base));
	assert_int_equal(mem_commit(base, MIB(2)), 0);
	base[0] = 1;
	backing_fail_after(1, ENOMEM);
	assert_int_equal(mem_decommit(base, MIB(2), "quire-test"), -ENOMEM);
	assert_int_equal(base[0], 1);
	mem_release(base, MIB(10));
}

/* RLIMIT_DATA counts private writable memory, so it makes the kernel itself refuse a commit. */
static void commit_under_a_limit(void *arg)
{
	char *base = mem_reserve(MIB(512), MIB(2), "quire-test");

	(void)arg;
	CHECK(base != NULL);
	confine_limit(RLIMIT_DATA, MIB(64));
	CHECK(mem_commit(base, MIB(256)) == -ENOMEM);
	CHECK(!is_accessible(base));
	CHECK(mem_commit(base, MIB(2)) == 0);
	base[0] = 1;
}

static void commit_beyond_a_real_limit_is_refused(void **state)
{
	(void)state;
	if (MACHINE_ASAN || MACHINE_TSAN)
		skip_because("a sanitizer's own memory is beyond the limit already");
	expect_life(commit_under_a_limit, NULL);
}

/* RLIMIT_AS leaves room for the reservation, in the half that is ours, but not for the slack that
 * alignment wants. */
static void reserve_without_slack(void *arg)
{
	const size_t bytes = MIB(512);
	char *base;

	(void)arg;
	confine_limit(RLIMIT_AS, status_bytes("VmSize") + 2 * bytes + MIB(64));
	base = mem_reserve(bytes, mem_page_bytes(), "quire-test");
	CHECK(base != NULL);
	mem_release(base, bytes);
	base = mem_reserve(bytes, MIB(1024), "quire-test"); /* aligned or refused, never else */
	CHECK(((uintptr_t)base & (MIB(1024) - 1)) == 0);
}

static void reservation_under_an_address_limit_is_aligned_or_refused(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(reserve_without_slack, NULL);
}

/* The n-th call of a reservation fails, for every n: either it is whole or nothing is left. */
static void refused_calls_leave_no_half_reservation(void **state)
{
	(void)state;
	for (uint64_t nth = 1; nth <= 4; nth++) {
		size_t maps_before = count_maps();
		char *base;

		backing_fail_after(nth, ENOMEM);
		base = mem_reserve(MIB(3), MIB(1024), "quire-test");
		backing_fail_after(0, 0);
		if (base != NULL) {
			assert_u64_eq((uintptr_t)base & (MIB(1024) - 1), 0);
			mem_release(base, MIB(3));
		}
		assert_u64_eq(count_maps(), maps_before);
	}
}

/* Made or refused: the content stays, and a guard stays one. */
static void making_a_huge_page_keeps_content_and_guards(void **state)
{
	char *base = mem_reserve(MIB(4), MIB(2), "quire-test");
	bool mapped;

	(void)state;
	assert_non_null(base);
	assert_int_equal(mem_commit(base, MIB(4)), 0);
	mem_advise_huge(base, MIB(4), false);
	for (size_t i = 0; i < MIB(4); i += 4096)
		base[i] = (char)(i >> 12);
	assert_int_equal(mem_guard(base + MIB(3), mem_page_bytes(), &mapped), 0);
	assert_int_not_equal(mem_collapse_huge(base, MIB(2)), 0); /* it is advised against */
	mem_advise_huge(base, MIB(4), true);
	(void)mem_collapse_huge(base, MIB(2));
	assert_int_not_equal(mem_collapse_huge(base + MIB(2), MIB(2)), 0);
	assert_false(is_accessible(base + MIB(3)));
	for (size_t i = 0; i < MIB(3); i += 4096)
		assert_int_equal(base[i], (char)(i >> 12));
	if (mapped)
		mem_mappings_give(MAPPINGS_GUARDS, MAPPINGS_A_GUARD);
	mem_release(base, MIB(4));
}

static void huge_advice_is_a_hint(void **state)
{
	char *base = mem_reserve(MIB(4), MIB(2), "quire-test");

	(void)state;
	assert_int_equal(mem_commit(base, MIB(4)), 0);
	mem_advise_huge(base, MIB(4), true);
	mem_advise_huge(base, MIB(4), false);
	base[0] = 1;
	assert_int_equal(base[0], 1);
	mem_release(base, MIB(4));
}

/* --- mlockall --- */

static void lock_what_exists(void *arg)
{
	(void)arg;
	CHECK(!mem_is_locked());
	CHECK(mlockall(MCL_CURRENT) == 0);
	CHECK(mem_is_locked());
	CHECK(munlockall() == 0);
	CHECK(!mem_is_locked());
}

static void lock_what_will_be(void *arg)
{
	(void)arg;
	CHECK(mlockall(MCL_FUTURE) == 0);
	CHECK(!mem_is_locked()); /* what was reserved before is not */
	CHECK(mem_reserve(MIB(1), mem_page_bytes(), "quire-test") != NULL);
	CHECK(mem_is_locked());
	CHECK(munlockall() == 0);
	CHECK(!mem_is_locked());
}

static void mlockall_is_noticed_in_both_kinds(void **state)
{
	(void)state;
	if (MACHINE_ASAN || MACHINE_TSAN)
		skip_because("a sanitizer makes mlockall() do nothing");
	expect_life(lock_what_exists, NULL);
	expect_life(lock_what_will_be, NULL);
}

/* Who may lock 4 MiB, and has all future memory locked: gives a reservation of 7 MiB, which fits into
 * the 8 MiB that most systems permit as long as it is locked.  For root, who may become another. */
static char *reserve_beyond_the_lock_limit(int flags)
{
	char *base;

	confine_limit(RLIMIT_MEMLOCK, MIB(8));
	CHECK(setuid(65534) == 0 && mlockall(flags) == 0);
	base = mem_reserve(MIB(7), mem_page_bytes(), "quire-test");
	CHECK(base != NULL && !is_accessible(base));
	confine_limit(RLIMIT_MEMLOCK, MIB(4));
	return base;
}

/* Of 7 MiB the second is committed, and not lost when more is refused. */
static void commit_more_than_may_be_locked(void *arg)
{
	char *base = reserve_beyond_the_lock_limit(*(int *)arg);
	/* The streams that read both are locked as well, so they are read once for nothing. */
	uint64_t locked_bytes = status_bytes("VmLck");
	size_t maps = count_maps();

	locked_bytes = status_bytes("VmLck");
	CHECK(mem_commit(base + MIB(1), MIB(1)) == 0);
	base[MIB(1)] = 1;
	CHECK(status_bytes("VmLck") == locked_bytes + MIB(1));
	maps = count_maps();
	CHECK(mem_commit(base, MIB(7)) == -ENOMEM);
	CHECK(!is_accessible(base) && !is_accessible(base + MIB(2)));
	CHECK(status_bytes("VmLck") == locked_bytes + MIB(1));
	/* Here the lock is granted and the other is not. */
	backing_fail_after(1, ENOMEM);
	CHECK(mem_commit(base, MIB(3)) == -ENOMEM);
	CHECK(!is_accessible(base) && !is_accessible(base + MIB(2)));
	CHECK(status_bytes("VmLck") == locked_bytes + MIB(1));
	CHECK(count_maps() == maps && base[MIB(1)] == 1);
	CHECK(mem_commit(base, MIB(3)) == 0);
	CHECK(status_bytes("VmLck") == locked_bytes + MIB(3));
}

static void refused_lock_leaves_what_was_as_it_was(void **state)
{
	int flags = MCL_FUTURE;

	(void)state;
	if (MACHINE_ASAN || MACHINE_TSAN)
		skip_because("a sanitizer makes mlockall() do nothing");
	if (geteuid() != 0)
		skip_because("needs to become an ordinary user");
	expect_life(commit_more_than_may_be_locked, &flags);
	flags |= MCL_ONFAULT;
	expect_life(commit_more_than_may_be_locked, &flags);
}

/* The system has unmapped what a decommit was to replace before it refuses: the addresses stay ours.  Nor
 * may the whole be locked, which a new mapping of it would be. */
static void decommit_late_refused(void *arg)
{
	char *base = reserve_beyond_the_lock_limit(MCL_FUTURE);

	(void)arg;
	CHECK(mem_commit(base, MIB(1)) == 0);
	backing_fail_late(ENOMEM);
	CHECK(mem_decommit(base, MIB(7), "quire-test") == 0);
	CHECK(is_mapped(base) && is_mapped(base + MIB(7) - 1) && !is_accessible(base));
	CHECK(mem_commit(base, MIB(1)) == 0);
	CHECK(base[0] == 0);
}

static void decommit_leaves_no_hole_when_it_is_refused_late(void **state)
{
	size_t maps_before = count_maps();
	char *base = mem_reserve(MIB(8), MIB(2), "quire-test");

	(void)state;
	assert_int_equal(mem_commit(base, MIB(4)), 0);
	base[0] = base[MIB(2)] = 1;
	backing_fail_late(ENOMEM);
	assert_int_equal(mem_decommit(base, MIB(2), "quire-test"), 0);
	assert_true(is_mapped(base) && is_mapped(base + MIB(2) - 1));
	assert_false(is_accessible(base));
	assert_int_equal(base[MIB(2)], 1);
	assert_int_equal(mem_commit(base, MIB(2)), 0);
	assert_int_equal(base[0], 0);
	mem_release(base, MIB(8));
	assert_u64_eq(count_maps(), maps_before);
	if (MACHINE_ASAN || MACHINE_TSAN)
		skip_because("a sanitizer makes mlockall() do nothing");
	if (geteuid() != 0)
		skip_because("needs to become an ordinary user");
	expect_life(decommit_late_refused, NULL);
}

static void one_locked_page_elsewhere_is_not_mlockall(void **state)
{
	char *base = mem_reserve(MIB(2), MIB(2), "quire-test");

	(void)state;
	assert_int_equal(mem_commit(base, MIB(2)), 0);
	(void)mlock(base, mem_page_bytes());
	assert_false(mem_is_locked());
	mem_release(base, MIB(2));
}

/* --- how much there is --- */

static void total_is_at_most_the_machines_memory(void **state)
{
	struct sysinfo info;

	(void)state;
	assert_int_equal(sysinfo(&info), 0);
	assert_true(mem_limit_read().bytes > 0);
	assert_true(mem_limit_read().bytes <= (uint64_t)info.totalram * info.mem_unit);
}

static void total_obeys_the_cgroup(void **state)
{
	struct memory_group group;
	uint64_t limited_bytes = 0;
	bool is_entered, is_limited;

	(void)state;
	is_entered = memory_group_enter(&group);
	if (!is_entered)
		skip_because("no memory cgroup of our own");
	is_limited = memory_group_limit(&group, MIB(300));
	limited_bytes = mem_limit_read().bytes;
	(void)memory_group_limit(&group, 0);
	memory_group_leave(&group);
	if (!is_limited)
		skip_because("the group's memory may not be limited here");
	assert_u64_eq(limited_bytes, MIB(300));
	assert_true(mem_limit_read().bytes != MIB(300));
}

static void calls_leave_errno_alone(void **state)
{
	char *base;

	(void)state;
	errno = 77;
	base = mem_reserve(MIB(2), MIB(2), "quire-test");
	backing_fail_after(1, ENOMEM);
	(void)mem_commit(base, MIB(2));
	(void)mem_reserve((size_t)1 << 60, MIB(2), "quire-test");
	(void)mem_is_locked();
	(void)mem_limit_read().bytes;
	mem_release(base, MIB(2));
	assert_int_equal(errno, 77);
}

/* Of 40 stretches of 16 pages, some pages are written, one of them only in its last byte. */
static void what_was_written_is_found_either_way(void **state)
{
	size_t page = mem_page_bytes();
	struct mem_stretches s = {
		.stride_bytes = MIB(1), .page_bytes = page, .nr = 40, .pages = 16
	};
	char *addr = mem_reserve(MIB(40), MIB(1), "quire-test");
	uint64_t masks[40], coarse[40];
	int error;

	(void)state;
	assert_non_null(addr);
	assert_int_equal(mem_commit(addr, MIB(40)), 0);
	mem_advise_huge(addr, MIB(40), false);
	s.addr = addr;
	addr[3 * page] = 1;
	addr[MIB(7) + 16 * page - 1] = 1;
	addr[MIB(7) + 16 * page] = 1; /* behind the stretch */
	addr[MIB(39)] = addr[MIB(39) + page] = 1;
	for (unsigned way = WRITTEN_ANY_WAY; way <= WRITTEN_BY_PAGE; way++) {
		s.page_bytes = page;
		s.pages = 16;
		error = written_ask(&s, (enum written_way)way, masks);
		if (error && way == WRITTEN_BY_SCAN)
			continue; /* before Linux 6.7 */
		assert_int_equal(error, 0);
		s.page_bytes = 4 * page;
		s.pages = 4;
		assert_int_equal(written_ask(&s, (enum written_way)way, coarse), 0);
		for (unsigned i = 0; i < 40; i++) {
			assert_u64_eq(masks[i], i == 0 ? 8 : i == 7 ? 0x8000 : i == 39 ? 3 : 0);
			assert_u64_eq(coarse[i], i == 0 ? 1 : i == 7 ? 8 : i == 39 ? 1 : 0);
		}
	}
	mem_release(addr, MIB(40));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reservation_is_aligned_and_has_the_size_asked_for),
		cmocka_unit_test(reserving_leaves_no_slack_mapped),
		cmocka_unit_test(reservation_beyond_the_address_space_is_refused),
		cmocka_unit_test(reservation_shows_its_name),
		cmocka_unit_test(committed_part_is_usable_and_zero_and_the_rest_is_not),
		cmocka_unit_test(decommit_gives_memory_back_and_commit_reads_zero_again),
		cmocka_unit_test(committing_and_decommitting_leaves_few_mappings),
		cmocka_unit_test(refused_commit_says_so_and_changes_nothing),
		cmocka_unit_test(commit_beyond_a_real_limit_is_refused),
		cmocka_unit_test(reservation_under_an_address_limit_is_aligned_or_refused),
		cmocka_unit_test(refused_calls_leave_no_half_reservation),
		cmocka_unit_test(huge_advice_is_a_hint),
		cmocka_unit_test(making_a_huge_page_keeps_content_and_guards),
		cmocka_unit_test(mlockall_is_noticed_in_both_kinds),
		cmocka_unit_test(refused_lock_leaves_what_was_as_it_was),
		cmocka_unit_test(decommit_leaves_no_hole_when_it_is_refused_late),
		cmocka_unit_test(one_locked_page_elsewhere_is_not_mlockall),
		cmocka_unit_test(total_is_at_most_the_machines_memory),
		cmocka_unit_test(total_obeys_the_cgroup),
		cmocka_unit_test(what_was_written_is_found_either_way),
		cmocka_unit_test(calls_leave_errno_alone),
	};

	return cmocka_run_group_tests_name("machine_mem", tests, NULL, NULL);
}
