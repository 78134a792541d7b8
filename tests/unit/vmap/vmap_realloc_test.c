/* SPDX-License-Identifier: MIT */
/* Areas that change their size: in place, by giving back, by moving; and what then reads zero. */
#include "unit/vmap/vmap_case.h"

#include <pthread.h>
#include <stdlib.h>

#include "machine/linux/backing.h"

static void realloc_of_null_allocates_and_to_nothing_frees(void **state)
{
	struct quire *q = *state;
	char *addr = quire_vrealloc(q, NULL, KIB(20), QUIRE_ZERO);

	assert_non_null(addr);
	assert_true(reads_as(addr, KIB(20), 0));
	assert_u64_eq(quire_vmalloc_size(q, addr), KIB(20));
	assert_null(quire_vrealloc(q, addr, 0, 0));
	assert_u64_eq(vstat_of(q).busy_areas, 0);
	assert_null(quire_vrealloc(q, NULL, 0, 0));
	assert_u64_eq(vstat_of(q).busy_areas, 0);
}

static void the_size_asked_for_follows(void **state)
{
	static const size_t sizes[] = { 100, 5000, 4999, 1, 4096, MIB(1), MIB(1) - 1, MIB(5), 3 };
	struct quire *q = *state;
	char *addr = NULL;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		addr = quire_vrealloc(q, addr, sizes[i], 0);
		assert_non_null(addr);
		assert_u64_eq(quire_vmalloc_size(q, addr), sizes[i]);
		assert_u64_eq(quire_vmalloc_size(q, addr + sizes[i] - 1), sizes[i]);
		assert_u64_eq(area_at(q, addr).asked_bytes, sizes[i]);
		assert_true(area_at(q, addr).bytes >= sizes[i]);
		memset(addr, 0x11, sizes[i]);
	}
	assert_u64_eq(vstat_of(q).busy_areas, 1);
	quire_vfree(q, addr);
}

static void check_grows_in_place(struct quire *q, size_t from, size_t to)
{
	char *addr = vtake(q, from, 0);

	stamp(addr, from, 77);
	if (quire_vrealloc(q, addr, to, 0) != addr)
		fail_msg("from %zu to %zu bytes it moved", from, to);
	assert_true(is_stamped(addr, from, 77));
	memset(addr, 0x22, to);
	assert_u64_eq(quire_vmalloc_size(q, addr), to);
	assert_true(!guards() || faults_at(end_of(q, addr)));
	quire_vfree(q, addr);
	quire_vmap_purge(q);
}

/* Nothing else is in use, so what follows is free. */
static void an_area_grows_in_place_into_what_is_free(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);

	check_grows_in_place(q, 1, page);
	check_grows_in_place(q, page, 2 * page);
	check_grows_in_place(q, 4 * page, 9 * page);
	check_grows_in_place(q, 16 * page, 40 * page + 1);
	check_grows_in_place(q, MIB(1), MIB(1) + KIB(512));
	check_grows_in_place(q, MIB(4), MIB(9));
}

/* Three areas side by side; the one in the middle is freed and then needed. */
static void an_area_grows_in_place_into_a_cached_neighbour(void **state)
{
	struct quire *q = *state;
	size_t bytes = 8 * quire_page_bytes(q);
	char *held[8], *grown;

	for (unsigned i = 0; i < 8; i++) {
		held[i] = vtake(q, bytes, 0);
		stamp(held[i], bytes, i);
		assert_true(i == 0 || held[i] > held[i - 1]);
	}
	quire_vfree(q, held[3]);
	grown = quire_vrealloc(q, held[2], bytes + bytes / 2, 0);
	assert_true(grown == held[2] || !caches());
	memset(grown + bytes, 0xee, bytes / 2);
	for (unsigned i = 0; i < 8; i++)
		assert_true(i == 2 || i == 3 || is_stamped(held[i], bytes, i));
	assert_true(is_stamped(grown, bytes, 2));
	held[2] = grown;
	held[3] = NULL;
	free_areas(q, (void **)held, 8);
}

static void an_area_with_a_neighbour_in_use_moves_with_its_content(void **state)
{
	struct quire *q = *state;
	size_t bytes = 8 * quire_page_bytes(q);
	char *low = vtake(q, bytes, 0), *high = vtake(q, bytes, 0), *moved;

	stamp(low, bytes, 1);
	stamp(high, bytes, 2);
	moved = quire_vrealloc(q, low, 3 * bytes, 0);
	assert_non_null(moved);
	assert_ptr_not_equal(moved, low);
	assert_true(is_stamped(moved, bytes, 1));
	memset(moved, 0x33, 3 * bytes);
	assert_true(is_stamped(high, bytes, 2));
	assert_u64_eq(quire_vmalloc_size(q, low), 0);
	assert_u64_eq(vstat_of(q).busy_areas, 2);
	quire_vfree(q, moved);
	quire_vfree(q, high);
}

/* Twice @bytes, from an area that cannot grow in place. */
static char *grown_elsewhere(struct quire *q, char *addr, size_t bytes)
{
	char *behind = vtake(q, bytes, 0), *moved;

	memset(behind, 0x22, bytes);
	moved = quire_vrealloc(q, addr, 2 * bytes, 0);
	assert_true(behind[0] == 0x22 && behind[bytes - 1] == 0x22);
	quire_vfree(q, behind);
	return moved;
}

static void a_large_area_moves_without_a_copy(void **state)
{
	struct quire *q = *state;
	size_t bytes = MIB(20) + KIB(64);
	char *addr = vtake(q, bytes, 0), *moved;
	uint64_t before;

	skip_if_sanitized();
	stamp(addr, bytes, 1);
	before = resident_bytes();
	moved = grown_elsewhere(q, addr, bytes);
	assert_non_null(moved);
	assert_true(is_stamped(moved, bytes, 1));
	if (moved != addr) /* what is behind it was written, and is still cached */
		assert_in_range((resident_bytes() - before) >> 20, 0, (bytes >> 20) + 8);
	memset(moved, 0x33, 2 * bytes);
	quire_vfree(q, moved);
	assert_int_equal(quire_verify(q), 0);
	quire_vmap_purge(q);
	assert_int_equal(quire_verify(q), 0);
}

/* The call is not made, or fails after it has unmapped its target. */
static void an_area_that_cannot_be_moved_is_copied(void **state)
{
	struct quire *q = *state;
	size_t bytes = MIB(6);

	skip_if_sanitized();
	for (unsigned late = 0; late < 2; late++) {
		for (uint64_t nth = 1; nth <= 8; nth++) {
			char *addr = vtake(q, bytes, 0), *moved;

			stamp(addr, bytes, 1);
			if (late)
				backing_fail_late(ENOMEM);
			else
				backing_fail_after(nth, ENOMEM);
			moved = grown_elsewhere(q, addr, bytes);
			backing_fail_after(0, 0);
			backing_fail_late(0);
			assert_true(is_stamped(moved != NULL ? moved : addr, bytes, 1));
			if (moved != NULL)
				memset(moved, 0x44, 2 * bytes);
			quire_vfree(q, moved != NULL ? moved : addr);
			assert_int_equal(quire_verify(q), 0);
		}
	}
}

static void a_shrunk_area_stays_and_gives_its_tail_back(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	char *addr = vtake(q, 64 * page, 0);
	uint64_t busy = vstat_of(q).busy_bytes;

	memset(addr, 0x44, 64 * page);
	stamp(addr, 16 * page, 9);
	assert_ptr_equal(quire_vrealloc(q, addr, 16 * page, 0), addr);
	assert_true(is_stamped(addr, 16 * page, 9));
	assert_true(vstat_of(q).busy_bytes <= busy - 40 * page);
	assert_u64_eq(quire_vmalloc_size(q, addr + 17 * page + page / 2), 0);
	assert_true(!guards() || faults_at(end_of(q, addr)));
	quire_vmap_purge(q);
	assert_true(is_stamped(addr, 16 * page, 9));
	quire_vfree(q, addr);
}

/* A tail that was given back is memory for others. */
static void what_shrinking_gives_back_can_be_had_by_others(void **state)
{
	struct quire *q = *state;
	void *addr = vtake(q, MIB(200), 0), *other;

	assert_null(quire_vmalloc(q, MIB(100), 0));
	assert_ptr_equal(quire_vrealloc(q, addr, MIB(10), 0), addr);
	other = quire_vmalloc(q, MIB(100), 0);
	assert_non_null(other);
	quire_vfree(q, other);
	quire_vfree(q, addr);
}

static void a_refused_realloc_leaves_the_area_as_it_was(void **state)
{
	struct quire *q = *state;
	char *addr = vtake(q, KIB(100), 0);
	struct quire_vmap_area before = area_at(q, addr), after;

	stamp(addr, KIB(100), 5);
	errno = 0;
	assert_null(quire_vrealloc(q, addr, MIB(300), 0));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(quire_vrealloc(q, addr, SIZE_MAX, 0));
	assert_int_equal(errno, ENOSPC);
	errno = 0;
	assert_null(quire_vrealloc(q, addr, KIB(200), 1u << 15));
	assert_int_equal(errno, EINVAL);
	after = area_at(q, addr);
	assert_u64_eq(after.bytes, before.bytes);
	assert_u64_eq(after.asked_bytes, before.asked_bytes);
	assert_true(is_stamped(addr, KIB(100), 5));
	assert_u64_eq(vstat_of(q).busy_areas, 1);
	quire_vfree(q, addr);
}

/* There is no room to move to; once that was refused, everything is purged and there is some behind. */
static void realloc_that_grows_after_a_refused_move_leaves_errno_alone(void **state)
{
	struct quire *q = *state;
	char *addr = vtake(q, MIB(140), 0), *behind = vtake(q, MIB(20), 0);

	assert_true(behind > addr);
	quire_vfree(q, behind);
	errno = 77;
	addr = quire_vrealloc(q, addr, MIB(150), 0);
	assert_non_null(addr);
	assert_int_equal(errno, 77);
	quire_vfree(q, addr);
}

/* Every other page is in use, and so is what runs the reserve holds: there is none, and room for an area. */
static void kvmalloc_that_finds_an_area_leaves_errno_alone(void **state)
{
	struct quire *q = *state;
	size_t most = MIB(256) / quire_page_bytes(q), n = 0, runs_nr = 0;
	void **pages = calloc(most, sizeof(*pages)), *addr, *runs[512];
	unsigned order = 0;

	assert_non_null(pages);
	while (n < most && (pages[n] = quire_alloc_pages(q, 0, 0)) != NULL)
		n++;
	for (size_t i = 0; i < n; i += 2)
		quire_free_pages(q, pages[i], 0);
	while (quire_page_bytes(q) << order < KIB(64))
		order++;
	/* Of pages of 64 KiB there is one. */
	while (order != 0 && runs_nr < 512 &&
	       (runs[runs_nr] = quire_alloc_pages(q, order, QUIRE_NORETRY)) != NULL)
		runs_nr++;
	assert_true(runs_nr < 512);
	errno = 77;
	addr = quire_kvmalloc(q, KIB(64), 0);
	assert_non_null(addr);
	assert_int_equal(errno, 77);
	quire_kvfree(q, addr);
	while (runs_nr > 0)
		quire_free_pages(q, runs[--runs_nr], order);
	for (size_t i = 1; i < n; i += 2)
		quire_free_pages(q, pages[i], 0);
	free(pages);
}

/* The promise is about bytes beyond the old *asked* size, which dirty memory may back. */
static void bytes_beyond_the_old_size_read_zero_when_that_was_always_asked(void **state)
{
	static const size_t sizes[] = { 100,	3000,	50,	 5000,	     4097,  KIB(40), 77,
					MIB(1), KIB(3), KIB(64), MIB(2) + 9, 12345, MIB(3) };
	struct quire *q = *state;
	size_t old = 0;
	char *addr = NULL;

	/* Dirt to fall upon. */
	for (unsigned i = 0; i < 40; i++) {
		void *dirty = vtake(q, KIB(4) << i % 8, 0);

		memset(dirty, 0xdd, KIB(4) << i % 8);
		quire_vfree(q, dirty);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		addr = quire_vrealloc(q, addr, sizes[i], QUIRE_ZERO);
		assert_non_null(addr);
		if (sizes[i] > old && !reads_as(addr + old, sizes[i] - old, 0))
			fail_msg("not zero from %zu to %zu", old, sizes[i]);
		if (old != 0)
			assert_true(reads_as(addr, sizes[i] < old ? sizes[i] : old, 0xff));
		memset(addr, 0xff, sizes[i]);
		old = sizes[i];
	}
	quire_vfree(q, addr);
}

/* What was cut off was dirty, and comes back into the same area. */
static void shrinking_and_growing_again_brings_zero_back(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	char *addr = quire_vzalloc(q, 32 * page, 0);

	assert_non_null(addr);
	for (size_t keep = 31 * page; keep > page; keep -= 3 * page + 100) {
		memset(addr, 0xff, 32 * page);
		addr = quire_vrealloc(q, addr, keep, QUIRE_ZERO);
		assert_non_null(addr);
		addr = quire_vrealloc(q, addr, 32 * page, QUIRE_ZERO);
		assert_non_null(addr);
		assert_true(reads_as(addr, keep, 0xff));
		assert_true(reads_as(addr + keep, 32 * page - keep, 0));
	}
	quire_vfree(q, addr);
}

static void realloc_to_the_same_size_changes_nothing(void **state)
{
	struct quire *q = *state;
	char *addr = vtake(q, KIB(33), 0);
	struct quire_vmap_area before = area_at(q, addr);

	stamp(addr, KIB(33), 3);
	assert_ptr_equal(quire_vrealloc(q, addr, KIB(33), 0), addr);
	assert_u64_eq(area_at(q, addr).bytes, before.bytes);
	assert_true(is_stamped(addr, KIB(33), 3));
	quire_vfree(q, addr);
}

/* 2 MiB and a page are rounded to 2.5 MiB usable, in two sections where pages may be huge. */
static void an_area_grows_into_the_rest_of_its_sections(void **state)
{
	struct quire *q = *state;
	size_t from = MIB(2) + quire_page_bytes(q);
	char *addr = vtake(q, from, 0), *behind = vtake(q, from, 0);

	if (vmap_case->options.thp == QUIRE_OFF || quire_page_bytes(q) > KIB(4))
		skip_because("no sections, or a class of another size");
	assert_ptr_equal(behind, addr + MIB(4));
	stamp(addr, from, 8);
	assert_ptr_equal(quire_vrealloc(q, addr, MIB(4) - KIB(8), 0), addr);
	assert_true(is_stamped(addr, from, 8));
	memset(addr, 0x23, MIB(4) - KIB(8));
	assert_true(!guards() || faults_at(end_of(q, addr)));
	quire_vfree(q, addr);
	quire_vfree(q, behind);
}

/* Zero is promised without a write where nobody has written. */
static void growing_into_fresh_addresses_touches_none(void **state)
{
	struct quire *q = *state;
	char *addr = quire_vrealloc(q, NULL, MIB(4), QUIRE_ZERO);
	size_t resident;

	assert_non_null(addr);
	resident = resident_bytes();
	assert_ptr_equal(quire_vrealloc(q, addr, MIB(64), QUIRE_ZERO), addr);
	assert_true(resident_bytes() < resident + MIB(8));
	assert_true(reads_as(addr, MIB(64), 0));
	quire_vfree(q, addr);
}

/* At the limit there is no room for a copy; growing in place needs only the difference. */
static void an_area_grows_in_place_where_no_copy_would_fit(void **state)
{
	struct quire *q = *state;
	char *addr = vtake(q, MIB(160), 0);

	stamp(addr, MIB(160), 6);
	assert_ptr_equal(quire_vrealloc(q, addr, MIB(220), 0), addr);
	assert_true(is_stamped(addr, MIB(160), 6));
	quire_vfree(q, addr);
}

struct other {
	struct quire *q;
	void *addr;
	int cpu;
	bool pinned;
};

static void *frees_elsewhere(void *arg)
{
	struct other *other = arg;

	other->pinned = other->cpu < 0 || pin_to_cpu((unsigned)other->cpu);
	quire_vfree(other->q, other->addr);
	return NULL;
}

/* What stands behind the area is freed, on another CPU, and counts against the limit. */
static void an_area_grows_in_place_after_the_last_purge(void **state)
{
	struct quire *q = *state;
	char *addr = vtake(q, MIB(90), 0);
	struct other other = { .q = q, .addr = vtake(q, MIB(90), 0) };
	pthread_t thread;

	other.cpu = allowed_cpu_next((unsigned)allowed_cpu_next(0) + 1);
	stamp(addr, MIB(90), 6);
	assert_int_equal(pthread_create(&thread, NULL, frees_elsewhere, &other), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(other.pinned);
	addr = quire_vrealloc(q, addr, MIB(170), 0);
	assert_non_null(addr);
	assert_true(is_stamped(addr, MIB(90), 6));
	quire_vfree(q, addr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(realloc_of_null_allocates_and_to_nothing_frees),
		VMAP_TEST(the_size_asked_for_follows),
		VMAP_TEST(an_area_grows_in_place_into_what_is_free),
		VMAP_TEST(an_area_grows_in_place_into_a_cached_neighbour),
		VMAP_TEST(an_area_with_a_neighbour_in_use_moves_with_its_content),
		VMAP_TEST(a_large_area_moves_without_a_copy),
		VMAP_TEST(an_area_that_cannot_be_moved_is_copied),
		VMAP_TEST(a_shrunk_area_stays_and_gives_its_tail_back),
		VMAP_TEST(what_shrinking_gives_back_can_be_had_by_others),
		VMAP_TEST(a_refused_realloc_leaves_the_area_as_it_was),
		VMAP_TEST(realloc_that_grows_after_a_refused_move_leaves_errno_alone),
		VMAP_TEST(kvmalloc_that_finds_an_area_leaves_errno_alone),
		VMAP_TEST(bytes_beyond_the_old_size_read_zero_when_that_was_always_asked),
		VMAP_TEST(shrinking_and_growing_again_brings_zero_back),
		VMAP_TEST(realloc_to_the_same_size_changes_nothing),
		VMAP_TEST(an_area_grows_into_the_rest_of_its_sections),
		VMAP_TEST(growing_into_fresh_addresses_touches_none),
		VMAP_TEST(an_area_grows_in_place_where_no_copy_would_fit),
		VMAP_TEST(an_area_grows_in_place_after_the_last_purge),
	};

	return VMAP_TESTS_RUN("vmap_realloc", tests);
}
