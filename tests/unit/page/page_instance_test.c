/* SPDX-License-Identifier: MIT */
/* Making and destroying instances, and what an instance is made for. */
#include "unit/page/page_case.h"

#include <sys/resource.h>
#include <unistd.h>

/* Sanitizers map memory of their own as a program goes on. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

static size_t maps_slack(void)
{
	return __asan_init != NULL || __tsan_init != NULL ? 1000 : 0; /* theirs: a few a thread */
}

static void use(struct quire *q)
{
	void *pages[100] = { NULL };

	for (unsigned i = 0; i < 100; i++) {
		pages[i] = quire_alloc_pages(q, i % 5, i % 3);
		assert_non_null(pages[i]);
		memset(pages[i], 1, 64);
	}
	for (unsigned i = 0; i < 100; i++)
		quire_free_pages(q, pages[i], i % 5);
}

static void nothing_is_left_of_a_hundred_instances(void **state)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_THREAD,
				   .decay_ms = 1);
	size_t maps = 0, fds = 0, threads = 0;

	(void)state;
	for (unsigned i = 0; i <= 100; i++) {
		struct quire *q = page_make(options);

		use(q);
		quire_release(q);
		use(q);
		quire_destroy(q);
		if (i == 0) {
			maps = count_maps();
			fds = count_fds();
			threads = count_threads();
		}
	}
	assert_true(count_maps() <= maps + maps_slack());
	assert_u64_eq(count_fds(), fds);
	/* One that was joined during the warm-up may have been counted while it ended. */
	assert_true(count_threads() <= threads);
}

static void instances_know_their_own_pages_only(void **state)
{
	struct quire *a = *state, *b = page_make((struct quire_options){ .limit_bytes = 0 });
	char *page_a = quire_alloc_pages(a, 0, 0), *page_b = quire_alloc_pages(b, 0, 0);

	assert_ptr_equal(quire_page_address(a, page_a), page_a);
	assert_null(quire_page_address(a, page_b));
	assert_null(quire_page_address(b, page_a));
	assert_int_equal(quire_block_order(b, page_a), -EINVAL);
	quire_destroy(b);
	memset(page_a, 1, quire_page_bytes(a));
	quire_free_pages(a, page_a, 0);
}

static void destroying_nothing_does_nothing(void **state)
{
	size_t fds = count_fds();

	(void)state;
	quire_destroy(NULL);
	assert_u64_eq(count_fds(), fds);
}

/* The pages of the limit, spread over the zones as evenly as can be; the blocks are whole. */
static void a_limit_is_what_was_said_in_every_zone(void **state)
{
	const uint64_t limits[] = { MIB(2), MIB(2) + 1, MIB(5), MIB(5) + 65536 * 3, MIB(63) };

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct quire *q = page_make((struct quire_options){ .limit_bytes = limits[i] });
		uint64_t pages = limits[i] >> page_case->page_shift, sum = 0;

		assert_u64_eq(stat_of(q).limit_pages, pages);
		for (unsigned z = 0; z < pages_of(q)->zones_nr; z++) {
			const struct zone *zone = &pages_of(q)->zone[z];

			sum += zone->managed_pages;
			assert_in_range(zone->managed_pages, pages / pages_of(q)->zones_nr,
					pages / pages_of(q)->zones_nr + 1);
			assert_true(zone->managed_pages <= (uint64_t)zone->blocks_nr
								   << pages_of(q)->pageblock_order);
			assert_u64_eq(zone->blocks_nr % 2, 0);
		}
		assert_u64_eq(sum, pages);
		quire_destroy(q);
	}
}

static void the_geometry_follows_the_page_size(void **state)
{
	struct quire *q = *state;
	struct quire_page_stat stat = stat_of(q);

	assert_u64_eq(quire_page_bytes(q), (uint64_t)1 << page_case->page_shift);
	assert_u64_eq(stat.page_shift, page_case->page_shift);
	assert_u64_eq(stat.pageblock_order, 21 - page_case->page_shift);
	assert_u64_eq(stat.zones_nr, page_case->zones);
	assert_u64_eq((uintptr_t)pages_of(q)->base % (quire_page_bytes(q) << QUIRE_ORDER_MAX), 0);
}

static void sequences_can_be_switched_off(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	if (page_case->rseq == QUIRE_OFF)
		assert_u64_eq(p->stacks.cpu.slots_nr, 0);
	assert_true(p->stacks.cpu.slots_nr <= p->stacks.cpu.all_slots_nr);
	assert_u64_eq(quire_slots(q), p->stacks.cpu.all_slots_nr);
}

static void fewer_cpus_mean_fewer_lists(void **state)
{
	struct quire *q = page_make((struct quire_options){ .slots = 1 });

	(void)state;
	assert_u64_eq(quire_slots(q), 1);
	use(q);
	assert_u64_eq(quire_drain_slot(q, 1), 0);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void the_current_cpu_is_one_of_the_possible(void **state)
{
	(void)state;
	assert_true(quire_cpu() < process_cpus_possible());
}

static void options_out_of_range_are_invalid(void **state)
{
	const struct quire_options wrong[] = {
		{ .zones = 9 },
		{ .page_shift = 11 },
		{ .page_shift = 17 },
		{ .limit_bytes = 1 },
		{ .limit_bytes = UINT64_MAX },
		{ .slots = UINT32_MAX },
		{ .decay_ms = UINT32_MAX },
		{ .isolated = "none" },
		{ .thp = (enum quire_switch)4 },
		{ .worker = (enum quire_worker)4 },
	};
	struct quire *q = *state;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct quire_options options = wrong[i];

		options.struct_bytes = sizeof(options);
		assert_int_equal(quire_create(&options, &q), -EINVAL);
		assert_ptr_equal(q, *state);
	}
}

static void every_default_is_usable(void **state)
{
	struct quire *q = NULL;

	(void)state;
	assert_int_equal(quire_create(NULL, &q), 0);
	use(q);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void the_default_instance_is_made_once(void **state)
{
	struct quire *q = quire_default();

	(void)state;
	assert_non_null(q);
	assert_ptr_equal(quire_default(), q);
	use(q);
	quire_release(q);
}

static void only_its_own_end_ends_the_default_instance(void **state)
{
	struct quire *before = quire_default(), *other = NULL;

	(void)state;
	assert_int_equal(quire_create(NULL, &other), 0);
	quire_destroy(other);
	assert_ptr_equal(quire_default(), before);
	quire_destroy(before);
	use(quire_default()); /* a new one */
	quire_release(quire_default());
}

/* In a child of the test: little address space is left, so the limit is halved until it fits. */
static void create_with_little_address_space(void *arg)
{
	const struct quire_options *options = arg;
	struct rlimit limit = { .rlim_cur = 0 };
	struct quire *q = NULL;
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (file == NULL || fscanf(file, "%lu", &pages) != 1)
		_exit(1);
	fclose(file);
	/* What the parent's instances reserved counts too. */
	limit.rlim_cur = (rlim_t)(2 * pages * 4096 + MIB(256));
	limit.rlim_max = limit.rlim_cur;
	if (setrlimit(RLIMIT_AS, &limit) != 0 || quire_create(options, &q) != 0)
		_exit(2);
	if (quire_alloc_pages(q, 3, 0) == NULL || quire_verify(q) != 0)
		_exit(3);
	if ((uint64_t)pages_of(q)->blocks_nr << BLOCK_SHIFT >= limit.rlim_cur / 2)
		_exit(4);
}

static void a_limit_is_halved_until_its_addresses_are_granted(void **state)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(1024) * 64,
				   .page_shift = page_case->page_shift, .zones = page_case->zones,
				   .rseq = page_case->rseq, .worker = QUIRE_WORKER_OFF);

	(void)state;
	expect_life(create_with_little_address_space, &options);
}

static void names_show_in_the_map_of_the_process(void **state)
{
	static char line[512];
	FILE *file;
	unsigned named = 0, anonymous = 0;

	use(*state);
	file = fopen("/proc/self/maps", "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		named += strstr(line, "[anon:quire-pages]") != NULL;
		anonymous += strstr(line, "[anon:") != NULL;
	}
	fclose(file);
	/* Kernels without CONFIG_ANON_VMA_NAME show no such names at all. */
	assert_true(named != 0 || anonymous == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(nothing_is_left_of_a_hundred_instances),
		PAGE_TEST(instances_know_their_own_pages_only),
		PAGE_TEST(destroying_nothing_does_nothing),
		PAGE_TEST(a_limit_is_what_was_said_in_every_zone),
		PAGE_TEST(the_geometry_follows_the_page_size),
		PAGE_TEST(sequences_can_be_switched_off),
		PAGE_TEST(fewer_cpus_mean_fewer_lists),
		PAGE_TEST(the_current_cpu_is_one_of_the_possible),
		PAGE_TEST(options_out_of_range_are_invalid),
		PAGE_TEST(every_default_is_usable),
		PAGE_TEST(the_default_instance_is_made_once),
		PAGE_TEST(only_its_own_end_ends_the_default_instance),
		PAGE_TEST(a_limit_is_halved_until_its_addresses_are_granted),
		PAGE_TEST(names_show_in_the_map_of_the_process),
	};

	return PAGE_TESTS_RUN("page_instance", tests);
}
