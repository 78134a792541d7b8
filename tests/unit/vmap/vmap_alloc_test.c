/* SPDX-License-Identifier: MIT */
/* Areas as they are handed out: sizes, places, flags, refusals. */
#include "unit/vmap/vmap_case.h"

#define AREAS_NR 300u

static void an_area_is_whole_pages_that_can_be_written(void **state)
{
	static const size_t sizes[] = { 1,	 4095,	     4096,     4097,   12288,
					KIB(36), KIB(64),    KIB(100), MIB(1), MIB(1) + 1,
					MIB(2),	 MIB(3) + 5, MIB(7),   MIB(32) };
	struct quire *q = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *addr = vtake(q, sizes[i], 0);
		struct quire_vmap_area area = area_at(q, addr);

		memset(addr, 0xa5, area.bytes);
		assert_u64_eq((uintptr_t)addr % quire_page_bytes(q), 0);
		assert_u64_eq(area.asked_bytes, sizes[i]);
		assert_u64_eq(area.bytes % quire_page_bytes(q), 0);
		assert_u64_eq(area.kind, QUIRE_VMAP_ALLOC);
		assert_true(area.bytes >= page_round(q, sizes[i]));
		quire_vfree(q, addr);
	}
}

/* Of pages; and exact without caches. */
static void sizes_are_rounded_up_by_at_most_a_quarter(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);

	/* Upwards, then downwards: what was freed larger may not serve much smaller sizes. */
	for (size_t i = 1; i < 600; i++) {
		size_t pages = i < 300 ? i : 600 - i;
		void *addr = vtake(q, pages * page, 0);
		size_t given = area_at(q, addr).bytes / page;

		assert_true(given >= pages);
		if (given > pages + (caches() ? pages / 4 : 0))
			fail_msg("%zu pages became %zu", pages, given);
		quire_vfree(q, addr);
	}
}

static void many_areas_lie_apart_and_keep_what_is_written(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	static void *held[AREAS_NR];

	for (uint32_t i = 0; i < AREAS_NR; i++) {
		held[i] = vtake(q, (i % 17 + 1) * page - i, 0);
		stamp(held[i], (i % 17 + 1) * page - i, i);
	}
	for (uint32_t i = 0; i < AREAS_NR; i += 3) {
		quire_vfree(q, held[i]);
		held[i] = vtake(q, (i % 17 + 1) * page - i, 0);
		stamp(held[i], (i % 17 + 1) * page - i, i);
	}
	assert_u64_eq(vstat_of(q).busy_areas, AREAS_NR);
	for (uint32_t i = 0; i < AREAS_NR; i++)
		assert_true(is_stamped(held[i], (i % 17 + 1) * page - i, i));
	free_areas(q, held, AREAS_NR);
	assert_u64_eq(vstat_of(q).busy_areas, 0);
}

static void no_bytes_and_unknown_flags_are_invalid(void **state)
{
	struct quire *q = *state;
	struct quire_vmalloc_options options = QUIRE_VMALLOC_OPTIONS_INIT(.flags = 1u << 20);

	errno = 0;
	assert_null(quire_vmalloc(q, 0, 0));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(quire_vzalloc(q, 0, 0));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(quire_vmalloc(q, 4096, 1u << 15));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(quire_vmalloc_with(q, 4096, &options));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(quire_kvmalloc(q, 0, 0));
	assert_int_equal(errno, EINVAL);
	assert_u64_eq(vstat_of(q).busy_areas, 0);
}

static void sizes_beyond_the_span_are_refused_without_overflow(void **state)
{
	struct quire *q = *state;
	void *first = vtake(q, 1, 0); /* which reserves the span */
	size_t span = vstat_of(q).span_bytes, page = quire_page_bytes(q);
	const size_t sizes[] = { span + 1,
				 span * 2,
				 SIZE_MAX,
				 SIZE_MAX - page,
				 SIZE_MAX - page + 1,
				 SIZE_MAX / 2 + 1,
				 (size_t)1 << 44,
				 ((size_t)1 << 44) + 1,
				 SIZE_MAX - MIB(2) };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		errno = 0;
		assert_null(quire_vmalloc(q, sizes[i], 0));
		if (errno != ENOSPC)
			fail_msg("%#zx bytes: errno %d", sizes[i], errno);
		assert_null(quire_vzalloc(q, sizes[i], 0));
		assert_null(quire_kvmalloc(q, sizes[i], 0));
	}
	assert_u64_eq(vstat_of(q).busy_areas, 1);
	quire_vfree(q, first);
}

static void more_than_the_limit_is_refused_for_memory(void **state)
{
	struct quire *q = *state;

	errno = 0;
	assert_null(quire_vmalloc(q, MIB(300), 0));
	assert_int_equal(errno, ENOMEM);
	assert_u64_eq(vstat_of(q).busy_areas, 0);
}

static void each_alignment_is_met(void **state)
{
	struct quire *q = *state;

	for (size_t align = 1; align <= MIB(64); align *= 2) {
		const struct quire_vmalloc_options options =
			QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = align);
		void *a = quire_vmalloc_with(q, KIB(20), &options);
		void *b = quire_vmalloc_with(q, KIB(12), &options);

		assert_non_null(a);
		assert_non_null(b);
		assert_u64_eq((uintptr_t)a % align, 0);
		assert_u64_eq((uintptr_t)b % align, 0);
		memset(a, 1, KIB(20));
		memset(b, 2, KIB(12));
		quire_vfree(q, a);
		quire_vfree(q, b);
	}
}

/* What was freed last does not hide what fits from a request with an alignment. */
static void an_aligned_area_is_found_below_others(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q), bytes = 5 * page, align = 4 * page;
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = align);
	void *aligned = quire_vmalloc_with(q, bytes, &options), *other[3];
	unsigned nr = 0;

	if (!caches())
		skip_because("without caches there is no stack");
	assert_non_null(aligned);
	while (nr < 3) {
		other[nr] = quire_vmalloc(q, bytes, 0);
		assert_non_null(other[nr]);
		nr += (uintptr_t)other[nr] % align != 0;
	}
	quire_vfree(q, aligned); /* makes the stack keep areas */
	assert_ptr_equal(quire_vmalloc_with(q, bytes, &options), aligned);
	quire_vfree(q, aligned);
	for (unsigned i = 0; i < 3; i++)
		quire_vfree(q, other[i]);
	assert_ptr_equal(quire_vmalloc_with(q, bytes, &options), aligned);
	/* Those above it are where they were. */
	for (unsigned i = 3; i-- != 0;)
		assert_ptr_equal(quire_vmalloc(q, bytes, 0), other[i]);
}

/* Whatever the size, an alignment no hole can meet is refused for want of a hole. */
static void huge_alignments_are_met_or_refused_for_space(void **state)
{
	struct quire *q = *state;

	for (unsigned shift = 28; shift < 64; shift++) {
		const struct quire_vmalloc_options options =
			QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = (size_t)1 << shift);
		void *addr;

		errno = 0;
		addr = quire_vmalloc_with(q, 1, &options);
		if (addr == NULL)
			assert_int_equal(errno, ENOSPC);
		assert_u64_eq((uintptr_t)addr % options.align_bytes, 0);
		quire_vfree(q, addr);
	}
}

static void an_alignment_that_is_no_power_of_two_is_invalid(void **state)
{
	static const size_t wrong[] = { 3, 4095, 4097, 12288, MIB(2) + 1, SIZE_MAX };
	struct quire *q = *state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct quire_vmalloc_options options =
			QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = wrong[i]);

		errno = 0;
		assert_null(quire_vmalloc_with(q, 4096, &options));
		assert_int_equal(errno, EINVAL);
	}
}

static void no_options_mean_all_zero(void **state)
{
	struct quire *q = *state;
	void *addr = quire_vmalloc_with(q, KIB(8), NULL);

	assert_non_null(addr);
	memset(addr, 1, KIB(8));
	quire_vfree(q, addr);
}

/* The window is a part of the span in which nothing is; the guard page needs a page of it. */
static void an_area_lies_in_the_range_asked_for(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q), window = 16 * page;
	struct quire_vmalloc_options options = QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = page);
	char *low = vtake(q, page, 0);

	for (unsigned i = 1; i < 20; i++) {
		char *start = low + i * MIB(1) + i * page, *addr;

		options.start = start;
		options.end = start + window;
		addr = quire_vmalloc_with(q, 4 * page, &options);
		assert_ptr_equal(addr, start); /* the lowest that fits */
		assert_ptr_equal(quire_vmalloc_with(q, window, &options), NULL);
		assert_int_equal(errno, ENOSPC);
		memset(addr, 1, 4 * page);
		quire_vfree(q, addr);
	}
	quire_vfree(q, low);
}

static void a_range_without_room_is_refused_for_space(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);
	char *low = vtake(q, page, 0), on_stack[2];
	const struct quire_vmalloc_options wrong[] = {
		{ .start = low, .end = low + page },			   /* in use */
		{ .start = low + MIB(1), .end = low + MIB(1) },		   /* empty */
		{ .start = low + MIB(1) + 1, .end = low + MIB(1) + page }, /* less than a page */
		{ .start = low + MIB(2), .end = low + MIB(1) },		   /* the wrong way round */
		{ .start = on_stack, .end = on_stack + 2 },		   /* outside the span */
		{ .end = (char *)page },
		{ .start = (char *)(UINTPTR_MAX - page) },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct quire_vmalloc_options options = wrong[i];

		options.struct_bytes = sizeof(options);
		errno = 0;
		assert_null(quire_vmalloc_with(q, page, &options));
		if (errno != ENOSPC && errno != EINVAL)
			fail_msg("range %zu: errno %d", i, errno);
	}
	assert_u64_eq(vstat_of(q).busy_areas, 1);
	quire_vfree(q, low);
}

/* Once the kernel padded such a search by its alignment, and refused what fits exactly. */
static void a_range_that_fits_exactly_is_enough_for_any_alignment(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q), guard = guards() ? page : 0;
	char *low = vtake(q, page, 0);
	char *at = (char *)(((uintptr_t)low + MIB(20)) & ~(uintptr_t)(MIB(4) - 1));
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = MIB(4), .start = at,
					   .end = at + 8 * page + guard);
	void *addr = quire_vmalloc_with(q, 8 * page, &options);

	assert_ptr_equal(addr, at);
	quire_vfree(q, addr);
	quire_vfree(q, low);
}

static void a_node_is_a_hint(void **state)
{
	unsigned zones = vmap_case->options.zones != 0 ? vmap_case->options.zones : 1;
	struct quire *q = *state;

	for (unsigned node = 0; node < zones; node++) {
		void *addr = quire_vmalloc(q, KIB(16), QUIRE_NODE(node));

		assert_non_null(addr);
		quire_vfree(q, addr);
	}
}

/* What is at hand is given whatever the flags, from the second call on (the first reserves). */
static void flags_that_forbid_waiting_are_served_from_what_is_there(void **state)
{
	static const unsigned flags[] = { QUIRE_NOWAIT,
					  QUIRE_ATOMIC,
					  QUIRE_NOLOCK,
					  QUIRE_NORETRY,
					  QUIRE_NOWAIT | QUIRE_ZERO,
					  QUIRE_NOLOCK | QUIRE_ATOMIC };
	struct quire *q = *state;

	quire_vfree(q, vtake(q, KIB(16), 0));
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		void *addr = vtake(q, KIB(16), flags[i]);

		if (flags[i] & QUIRE_ZERO)
			assert_true(reads_as(addr, KIB(16), 0));
		memset(addr, 0x77, KIB(16));
		quire_vfree(q, addr);
	}
}

static void large_areas_begin_where_huge_pages_do(void **state)
{
	struct quire *q = *state;

	if (vmap_case->options.thp != QUIRE_OFF) {
		for (size_t bytes = MIB(2); bytes < MIB(12); bytes += MIB(1) + 4096) {
			void *a = vtake(q, bytes, 0), *b = vtake(q, bytes, 0);

			assert_u64_eq((uintptr_t)a % MIB(2), 0);
			assert_u64_eq((uintptr_t)b % MIB(2), 0);
			quire_vfree(q, a);
			quire_vfree(q, b);
		}
	}
	assert_int_equal(quire_verify(q), 0);
}

static void a_large_area_that_is_used_again_and_cleared_holds_no_memory(void **state)
{
	struct quire *q = *state;
	char *addr = vtake(q, MIB(64), 0);
	uint64_t full;

	skip_if_sanitized();
	memset(addr, 0x77, MIB(64));
	quire_vfree(q, addr);
	full = resident_bytes();
	addr = vtake(q, MIB(64), QUIRE_ZERO);
	if (vmap_case->options.cache != QUIRE_OFF)
		assert_true(resident_bytes() + MIB(60) < full);
	assert_true(reads_as(addr, MIB(64), 0));
	quire_vfree(q, addr);
}

static void free_of_null_does_nothing(void **state)
{
	struct quire *q = *state;

	quire_vfree(q, NULL);
	quire_kvfree(q, NULL);
	assert_u64_eq(vstat_of(q).frees, 0);
}

/* ---- quire_kvmalloc() --------------------------------------------------------------------------- */

static void kvmalloc_takes_small_sizes_from_pages_and_large_ones_as_areas(void **state)
{
	struct quire *q = *state;
	static const size_t sizes[] = { 1,	 4096,	  4097,	       KIB(16),
					KIB(48), KIB(64), KIB(64) + 1, MIB(3) };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t pages = pstat_of(q).allocated_pages;
		char *addr = quire_kvmalloc(q, sizes[i], QUIRE_ZERO);
		bool is_area = sizes[i] > KIB(64);

		assert_non_null(addr);
		assert_true(reads_as(addr, sizes[i], 0));
		assert_u64_eq(vstat_of(q).busy_areas, is_area);
		if (!is_area)
			assert_true(pstat_of(q).allocated_pages > pages);
		assert_ptr_equal(quire_vmalloc_start(q, addr), is_area ? addr : NULL);
		memset(addr, 0x5c, sizes[i]);
		quire_kvfree(q, addr);
		assert_u64_eq(vstat_of(q).busy_areas, 0);
		assert_u64_eq(pstat_of(q).allocated_pages, pages);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(an_area_is_whole_pages_that_can_be_written),
		VMAP_TEST(sizes_are_rounded_up_by_at_most_a_quarter),
		VMAP_TEST(many_areas_lie_apart_and_keep_what_is_written),
		VMAP_TEST(no_bytes_and_unknown_flags_are_invalid),
		VMAP_TEST(sizes_beyond_the_span_are_refused_without_overflow),
		VMAP_TEST(more_than_the_limit_is_refused_for_memory),
		VMAP_TEST(each_alignment_is_met),
		VMAP_TEST(an_aligned_area_is_found_below_others),
		VMAP_TEST(huge_alignments_are_met_or_refused_for_space),
		VMAP_TEST(an_alignment_that_is_no_power_of_two_is_invalid),
		VMAP_TEST(no_options_mean_all_zero),
		VMAP_TEST(an_area_lies_in_the_range_asked_for),
		VMAP_TEST(a_range_without_room_is_refused_for_space),
		VMAP_TEST(a_range_that_fits_exactly_is_enough_for_any_alignment),
		VMAP_TEST(a_node_is_a_hint),
		VMAP_TEST(flags_that_forbid_waiting_are_served_from_what_is_there),
		VMAP_TEST(large_areas_begin_where_huge_pages_do),
		VMAP_TEST(a_large_area_that_is_used_again_and_cleared_holds_no_memory),
		VMAP_TEST(free_of_null_does_nothing),
		VMAP_TEST(kvmalloc_takes_small_sizes_from_pages_and_large_ones_as_areas),
	};

	return VMAP_TESTS_RUN("vmap_alloc", tests);
}
