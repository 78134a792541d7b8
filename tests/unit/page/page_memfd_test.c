/* SPDX-License-Identifier: MIT */
/*
 * What backing:memfd adds to the page allocator: frames that a child of fork does not have, and memory
 * that goes back through holes in a file.  All other tests of pages run with it as well.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "machine/mem.h"
#include "page/charge.h"
#include "page/pages.h"
#include "quire_test.h"

static struct quire *make(void)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .backing = QUIRE_BACKING_MEMFD,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static void released_frames_cost_nothing_and_read_zero(void **state)
{
	struct quire *q = make();
	uint64_t before_bytes = status_bytes("RssShmem");
	void *block = quire_alloc_pages(q, 10, 0);
	size_t bytes = quire_page_bytes(q) << 10;
	const char *again;

	(void)state;
	memset(block, 1, bytes);
	/* Before Linux 6.2 each thread counts up to 64 pages by itself. */
	assert_true(status_bytes("RssShmem") >= before_bytes + bytes - bytes / 8);
	quire_free_pages(q, block, 10);
	assert_true(quire_release(q) >= bytes);
	assert_true(status_bytes("RssShmem") <= before_bytes + bytes / 8);
	again = quire_alloc_pages(q, 10, QUIRE_ZERO);
	for (size_t i = 0; i < bytes; i += 512)
		assert_int_equal(again[i], 0);
	quire_destroy(q);
}

struct child {
	struct quire *q;
	void *page, *block;
	size_t share; /* of the budget of addresses, before the instance was made */
};

static void refuse_pages(struct quire *q)
{
	void *pages[4] = { NULL };

	errno = 0;
	CHECK(quire_alloc_pages(q, 0, 0) == NULL && errno == EOWNERDEAD);
	errno = 0;
	CHECK(quire_alloc_pages(q, 3, QUIRE_ZERO) == NULL && errno == EOWNERDEAD);
	errno = 0;
	CHECK(quire_alloc_pages_exact(q, 12345, 0) == NULL && errno == EOWNERDEAD);
	errno = 0;
	CHECK(quire_alloc_pages_bulk(q, pages, 4, 0) == 0 && errno == EOWNERDEAD);
	CHECK(page_charge(q, 1, 0) == -EOWNERDEAD);
}

/* Something else of the child's may stand where frames were: it is let alone. */
static void live_as_a_child(void *arg)
{
	const struct child *child = arg;
	struct quire *q = child->q;
	struct pages *p = pages_of(q);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	void *pages[1] = { child->page };
	char *own = mmap(p->base, MIB(4), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(own == p->base);
	memset(own, 7, MIB(4));
	refuse_pages(q);
	quire_free_pages_bulk(q, pages, 1);
	quire_split_pages(q, child->block, 4);
	quire_free_pages(q, child->page, 0);
	quire_free_pages(q, child->page, 0);
	quire_free_pages(q, child->block, 4);
	quire_free_pages(q, NULL, 0);
	quire_free_pages_exact(q, child->page, 1);
	CHECK(quire_drain_all(q) == 0 && quire_drain_slot(q, 0) == 0 && quire_release(q) == 0);
	CHECK(quire_poll(q) == -EOWNERDEAD && quire_verify(q) == -EOWNERDEAD);
	CHECK(quire_page_stat_read(q, &stat) == -EOWNERDEAD);
	CHECK(quire_isolate_pageblock(q, child->page) == -EOWNERDEAD);
	CHECK(quire_unisolate_pageblock(q, child->page) == -EOWNERDEAD);
	CHECK(quire_offline_pageblock(q, child->page) == -EOWNERDEAD);
	CHECK(quire_block_order(q, child->page) == -EOWNERDEAD);
	CHECK(quire_page_address(q, child->page) == NULL);
	quire_destroy(q);
	CHECK_VALUES(mem_reserve_share() == child->share, mem_reserve_share(), child->share);
	for (size_t i = 0; i < MIB(4); i++)
		CHECK(own[i] == 7);
}

static void child_of_fork_is_refused_everything(void **state)
{
	struct child child = { .share = mem_reserve_share() };

	(void)state;
	child.q = make();
	child.page = quire_alloc_pages(child.q, 0, 0);
	child.block = quire_alloc_pages(child.q, 4, 0);
	memset(child.page, 5, 4096);
	expect_life(live_as_a_child, &child);
	/* And the parent notices nothing. */
	assert_int_equal(*(char *)child.page, 5);
	quire_free_pages(child.q, child.page, 0);
	quire_free_pages(child.q, child.block, 4);
	assert_int_equal(quire_verify(child.q), 0);
	quire_destroy(child.q);
}

/* A grandchild too, and what a child makes for itself is its own. */
static void make_own(void *arg)
{
	struct child child = { .share = mem_reserve_share() };
	struct quire *q = make();

	(void)arg;
	child.q = q;
	child.page = quire_alloc_pages(q, 0, 0);
	child.block = quire_alloc_pages(q, 4, 0);
	CHECK(child.page != NULL && child.block != NULL);
	memset(child.block, 1, 4096);
	expect_life(live_as_a_child, &child);
	CHECK(quire_verify(q) == 0);
	quire_destroy(q);
}

static void child_makes_an_instance_of_its_own(void **state)
{
	struct quire *q = make();

	(void)state;
	expect_life(make_own, NULL);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(released_frames_cost_nothing_and_read_zero),
		cmocka_unit_test(child_of_fork_is_refused_everything),
		cmocka_unit_test(child_makes_an_instance_of_its_own),
	};

	return cmocka_run_group_tests_name("page_memfd", tests, NULL, NULL);
}
