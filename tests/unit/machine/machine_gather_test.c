/* SPDX-License-Identifier: MIT */
/*
 * Gathers on real memory: what is taken away reads zero, what is not stays, and how many system
 * calls that took.  The limits of one call are met with ranges beyond 1,024 and 2 GiB.
 */
#include "quire_test.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "confine.h"
#include "machine/linux/backing.h"
#include "machine/linux/sanitizer.h"
#include "machine/mem.h"
#include "mapped.h"

#define RANGES_MAX 4096u
#define PATTERN	   0x5a

/* Every second page of a stretch: no two ranges touch, so none merge. */
struct scattered {
	char *base;
	size_t pages_nr;
	size_t page_bytes;
	struct mem_range ranges[RANGES_MAX];
	struct gather gather;
};

static struct scattered scattered;

static char *page_at(struct scattered *s, size_t index)
{
	return s->base + index * s->page_bytes;
}

static void scattered_make(struct scattered *s, size_t pages_nr)
{
	s->page_bytes = mem_page_bytes();
	s->pages_nr = pages_nr;
	s->base = mem_reserve(pages_nr * s->page_bytes, s->page_bytes, "quire-test");
	CHECK(s->base != NULL);
	CHECK(mem_commit(s->base, pages_nr * s->page_bytes) == 0);
	memset(s->base, PATTERN, pages_nr * s->page_bytes);
	gather_begin(&s->gather, s->ranges, RANGES_MAX);
}

static void scattered_free(struct scattered *s)
{
	mem_release(s->base, s->pages_nr * s->page_bytes);
}

static void unback_even_pages(struct scattered *s)
{
	for (size_t i = 0; i < s->pages_nr; i += 2)
		gather_unback(&s->gather, page_at(s, i), s->page_bytes);
}

/* First page that does not read as it should: even ones zero, odd ones the pattern. */
static size_t first_wrong_page(struct scattered *s)
{
	for (size_t i = 0; i < s->pages_nr; i++) {
		char expected = i % 2 == 0 ? 0 : PATTERN;

		if (page_at(s, i)[0] != expected || page_at(s, i)[s->page_bytes - 1] != expected)
			return i;
	}
	return s->pages_nr;
}

static unsigned errors_nr(const struct scattered *s)
{
	unsigned errors = 0;

	for (unsigned i = 0; i < s->gather.ranges_nr; i++)
		errors += s->ranges[i].error != 0;
	return errors;
}

/* Gathers the even pages and checks all; gives the backing calls it took. */
static uint64_t gather_even_pages(struct scattered *s)
{
	uint64_t calls_before = backing_calls_nr();
	size_t even_bytes = (s->pages_nr + 1) / 2 * s->page_bytes;
	size_t taken_bytes;

	unback_even_pages(s);
	taken_bytes = gather_finish(&s->gather);
	CHECK_VALUES(taken_bytes == even_bytes, taken_bytes, even_bytes);
	CHECK_VALUES(errors_nr(s) == 0, errors_nr(s), s->ranges[0].error);
	CHECK_VALUES(first_wrong_page(s) == s->pages_nr, first_wrong_page(s), s->pages_nr);
	return backing_calls_nr() - calls_before;
}

/* Has the library make its probe, in this process. */
static void provoke_probe(void)
{
	scattered_make(&scattered, 8);
	(void)gather_even_pages(&scattered);
	scattered_free(&scattered);
}

static void ranges_read_zero_and_neighbours_stay(void **state)
{
	(void)state;
	scattered_make(&scattered, 64);
	(void)gather_even_pages(&scattered);
	memset(page_at(&scattered, 0), 1, scattered.page_bytes); /* usable still */
	assert_int_equal(page_at(&scattered, 0)[7], 1);
	scattered_free(&scattered);
}

static void calls_are_far_fewer_than_ranges(void **state)
{
	uint64_t calls_nr;

	(void)state;
	if (!gathers_are_vectored())
		skip_because("the kernel takes memory away one range a call");
	scattered_make(&scattered, 256);
	calls_nr = gather_even_pages(&scattered);
	scattered_free(&scattered);
	assert_u64_eq(calls_nr, 1); /* for 128 ranges */
}

/* UIO_MAXIOV is 1,024 entries a call. */
static void more_ranges_than_one_call_may_have_are_all_taken(void **state)
{
	uint64_t calls_nr;

	(void)state;
	scattered_make(&scattered, 2 * 3000);
	calls_nr = gather_even_pages(&scattered);
	scattered_free(&scattered);
	assert_true(calls_nr >= 3);
	if (gathers_are_vectored())
		assert_true(calls_nr <= 3000 / 128 + 1);
}

/*
 * One call takes 2 GiB - 4 KiB and cuts off silently: a range of 3 GiB and two more behind it.
 * Only the pages that are looked at are touched.
 */
static void more_bytes_than_one_call_may_have_are_all_taken(void **state)
{
	static const size_t gib = (size_t)1 << 30;
	size_t page_bytes = mem_page_bytes();
	struct mem_range ranges[4];
	struct gather gather;
	const size_t touched[] = { 0,
				   gib,
				   2 * gib - 4096,
				   2 * gib,
				   3 * gib - page_bytes,
				   4 * gib,
				   4 * gib + 5 * page_bytes };
	char *base = mem_reserve(5 * gib, (size_t)2 << 20, "quire-test");
	uint64_t calls_before;

	(void)state;
	assert_non_null(base);
	if (mem_commit(base, 5 * gib) != 0) {
		mem_release(base, 5 * gib);
		skip_because("the system does not commit 5 GiB");
	}
	for (size_t i = 0; i < sizeof(touched) / sizeof(touched[0]); i++)
		base[touched[i]] = PATTERN;
	gather_begin(&gather, ranges, 4);
	gather_unback(&gather, base, 3 * gib);
	gather_unback(&gather, base + 4 * gib, page_bytes);
	gather_unback(&gather, base + 4 * gib + 4 * page_bytes, 2 * page_bytes);
	assert_u64_eq(gather.ranges_nr, 3);
	calls_before = backing_calls_nr();
	assert_u64_eq(gather_finish(&gather), 3 * gib + 3 * page_bytes);
	/* More than is taken was never asked for, so that no call came back short. */
	if (gathers_are_vectored())
		assert_u64_eq(backing_calls_nr() - calls_before, 2);
	for (size_t i = 0; i < sizeof(touched) / sizeof(touched[0]); i++)
		assert_int_equal(base[touched[i]], 0);
	mem_release(base, 5 * gib);
}

static void neighbours_are_merged_as_they_come(void **state)
{
	size_t page_bytes = mem_page_bytes();
	struct mem_range ranges[2];
	struct gather gather;
	char *base = mem_reserve(16 * page_bytes, page_bytes, "quire-test");

	(void)state;
	assert_non_null(base);
	gather_begin(&gather, ranges, 2);
	gather_unback(&gather, base + 2 * page_bytes, page_bytes);
	gather_unback(&gather, base + 3 * page_bytes, 2 * page_bytes);
	gather_unback(&gather, base, 2 * page_bytes);
	assert_u64_eq(gather.ranges_nr, 1);
	assert_ptr_equal(ranges[0].addr, base);
	assert_u64_eq(ranges[0].bytes, 5 * page_bytes);
	assert_false(gather_is_full(&gather));
	gather_unback(&gather, base + 9 * page_bytes, page_bytes);
	assert_true(gather_is_full(&gather));
	assert_u64_eq(gather_finish(&gather), 6 * page_bytes);
	mem_release(base, 16 * page_bytes);
}

static void taken_bytes_are_counted_while_somebody_watches(void **state)
{
	uint64_t bytes = 0;

	(void)state;
	gather_count(&bytes);
	scattered_make(&scattered, 10);
	unback_even_pages(&scattered);
	assert_u64_eq(gather_finish(&scattered.gather), 5 * scattered.page_bytes);
	assert_u64_eq(bytes, 5 * scattered.page_bytes);
	gather_count(NULL);
	(void)gather_finish(&scattered.gather);
	assert_u64_eq(bytes, 5 * scattered.page_bytes);
	scattered_free(&scattered);
}

static void empty_gather_makes_no_call(void **state)
{
	uint64_t calls_before = backing_calls_nr();

	(void)state;
	gather_begin(&scattered.gather, scattered.ranges, RANGES_MAX);
	assert_u64_eq(gather_finish(&scattered.gather), 0);
	assert_u64_eq(backing_calls_nr(), calls_before);
}

/* The vectored call stops after k of n ranges, for every k: nothing is skipped. */
static void short_return_is_resumed_after_any_range(void **state)
{
	uint64_t calls_nr = 0;

	(void)state;
	if (!gathers_are_vectored())
		skip_because("the kernel takes memory away one range a call");
	for (size_t k = 0; k < 9; k++) {
		scattered_make(&scattered, 16);
		backing_stop_after(k, EINVAL);
		calls_nr = gather_even_pages(&scattered);
		scattered_free(&scattered);
		/* The call, one for the refused range, one for the rest; none was refused at 8. */
		assert_u64_eq(calls_nr, k == 8 ? 1 : k == 7 ? 2 : 3);
	}
}

/* A range that the kernel refuses for good: not mapped at all. */
static void refused_range_is_reported_and_the_others_are_taken(void **state)
{
	size_t taken_bytes;

	(void)state;
	scattered_make(&scattered, 64);
	unback_even_pages(&scattered);
	assert_int_equal(munmap(page_at(&scattered, 20), scattered.page_bytes), 0);
	taken_bytes = gather_finish(&scattered.gather);
	assert_u64_eq(taken_bytes, 31 * scattered.page_bytes);
	assert_u64_eq(errors_nr(&scattered), 1);
	assert_int_equal(scattered.ranges[10].error, -ENOMEM);
	for (size_t i = 0; i < 64; i += 2) {
		if (i != 20)
			assert_int_equal(page_at(&scattered, i)[0], 0);
	}
	scattered_free(&scattered);
}

/* The n-th call fails, for every n: what is reported as taken reads zero, all else is whole. */
static void refused_calls_lose_no_range(void **state)
{
	(void)state;
	provoke_probe();
	for (uint64_t nth = 1; nth <= 4; nth++) {
		size_t zero_bytes = 0;

		scattered_make(&scattered, 16);
		unback_even_pages(&scattered);
		backing_fail_from(nth, ENOMEM);
		size_t taken_bytes = gather_finish(&scattered.gather);

		backing_fail_after(0, 0);
		for (size_t i = 0; i < 16; i += 2)
			zero_bytes += page_at(&scattered, i)[0] == 0 ? scattered.page_bytes : 0;
		assert_u64_eq(zero_bytes, taken_bytes);
		assert_u64_eq(taken_bytes, (8 - errors_nr(&scattered)) * scattered.page_bytes);
		scattered_free(&scattered);
	}
}

/* --- locked memory --- */

static void mlocked_pages_are_emptied_and_stay_locked(void **state)
{
	unsigned char resident = 1;

	(void)state;
	scattered_make(&scattered, 64);
	/* Not mlock(): sanitizers make that do nothing. */
	if (syscall(SYS_mlock, page_at(&scattered, 10), 4 * scattered.page_bytes) != 0) {
		scattered_free(&scattered);
		skip_because("no memory may be locked here");
	}
	(void)gather_even_pages(&scattered);
	gather_begin(&scattered.gather, scattered.ranges, RANGES_MAX);
	gather_unback(&scattered.gather, page_at(&scattered, 11), scattered.page_bytes);
	assert_u64_eq(gather_finish(&scattered.gather), scattered.page_bytes);
	assert_int_equal(mincore(page_at(&scattered, 11), scattered.page_bytes, &resident), 0);
	assert_int_equal(resident & 1, 0);
	assert_int_equal(madvise(page_at(&scattered, 11), scattered.page_bytes, MADV_DONTNEED), -1);
	scattered_free(&scattered);
}

static void gather_under_mlockall(void *arg)
{
	const bool *has_vectored = arg;
	uint64_t calls_nr;

	CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
	CHECK(mem_is_locked());
	scattered_make(&scattered, 512);
	calls_nr = gather_even_pages(&scattered);
	/* One refused call, two alone, then vectored ones that ask for locked memory. */
	CHECK_VALUES(calls_nr <= (*has_vectored ? 8 : 512), calls_nr, 8);
	CHECK(munlockall() == 0);
}

static void mlockall_costs_few_calls(void **state)
{
	bool has_vectored = gathers_are_vectored();

	(void)state;
	/* Their shadow memory is larger than the machine: all of it cannot be locked. */
	skip_if_sanitized();
	expect_life(gather_under_mlockall, &has_vectored);
}

/* A vectored call in a child must empty the child's pages, not its parent's. */
static void gather_in_child(void *arg)
{
	(void)arg;
	(void)gather_even_pages(&scattered);
}

/* --- denied by a filter --- */

static void gather_after_denial(void *arg)
{
	uint64_t calls_nr;

	confine_deny(SYS_process_madvise, *(int *)arg);
	scattered_make(&scattered, 256);
	calls_nr = gather_even_pages(&scattered);
	CHECK_VALUES(calls_nr == 128, calls_nr, 128);
	scattered_free(&scattered);
}

static void probe_that_is_denied_means_one_call_a_range(void **state)
{
	int errors[] = { EPERM, ENOSYS, EINVAL, 0 }; /* 0: a filter that pretends success */

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		expect_life(gather_after_denial, &errors[i]);
}

static void gather_by_pidfd(void *arg)
{
	size_t fds_before = count_fds();
	uint64_t calls_nr;

	/* Linux 6.13 takes any advice from the process itself, but does not know PIDFD_SELF. */
	confine_deny_argument(SYS_process_madvise, 0, (uint32_t)-10000, EBADF);
	scattered_make(&scattered, 256);
	calls_nr = gather_even_pages(&scattered);
	CHECK_VALUES(calls_nr == (*(const bool *)arg ? 1 : 128), calls_nr, 1);
	CHECK_VALUES(count_fds() == fds_before, count_fds(), fds_before);
	scattered_make(&scattered, 64);
	expect_life(gather_in_child, NULL);
	CHECK(page_at(&scattered, 0)[0] == PATTERN);
}

/* The child must be one that has not probed yet, so main() has these before the others. */
static void pidfd_is_opened_for_each_gather_where_self_is_unknown(void **state)
{
	bool has_vectored = gathers_are_vectored();

	(void)state;
	expect_life(gather_by_pidfd, &has_vectored);
}

/* The answer stands: a later refusal makes this gather slow, not wrong. */
static void denied_after_the_probe(void *arg)
{
	(void)arg;
	provoke_probe();
	confine_deny(SYS_process_madvise, EPERM);
	scattered_make(&scattered, 256);
	(void)gather_even_pages(&scattered);
	scattered_free(&scattered);
}

static void denial_after_the_probe_loses_nothing(void **state)
{
	(void)state;
	expect_life(denied_after_the_probe, NULL);
}

static void child_gathers_its_own_memory(void **state)
{
	(void)state;
	provoke_probe();
	scattered_make(&scattered, 64);
	expect_life(gather_in_child, NULL);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(page_at(&scattered, i)[0], PATTERN);
	scattered_free(&scattered);
}

/* --- unmap --- */

static void unmapped_ranges_fault_and_neighbours_stay(void **state)
{
	struct scattered *s = &scattered;

	(void)state;
	scattered_make(s, 16);
	for (size_t i = 0; i < 16; i += 2)
		gather_unmap(&s->gather, page_at(s, i), s->page_bytes);
	assert_u64_eq(gather_finish(&s->gather), 8 * s->page_bytes);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(is_accessible(page_at(s, i)), i % 2);
	assert_int_equal(mem_commit(page_at(s, 0), s->page_bytes), 0);
	assert_int_equal(page_at(s, 0)[0], 0);
	scattered_free(s);
}

static void mix_kinds(void *arg)
{
	size_t page_bytes = mem_page_bytes();

	(void)arg;
	scattered_make(&scattered, 16);
	gather_unmap(&scattered.gather, page_at(&scattered, 0), page_bytes);
	gather_unback(&scattered.gather, page_at(&scattered, 2), page_bytes);
}

static void gather_is_for_one_purpose(void **state)
{
	(void)state;
	expect_death(mix_kinds, NULL, "quire: bug: CHECK(");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe_that_is_denied_means_one_call_a_range),
		cmocka_unit_test(pidfd_is_opened_for_each_gather_where_self_is_unknown),
		cmocka_unit_test(denial_after_the_probe_loses_nothing),
		cmocka_unit_test(ranges_read_zero_and_neighbours_stay),
		cmocka_unit_test(calls_are_far_fewer_than_ranges),
		cmocka_unit_test(more_ranges_than_one_call_may_have_are_all_taken),
		cmocka_unit_test(more_bytes_than_one_call_may_have_are_all_taken),
		cmocka_unit_test(neighbours_are_merged_as_they_come),
		cmocka_unit_test(taken_bytes_are_counted_while_somebody_watches),
		cmocka_unit_test(empty_gather_makes_no_call),
		cmocka_unit_test(short_return_is_resumed_after_any_range),
		cmocka_unit_test(refused_range_is_reported_and_the_others_are_taken),
		cmocka_unit_test(refused_calls_lose_no_range),
		cmocka_unit_test(mlocked_pages_are_emptied_and_stay_locked),
		cmocka_unit_test(mlockall_costs_few_calls),
		cmocka_unit_test(child_gathers_its_own_memory),
		cmocka_unit_test(unmapped_ranges_fault_and_neighbours_stay),
		cmocka_unit_test(gather_is_for_one_purpose),
	};

	return cmocka_run_group_tests_name("machine_gather", tests, NULL, NULL);
}
