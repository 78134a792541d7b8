/* SPDX-License-Identifier: MIT */
/*
 * The limit of an instance that was given none, while what the system permits changes.
 *
 * RLIMIT_AS does that in every process: half of it is the limit.  Each test is a child of its own.
 */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "confine.h"
#include "instance/worker.h"
#include "machine/mem.h"
#include "page/pages.h"
#include "vmap/vmap.h"
#include "quire_test.h"

#define BLOCK_ORDER 9u
#define BLOCKS_MAX  256u

static void *block[BLOCKS_MAX];

static void permit(uint64_t limit_bytes)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
	limit.rlim_cur = limit_bytes * 2;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

/* With more than 16 MiB, so the limit is known. */
static struct quire *make(enum quire_worker worker, unsigned blocks_nr)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = worker, .decay_ms = 20);
	struct quire *q = NULL;

	CHECK(quire_create(&options, &q) == 0);
	for (unsigned i = 0; i < blocks_nr; i++) {
		block[i] = quire_alloc_pages(q, BLOCK_ORDER, 0);
		CHECK(block[i] != NULL);
	}
	CHECK(pages_of(q)->limit_known);
	return q;
}

static uint64_t limit_bytes(struct quire *q)
{
	return q->limit_pages << q->page_shift;
}

/* As much later as a second reading is. */
static void pass(struct quire *q)
{
	pages_of(q)->limit_read_ns = 1;
}

/* The worker looks, whenever it did last. */
static void visit(struct quire *q)
{
	q->relief_due_ns = 0;
	CHECK(worker_run(q, 0) != 0);
}

static unsigned take_blocks(struct quire *q, unsigned taken_nr)
{
	while (taken_nr < BLOCKS_MAX &&
	       (block[taken_nr] = quire_alloc_pages(q, BLOCK_ORDER, 0)) != NULL)
		taken_nr++;
	return taken_nr;
}

/* ---- lowered ---- */

static void lowered_and_visited(void *arg)
{
	struct quire *q = make(QUIRE_WORKER_OFF, 32);
	unsigned taken_nr;

	(void)arg;
	permit(MIB(100));
	pass(q);
	visit(q);
	CHECK_VALUES(limit_bytes(q) == MIB(100), limit_bytes(q), 0);
	taken_nr = take_blocks(q, 32);
	CHECK_VALUES(taken_nr >= 48 && taken_nr < 50, taken_nr, 0);
	CHECK(quire_verify(q) == 0);
}

static void the_worker_learns_of_a_lower_limit(void **state)
{
	(void)state;
	expect_life(lowered_and_visited, NULL);
}

/* What is in use stays in use; what is freed is not taken again. */
static void lowered_below_use(void *arg)
{
	struct quire *q = make(QUIRE_WORKER_OFF, 64);

	(void)arg;
	permit(MIB(40));
	pass(q);
	quire_drain_all(q); /* cached pages are in use */
	visit(q);
	CHECK_VALUES(limit_bytes(q) == MIB(128), limit_bytes(q), 0);
	CHECK(quire_alloc_pages(q, BLOCK_ORDER, 0) == NULL);
	for (unsigned i = 0; i < 50; i++)
		quire_free_pages(q, block[i], BLOCK_ORDER);
	quire_drain_all(q);
	visit(q); /* less than a second later */
	CHECK_VALUES(limit_bytes(q) == MIB(40), limit_bytes(q), 0);
	CHECK(take_blocks(q, 0) < 6);
	CHECK(quire_verify(q) == 0);
}

static void what_goes_above_a_lower_limit_is_not_taken_again(void **state)
{
	(void)state;
	expect_life(lowered_below_use, NULL);
}

/* ---- learnt ---- */

static void learns_without_waiting(void *arg)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;

	(void)arg;
	CHECK(quire_create(&options, &q) == 0);
	for (unsigned i = 0; i < 16; i++)
		CHECK(quire_alloc_pages(q, BLOCK_ORDER, i % 2 ? QUIRE_NOWAIT : QUIRE_ATOMIC));
	CHECK(!pages_of(q)->limit_known);
	(void)worker_run(q, 0);
	CHECK(pages_of(q)->limit_known);
}

/* Reading files under a mutex is no work for a caller that may not wait. */
static void callers_that_may_not_wait_leave_it_to_the_worker(void **state)
{
	(void)state;
	expect_life(learns_without_waiting, NULL);
}

static void thread_follows(void *arg)
{
	struct quire *q = make(QUIRE_WORKER_THREAD, 32);
	uint64_t end_ns = await_begin();

	(void)arg;
	permit(MIB(100));
	while (load_relaxed(&q->limit_pages) << q->page_shift != MIB(100) && await_more(end_ns))
		quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
	CHECK_VALUES(limit_bytes(q) == MIB(100), limit_bytes(q), 0);
}

static void the_thread_follows_by_itself(void **state)
{
	(void)state;
	skip_if_sanitized(); /* it needs addresses of its own later */
	expect_life(thread_follows, NULL);
}

/* ---- raised ---- */

static void *take_of(struct quire *q, unsigned what)
{
	if (what == 0)
		return quire_alloc_pages(q, BLOCK_ORDER, 0);
	if (what == 1)
		return quire_vmalloc(q, MIB(2), 0);
	return quire_alloc_percpu(q, KIB(32), 0, 0);
}

/* Of each kind, until none is left; then the limit is raised, and there is more of each. */
static void raised(void *arg)
{
	(void)arg;
	for (unsigned what = 0; what < 3; what++) {
		struct quire *q;

		permit(MIB(100000));
		q = make(QUIRE_WORKER_OFF, 16);
		for (unsigned other = 0; other < 3; other++)
			CHECK(take_of(q, other) != NULL);
		permit(MIB(60));
		pass(q);
		visit(q);
		CHECK_VALUES(limit_bytes(q) == MIB(60), limit_bytes(q), what);
		while (take_of(q, what) != NULL)
			continue;
		permit(MIB(3000));
		pass(q);
		for (unsigned i = 0; i < 8; i++)
			CHECK_VALUES(take_of(q, what) != NULL, what, i);
		CHECK_VALUES(limit_bytes(q) == MIB(3000), limit_bytes(q), what);
		CHECK(quire_verify(q) == 0);
		quire_destroy(q);
	}
}

static void what_a_raised_limit_permits_is_not_refused(void **state)
{
	(void)state;
	skip_if_sanitized(); /* it needs addresses of its own later */
	expect_life(raised, NULL);
}

/* ---- what stays ---- */

static void given_stays(void *arg)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;

	(void)arg;
	CHECK(quire_create(&options, &q) == 0);
	permit(MIB(20));
	visit(q);
	CHECK(take_blocks(q, 0) > 25);
	CHECK_VALUES(limit_bytes(q) == MIB(64), limit_bytes(q), 0);
}

static void a_given_limit_stays(void **state)
{
	(void)state;
	expect_life(given_stays, NULL);
}

/* ---- CPUs ---- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Files of our own in the place of the root's: /proc/self/cgroup says "0::/" where a test is not in a group of
 * version 2, or a path that is not there. */
static void group_says(void *arg)
{
	struct quire *q = make(QUIRE_WORKER_OFF, 32);
	char text[512];

	(void)arg;
	if (!confine_hide("/sys/fs/cgroup"))
		return;
	q->cpus_bound = q->cpus.all_slots_nr;
	write_file("/sys/fs/cgroup/cpu.max", "150000 200000\n");
	write_file("/sys/fs/cgroup/memory.max", "134217728\n");
	pages_of(q)->cpus_read_ns = 0;
	pass(q);
	visit(q);
	CHECK_VALUES(q->cpus_bound == 1, q->cpus_bound, q->cpus_source);
	CHECK_VALUES(limit_bytes(q) == MIB(128), limit_bytes(q), 0);
	CHECK(quire_text_limits(q, text, sizeof(text)) < sizeof(text));
	CHECK(strstr(text, "134217728  memory.max of the cgroup") != NULL);
	if (q->cpus.all_slots_nr > 1)
		CHECK(strstr(text, " 1  cpu.max of the cgroup") != NULL);
	CHECK(vmap_lazy_bytes(q) == MIB(32));
	write_file("/sys/fs/cgroup/memory.high", "104857600\n");
	write_file("/sys/fs/cgroup/cpu.max", "max 100000\n");
	pages_of(q)->cpus_read_ns = 0;
	pass(q);
	quire_text_limits(q, text, sizeof(text));
	CHECK(strstr(text, "104857600  memory.high of the cgroup") != NULL);
	CHECK(strstr(text, "cpu.max") == NULL);
	unlink("/sys/fs/cgroup/memory.max");
	unlink("/sys/fs/cgroup/memory.high");
	pass(q);
	quire_text_limits(q, text, sizeof(text));
	CHECK(strstr(text, "of the cgroup") == NULL);
	permit(MIB(40));
	pass(q);
	quire_text_limits(q, text, sizeof(text));
	CHECK(strstr(text, "  what is in use, above the system's limit") != NULL);
}

static void the_groups_files_say_what_there_is(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip_because("needs a file system of its own");
	expect_life(group_says, NULL);
}

static void on_one_cpu(void *arg)
{
	struct quire *q = make(QUIRE_WORKER_OFF, 32);
	cpu_set_t one;

	(void)arg;
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
	visit(q);
	CHECK_VALUES(q->cpus_bound == 1, q->cpus_bound, q->cpus_source);
}

static void cpus_that_are_not_allowed_do_not_count(void **state)
{
	(void)state;
	expect_life(on_one_cpu, NULL);
}

/* Nothing can be opened, so nothing is known: what was learnt stays. */
static void without_descriptors(void *arg)
{
	struct quire *q = make(QUIRE_WORKER_OFF, 32);

	(void)arg;
	permit(MIB(100));
	pass(q);
	visit(q);
	CHECK_VALUES(limit_bytes(q) == MIB(100), limit_bytes(q), 0);
	confine_limit(RLIMIT_NOFILE, 0);
	permit(MIB(3000));
	pass(q);
	visit(q);
	CHECK_VALUES(limit_bytes(q) == MIB(100), limit_bytes(q), 0);
}

static void without_descriptors_the_limit_stays(void **state)
{
	(void)state;
	expect_life(without_descriptors, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(callers_that_may_not_wait_leave_it_to_the_worker),
		cmocka_unit_test(the_worker_learns_of_a_lower_limit),
		cmocka_unit_test(what_goes_above_a_lower_limit_is_not_taken_again),
		cmocka_unit_test(the_thread_follows_by_itself),
		cmocka_unit_test(what_a_raised_limit_permits_is_not_refused),
		cmocka_unit_test(a_given_limit_stays),
		cmocka_unit_test(without_descriptors_the_limit_stays),
		cmocka_unit_test(the_groups_files_say_what_there_is),
		cmocka_unit_test(cpus_that_are_not_allowed_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
