/* SPDX-License-Identifier: MIT */
/* Giving free memory back: when asked, and by time.  The worker is off, so time passes in
 * quire_poll() only. */
#include "unit/page/page_case.h"

#include <sys/mman.h>
#include <unistd.h>

#include "instance/module.h"
#include "instance/worker.h"
#include "machine/clock.h"

static size_t block_bytes(void)
{
	return (size_t)1 << BLOCK_SHIFT;
}

static bool has_memory(void *addr, size_t bytes)
{
	static unsigned char present[(1u << BLOCK_SHIFT) / 4096];
	size_t n = bytes / (size_t)sysconf(_SC_PAGESIZE);
	bool any = false;

	assert_true(n <= sizeof(present));
	assert_int_equal(mincore(addr, bytes, present), 0);
	for (size_t i = 0; i < n; i++)
		any = any || (present[i] & 1) != 0;
	return any;
}

static struct quire *make_quick(void)
{
	return page_make((struct quire_options){ .decay_ms = 1 });
}

static void destroy(struct quire *q)
{
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* Polls until nothing is due; returns how often something was done, at most @most times. */
static unsigned poll_until_idle(struct quire *q, unsigned most)
{
	unsigned polls = 0;

	for (int due = 0; due != -1 && polls < most; polls++) {
		due = quire_poll(q);
		assert_true(due >= -1);
		if (due > 0)
			usleep((useconds_t)due * 1000);
	}
	return polls;
}

/* Eight dirty blocks, all freed: whole, with memory behind them. */
static char *leave_dirty_blocks(struct quire *q)
{
	unsigned order = pages_of(q)->pageblock_order;
	char *blocks[8];

	for (unsigned i = 0; i < 8; i++) {
		blocks[i] = quire_alloc_pages(q, order, 0);
		assert_non_null(blocks[i]);
		memset(blocks[i], 0xa5, block_bytes());
	}
	for (unsigned i = 0; i < 8; i++)
		quire_free_pages(q, blocks[i], order);
	return blocks[0];
}

/* ---- when asked ------------------------------------------------------------------------------ */

static void release_gives_back_everything_free(void **state)
{
	struct quire *q = *state;
	char *addr = leave_dirty_blocks(q);

	assert_true(quire_release(q) >= 8 * block_bytes());
	assert_false(has_memory(addr, block_bytes()));
	assert_u64_eq(stat_of(q).reported_pages, stat_of(q).free_pages);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	assert_true(stat_of(q).reported_total_pages >= 8u << pages_of(q)->pageblock_order);
	assert_u64_eq(quire_release(q), 0);
}

static void release_takes_whole_blocks_offline(void **state)
{
	struct quire *q = *state;

	leave_dirty_blocks(q);
	quire_release(q);
	assert_u64_eq(stat_of(q).online_pages, 0);
}

static void release_lowers_the_resident_size(void **state)
{
	struct quire *q = *state;
	uint64_t before;

	leave_dirty_blocks(q);
	before = resident_bytes();
	quire_release(q);
	assert_true(resident_bytes() + 7 * block_bytes() < before);
}

static void a_released_instance_goes_on(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);

	for (unsigned i = 0; i < 5; i++) {
		char *addr = quire_alloc_pages(q, p->pageblock_order, QUIRE_ZERO);

		assert_true(reads_as(addr, block_bytes(), 0));
		memset(addr, 0xa5, block_bytes());
		quire_free_pages(q, addr, p->pageblock_order);
		assert_true(quire_release(q) >= block_bytes());
		assert_int_equal(quire_verify(q), 0);
	}
}

/* The block stays, and so does what is in use of it. */
static void the_free_pages_of_a_block_in_use_go_back(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = take_block_as_pages(q, 0);
	size_t page = quire_page_bytes(q);

	memset(addr, 'x', block_bytes());
	for (uint32_t i = 0; i < block_pages(p); i++)
		if (i % 4 != 0)
			quire_free_pages(q, page_after(q, addr, i), 0);
	assert_u64_eq(quire_release(q), block_bytes() / 4 * 3);
	for (uint32_t i = 0; i < block_pages(p); i += 4) {
		assert_true(reads_as(page_after(q, addr, i), page, 'x'));
		assert_false(has_memory(page_after(q, addr, i + 1), 3 * page));
	}
}

static void pages_given_back_read_zero_without_clearing(void **state)
{
	struct quire *q = *state;
	char *addr = take_block_as_pages(q, 0), *again;

	quire_pcp_disable(q);
	memset(addr, 'x', block_bytes());
	quire_free_pages(q, page_after(q, addr, 1), 0);
	quire_release(q);
	again = quire_alloc_pages(q, 0, QUIRE_ZERO);
	assert_ptr_equal(again, page_after(q, addr, 1));
	/* Nobody wrote zeroes: there is still no memory. */
	assert_false(has_memory(again, quire_page_bytes(q)));
	assert_true(reads_as(again, quire_page_bytes(q), 0));
}

/* A run that lost its zeroes by merging with a dirty one is found again. */
static void a_clean_run_merged_with_a_dirty_one_goes_back(void **state)
{
	struct quire *q = *state;
	unsigned order = pages_of(q)->pageblock_order;
	char *a, *b;

	quire_pcp_disable(q);
	a = quire_alloc_pages(q, order, 0);
	b = quire_alloc_pages(q, order, 0);
	assert_u64_eq(block_at(q, a) ^ block_at(q, b), 1);
	assert_non_null(quire_alloc_pages(q, QUIRE_ORDER_MAX, 0)); /* others that are clean */
	memset(a, 'x', block_bytes());
	quire_free_pages(q, a, order);
	/* b never had memory, but its state does not say so once it was handed out. */
	quire_free_pages(q, b, order);
	quire_release(q);
	assert_u64_eq(stat_of(q).reported_pages, stat_of(q).free_pages);
	assert_false(has_memory(a, block_bytes()));
}

static void a_reserved_block_goes_back_too(void **state)
{
	struct quire *q = *state;
	char *addr = quire_alloc_pages(q, 3, QUIRE_ATOMIC | QUIRE_NODE(0));

	assert_true(tag_at(q, addr) & TAG_HIGHATOMIC);
	memset(addr, 'x', quire_page_bytes(q) * 8);
	quire_free_pages(q, addr, 3);
	quire_release(q);
	assert_u64_eq(stat_of(q).reported_pages, stat_of(q).free_pages);
	assert_false(has_memory(addr, quire_page_bytes(q)));
}

/* More blocks than are looked at in one hold of the zone lock, and nothing to give in the first. */
static void no_block_of_a_large_zone_is_passed_over(void **state)
{
	struct quire *q = page_make((struct quire_options){ .zones = 1, .limit_bytes = MIB(1280) });
	struct pages *p = pages_of(q);

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		assert_non_null(quire_alloc_pages(q, p->pageblock_order, 0));
	for (unsigned i = 0; i < 8; i++) {
		char *addr = take_block_as_pages(q, 0);

		for (uint32_t page = 1; page < block_pages(p); page += 2)
			quire_free_pages(q, page_after(q, addr, page), 0);
	}
	quire_release(q);
	assert_u64_eq(stat_of(q).reported_pages, stat_of(q).free_pages);
	destroy(q);
}

/* ---- by time --------------------------------------------------------------------------------- */

static void nothing_is_due_in_a_fresh_instance(void **state)
{
	struct quire *q = *state;

	assert_int_equal(quire_poll(q), -1);
	assert_u64_eq(stat_of(q).reports, 0);
}

static void a_free_makes_a_visit_due_one_decay_later(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint64_t before_ns = clock_now_ns(), due_ns, now_ns;
	int due_ms;

	quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
	due_ns = load_relaxed(&q->work.due_ns);
	assert_in_range(due_ns, before_ns + p->decay_ns, clock_now_ns() + p->decay_ns);
	due_ms = quire_poll(q);
	now_ns = clock_now_ns();
	if (now_ns < due_ns) { /* a second: it has passed where the machine stands still */
		assert_in_range(due_ms, (due_ns - now_ns) / 1000000, 1001);
		assert_u64_eq(stat_of(q).reports, 0);
	}
}

/* As if something had become due while the visit ran. */
static uint64_t due_at_once(struct quire_module *module, uint64_t now_ns)
{
	(void)module;
	return now_ns;
}

static void what_is_due_already_is_said_by_zero(void **state)
{
	struct quire_module module = { .rank = 0, .tick = due_at_once };
	struct quire *q = *state;

	mutex_acquire(&q->modules_mutex);
	module_register_locked(q, &module);
	mutex_release(&q->modules_mutex);
	assert_int_equal(quire_poll(q), -1);
	worker_kick(q, 0);
	assert_int_equal(quire_poll(q), 0);
	assert_int_equal(quire_poll(q), 0);
	module.tick = NULL;
	assert_int_equal(quire_poll(q), -1);
	q->modules = module.next;
	q->modules->above = NULL;
}

static void an_idle_instance_gives_back_everything(void **state)
{
	struct quire *q = make_quick();
	char *addr = leave_dirty_blocks(q);

	(void)state;
	assert_true(poll_until_idle(q, 1000) < 100);
	assert_false(has_memory(addr, block_bytes()));
	assert_u64_eq(stat_of(q).cached_pages, 0);
	assert_u64_eq(stat_of(q).reported_pages, stat_of(q).free_pages);
	destroy(q);
}

static void an_idle_instance_gives_back_pieces(void **state)
{
	struct quire *q = make_quick();
	struct pages *p = pages_of(q);
	char *addr = take_block_as_pages(q, 0);

	(void)state;
	memset(addr, 'x', block_bytes());
	for (uint32_t i = 1; i < block_pages(p); i += 2)
		quire_free_pages(q, page_after(q, addr, i), 0);
	assert_true(poll_until_idle(q, 1000) < 100);
	assert_u64_eq(stat_of(q).reported_pages, stat_of(q).free_pages);
	for (uint32_t i = 0; i < block_pages(p); i += 2)
		assert_true(reads_as(page_after(q, addr, i), quire_page_bytes(q), 'x'));
	destroy(q);
}

static void after_the_last_visit_a_free_makes_one_due_again(void **state)
{
	struct quire *q = make_quick();
	void *addr = quire_alloc_pages(q, 0, 0);

	(void)state;
	assert_true(poll_until_idle(q, 1000) < 100);
	assert_int_equal(quire_poll(q), -1);
	quire_free_pages(q, addr, 0);
	assert_int_not_equal(quire_poll(q), -1);
	assert_true(poll_until_idle(q, 1000) < 100);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	destroy(q);
}

/* A visit at a time that the test names. */
static void visit(struct quire *q)
{
	giveback_visit(pages_of(q), 0);
}

static void whole_blocks_wait_a_full_turn(void **state)
{
	struct quire *q = *state;

	quire_pcp_disable(q);
	visit(q);
	leave_dirty_blocks(q);
	assert_u64_eq(stat_of(q).reported_total_pages, 0);
	visit(q);
	visit(q);
	assert_true(stat_of(q).reported_total_pages >= 8u << pages_of(q)->pageblock_order);
}

/* Something is always going on, so parts of blocks in use stay as they are. */
static void pieces_stay_while_the_instance_is_busy(void **state)
{
	struct quire *q = *state;
	char *addr = take_block_as_pages(q, 0);

	memset(addr, 'x', block_bytes());
	for (uint32_t i = 1; i < block_pages(pages_of(q)); i += 2)
		quire_free_pages(q, page_after(q, addr, i), 0);
	quire_pcp_disable(q);
	for (unsigned i = 0; i < 5; i++) {
		quire_free_pages(q, quire_alloc_pages(q, 6, 0), 6);
		visit(q);
	}
	assert_true(has_memory(page_after(q, addr, 1), quire_page_bytes(q)));
}

/* Each turn takes what was given back into use again. */
static void the_delay_doubles_while_what_went_back_is_reused(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint64_t base = p->decay_ns;

	quire_pcp_disable(q);
	for (unsigned i = 0; i < 40; i++) {
		leave_dirty_blocks(q);
		visit(q);
	}
	assert_true(stat_of(q).reused_pages != 0);
	assert_true(p->decay_ns > base);
	assert_true(p->decay_ns <= UINT64_C(60000000000));
}

static void the_delay_returns_when_nothing_is_reused(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint64_t base = q->decay_base_ns;

	p->decay_ns = base * 32;
	for (unsigned i = 0; i < 10; i++)
		visit(q);
	assert_u64_eq(p->decay_ns, base);
}

static void reporting_may_be_off(void **state)
{
	struct quire *q = page_make((struct quire_options){ .decay_ms = 1, .report = QUIRE_OFF });
	char *addr = leave_dirty_blocks(q);

	(void)state;
	usleep(2000);
	assert_int_equal(quire_poll(q), -1);
	assert_u64_eq(stat_of(q).reports, 0);
	assert_true(has_memory(addr, block_bytes()));
	assert_true(quire_release(q) >= 8 * block_bytes());
	destroy(q);
}

static void an_inline_worker_works_in_the_callers(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .decay_ms = 1, .worker = QUIRE_WORKER_INLINE });
	uint64_t end_ns = await_begin();

	(void)state;
	leave_dirty_blocks(q);
	while (stat_of(q).reports == 0 && await_more(end_ns))
		quire_free_pages(q, quire_alloc_pages(q, 6, 0), 6);
	assert_true(stat_of(q).reports != 0);
	destroy(q);
}

/*
 * A stack that was emptied since the last visit is warm, though nothing is cached, and takes what is
 * freed next without telling anybody.  So the worker has to come once more before it rests.
 */
static void the_worker_rests_only_when_a_free_would_tell(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	unsigned order = p->pageblock_order;
	void *runs[2];
	uint64_t now_ns = UINT64_C(1) << 60, due_ns = 0; /* after all that is due */

	for (unsigned i = 0; i < 2; i++)
		assert_non_null(runs[i] = quire_alloc_pages(q, order, 0));
	for (unsigned i = 0; i < 2; i++)
		quire_free_pages(q, runs[i], order);
	(void)worker_run(q, now_ns);
	for (unsigned i = 0; i < 2; i++)
		assert_non_null(runs[i] = quire_alloc_pages(q, order, 0));
	for (unsigned i = 0; i < 100 && due_ns < WORK_EXIT; i++)
		due_ns = worker_run(q, now_ns += p->decay_ns);
	assert_true(due_ns >= WORK_EXIT);
	assert_true(p->giveback_due_ns == WORK_IDLE);
	for (unsigned i = 0; i < 2; i++)
		quire_free_pages(q, runs[i], order);
	assert_true(p->giveback_due_ns != WORK_IDLE);
}

static void do_nothing(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
}

static void a_worker_thread_works_by_itself_and_ends(void **state)
{
	struct quire *q =
		page_make((struct quire_options){ .decay_ms = 1, .worker = QUIRE_WORKER_THREAD });
	uint64_t end_ns;
	size_t threads;
	char *addr;

	(void)state;
	team_run(1, do_nothing, NULL); /* a sanitizer may start its own with the first one */
	threads = count_threads();
	addr = leave_dirty_blocks(q);
	end_ns = await_begin();
	while (has_memory(addr, block_bytes()) && await_more(end_ns))
		;
	assert_false(has_memory(addr, block_bytes()));
	end_ns = await_begin();
	while (count_threads() > threads && await_more(end_ns))
		;
	assert_u64_eq(count_threads(), threads);
	destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(release_gives_back_everything_free),
		PAGE_TEST(release_takes_whole_blocks_offline),
		PAGE_TEST(release_lowers_the_resident_size),
		PAGE_TEST(a_released_instance_goes_on),
		PAGE_TEST(the_free_pages_of_a_block_in_use_go_back),
		PAGE_TEST(pages_given_back_read_zero_without_clearing),
		PAGE_TEST(a_clean_run_merged_with_a_dirty_one_goes_back),
		PAGE_TEST(a_reserved_block_goes_back_too),
		PAGE_TEST(no_block_of_a_large_zone_is_passed_over),
		PAGE_TEST(nothing_is_due_in_a_fresh_instance),
		PAGE_TEST(a_free_makes_a_visit_due_one_decay_later),
		PAGE_TEST(what_is_due_already_is_said_by_zero),
		PAGE_TEST(an_idle_instance_gives_back_everything),
		PAGE_TEST(an_idle_instance_gives_back_pieces),
		PAGE_TEST(after_the_last_visit_a_free_makes_one_due_again),
		PAGE_TEST(whole_blocks_wait_a_full_turn),
		PAGE_TEST(pieces_stay_while_the_instance_is_busy),
		PAGE_TEST(the_delay_doubles_while_what_went_back_is_reused),
		PAGE_TEST(the_delay_returns_when_nothing_is_reused),
		PAGE_TEST(reporting_may_be_off),
		PAGE_TEST(an_inline_worker_works_in_the_callers),
		PAGE_TEST(the_worker_rests_only_when_a_free_would_tell),
		PAGE_TEST(a_worker_thread_works_by_itself_and_ends),
	};

	return PAGE_TESTS_RUN("page_giveback", tests);
}
