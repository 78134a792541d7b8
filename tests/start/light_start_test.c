/* SPDX-License-Identifier: MIT */
/*
 * What an instance costs that is hardly used: system calls and memory for 30 pages of three types.
 *
 * Each is measured in a child, a fork of this program, which makes no instance itself: so nothing that a
 * process asks once is known yet.  Huge pages are off where memory is measured.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "calls.h"
#include "confine.h"
#include "instance/instance.h"
#include "machine/mem.h"
#include "page/pages.h"
#include "quire_test.h"

#define PAGES_A_TYPE 10u

/* What the default instance costs with 30 pages, which are included: 120 KiB.  Where the program lies decides whether the kernel
 * maps 64 KiB more of it around the pages that are read. */
#define CALLS_MAX	 16u /* one asks for /etc/quire.conf */
#define RSS_KIB_MAX	 464u
/* What a first area costs in addition, and a first per-CPU object. */
#define AREA_CALLS_MAX	 48u
#define OBJECT_CALLS_MAX 30u

#define REFUSED 10

static void take_pages(struct quire *q)
{
	static const unsigned types[] = { 0, QUIRE_MOVABLE, QUIRE_RECLAIMABLE };

	for (unsigned i = 0; i < 3 * PAGES_A_TYPE; i++) {
		char *page = q == NULL ? NULL : quire_alloc_pages(q, 0, types[i / PAGES_A_TYPE]);

		if (page == NULL)
			_exit(REFUSED);
		*page = 1;
	}
}

static struct quire *make_another(void)
{
	struct quire *q = NULL;

	return quire_create(NULL, &q) == 0 ? q : NULL;
}

/* ---- system calls ---- */

static void use_default(void *arg)
{
	(void)arg;
	calls_mark();
	take_pages(quire_default());
	calls_mark();
}

static void use_another(void *arg)
{
	(void)arg;
	calls_mark();
	take_pages(make_another());
	calls_mark();
}

static void use_two(void *arg)
{
	(void)arg;
	take_pages(quire_default());
	calls_mark();
	take_pages(make_another());
	calls_mark();
}

static void use_area(void *arg)
{
	struct quire *q = make_another();

	(void)arg;
	take_pages(q);
	calls_mark();
	if (quire_vmalloc(q, 4096, 0) == NULL)
		_exit(REFUSED);
	calls_mark();
}

static void use_object(void *arg)
{
	struct quire *q = make_another();

	(void)arg;
	take_pages(q);
	calls_mark();
	if (quire_alloc_percpu(q, 64, 0, 0) == NULL)
		_exit(REFUSED);
	calls_mark();
}

static unsigned count(void (*body)(void *arg))
{
	struct calls calls;

	if (!calls_count(body, NULL, &calls))
		skip_because("no process may be traced here");
	assert_int_equal(calls.status, 0);
	print_message("%u system calls:", calls.nr);
	for (unsigned i = 0; i < calls.nr && i < CALLS_KEPT; i++)
		print_message(" %llu", (unsigned long long)calls.list[i]);
	print_message("\n");
	return calls.nr;
}

static void creating_and_using_thirty_pages_costs_few_system_calls(void **state)
{
	(void)state;
	skip_if_sanitized();
	assert_in_range(count(use_default), 1, CALLS_MAX);
	assert_in_range(count(use_another), 1, CALLS_MAX);
}

static void a_second_instance_asks_nothing_that_a_process_asks_once(void **state)
{
	(void)state;
	skip_if_sanitized();
	assert_true(count(use_two) < count(use_another));
}

static void a_first_area_and_object_cost_a_bounded_number_of_system_calls(void **state)
{
	(void)state;
	skip_if_sanitized();
	assert_in_range(count(use_area), 1, AREA_CALLS_MAX);
	assert_in_range(count(use_object), 1, OBJECT_CALLS_MAX);
}

/* ---- names ---- */

static void make_without_names(void *arg)
{
	/* A thread has a name too. */
	const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;

	(void)arg;
	confine_deny_counted(SYS_prctl, EINVAL);
	for (unsigned i = 0; i < 2; i++) {
		if (quire_create(&options, &q) != 0)
			_exit(REFUSED);
		take_pages(q);
	}
	if (confine_denied_nr() != 1) {
		fprintf(stderr, "%llu names\n", (unsigned long long)confine_denied_nr());
		_exit(REFUSED);
	}
}

static void names_are_given_up_after_one_refusal(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(make_without_names, NULL);
}

/* ---- the worker ---- */

static void make_first(struct quire **q)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.decay_ms = 1);

	if (quire_create(&options, q) != 0 || count_threads() != 1)
		_exit(REFUSED);
}

static void *take_area(struct quire *q, size_t bytes)
{
	char *area = quire_vmalloc(q, bytes, 0);

	if (area == NULL)
		_exit(REFUSED);
	*area = 1;
	return area;
}

static void check_threads(size_t wanted)
{
	if (count_threads() == wanted)
		return;
	fprintf(stderr, "%zu threads, not %zu\n", count_threads(), wanted);
	_exit(REFUSED);
}

/* What is freed below the amount goes back when somebody calls, and no thread is needed. */
static void use_first_areas(void *arg)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;
	uint64_t end_ns = await_begin();
	struct quire *q;

	(void)arg;
	make_first(&q);
	for (unsigned i = 0; i < 8; i++)
		quire_vfree(q, take_area(q, 64 << 10));
	do {
		quire_poll(q);
		quire_vmap_stat_read(q, &stat);
	} while (stat.cached_bytes != 0 && await_more(end_ns));
	check_threads(1);
	if (stat.cached_bytes != 0)
		_exit(REFUSED);
	take_area(q, 2 << 20); /* 2 MiB and their guard are worth a thread */
	check_threads(2);
}

static void *take_object(struct quire *q, size_t bytes)
{
	void *object = quire_alloc_percpu(q, bytes, 0, 0);

	if (object == NULL)
		_exit(REFUSED);
	return object;
}

/* The reserve for callers that may not wait is there without a thread; once it is used, one comes. */
static void use_first_objects(void *arg)
{
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;
	unsigned objects = 0;
	struct quire *q;

	(void)arg;
	make_first(&q);
	for (unsigned i = 0; i < 64; i++)
		quire_free_percpu(q, take_object(q, 64));
	quire_percpu_stat_read(q, &stat);
	check_threads(1);
	while (objects < 4096 && quire_alloc_percpu(q, 512, 0, QUIRE_ATOMIC) != NULL)
		objects++;
	if (stat.empty_pages < 4 || objects < 4 * quire_page_bytes(q) / 512)
		_exit(REFUSED);
	take_object(q, 512);
	check_threads(2);
}

static void first_areas_and_objects_start_no_thread(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(use_first_areas, NULL);
	expect_life(use_first_objects, NULL);
}

/* ---- the limit ---- */

/* Files are read once there is more than 16 MiB, or when somebody asks. */
static void learn_by_use(void *arg)
{
	struct quire *q = make_another();

	(void)arg;
	if (q == NULL || pages_of(q)->limit_known)
		_exit(REFUSED);
	for (unsigned i = 0; i < 8; i++)
		if (quire_alloc_pages(q, 9, 0) == NULL || pages_of(q)->limit_known)
			_exit(REFUSED);
	if (quire_alloc_pages(q, 10, 0) == NULL || !pages_of(q)->limit_known)
		_exit(REFUSED);
	if (q->limit_pages != mem_limit_read().bytes >> q->page_shift || quire_verify(q) != 0)
		_exit(REFUSED);
}

static void learn_by_asking(void *arg)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	struct quire *q = make_another();

	(void)arg;
	if (q == NULL || quire_page_stat_read(q, &stat) != 0 || !pages_of(q)->limit_known ||
	    stat.limit_pages != mem_limit_read().bytes >> q->page_shift)
		_exit(REFUSED);
}

static void the_limit_is_learnt_when_it_matters(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(learn_by_use, NULL);
	expect_life(learn_by_asking, NULL);
}

/* A cgroup that permits less than the machine has. */
static void a_limit_of_the_cgroup_holds(void **state)
{
	struct memory_group group;
	struct quire *q = NULL;
	unsigned taken = 0;

	(void)state;
	skip_if_sanitized();
	if (!memory_group_enter(&group))
		skip_because("no memory cgroup of our own");
	if (memory_group_limit(&group, (uint64_t)300 << 20)) {
		q = make_another();
		while (q != NULL && taken < 1000 && quire_alloc_pages(q, 9, 0) != NULL)
			taken++;
	}
	memory_group_limit(&group, 0);
	memory_group_leave(&group);
	assert_in_range(taken, 100, 150);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* ---- fences ---- */

/* Linux 5.10 has both kinds; a filter may know only one. */
static void fences_of_one_cpu_are_refused(void *arg)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = 64 << 20);
	struct quire *q = NULL;
	bool had;

	(void)arg;
	if (quire_create(&options, &q) != 0)
		_exit(REFUSED);
	had = q->cpus.slots_nr != 0;
	confine_deny_argument(SYS_membarrier, 1, 1, EINVAL);
	if (quire_create(&options, &q) != 0 || (q->cpus.slots_nr != 0) != had)
		_exit(REFUSED);
	options.zones = 2; /* so that slots are CPUs */
	if (quire_create(&options, &q) != 0 || q->cpus.slots_nr != 0)
		_exit(REFUSED);
	take_pages(q);
	if (quire_verify(q) != 0)
		_exit(REFUSED);
}

static void a_fence_of_one_cpu_is_asked_for_where_slots_are_cpus(void **state)
{
	(void)state;
	expect_life(fences_of_one_cpu_are_refused, NULL);
}

/* ---- memory ---- */

/* Of this process, exactly: the counts in statm are those of each CPU's last batch. */
static unsigned long rss_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	unsigned long kib = 0;
	char line[256];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Rss: %lu kB", &kib) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kib;
}

static void use_little(void *arg)
{
	unsigned long before, after;

	(void)arg;
	setenv("QUIRE_CONF", "thp:off", 1);
	rss_kib(); /* what libc needs for it is there then */
	before = rss_kib();
	take_pages(quire_default());
	after = rss_kib();
	if (before == 0 || after - before > RSS_KIB_MAX) {
		fprintf(stderr, "%lu KiB before, %lu after\n", before, after);
		_exit(REFUSED);
	}
}

static void thirty_pages_in_use_hold_little_memory(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(use_little, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creating_and_using_thirty_pages_costs_few_system_calls),
		cmocka_unit_test(a_second_instance_asks_nothing_that_a_process_asks_once),
		cmocka_unit_test(a_first_area_and_object_cost_a_bounded_number_of_system_calls),
		cmocka_unit_test(first_areas_and_objects_start_no_thread),
		cmocka_unit_test(names_are_given_up_after_one_refusal),
		cmocka_unit_test(the_limit_is_learnt_when_it_matters),
		cmocka_unit_test(a_limit_of_the_cgroup_holds),
		cmocka_unit_test(a_fence_of_one_cpu_is_asked_for_where_slots_are_cpus),
		cmocka_unit_test(thirty_pages_in_use_hold_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
