/* SPDX-License-Identifier: MIT */
/*
 * Pages mapped again: quire_vmap() and quire_vm_map_ram() on an instance with backing:memfd, and what
 * an instance without says.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quire/page.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/linux/backing.h"
#include "machine/linux/mappings.h"
#include "machine/linux/sanitizer.h"
#include "mapped.h"
#include "page/pages.h"
#include "quire_test.h"
#include "vmap/ram.h"
#include "vmap/vmap.h"

#define PAGES_NR 256u

static void *pages[PAGES_NR]; /* of the instance, each with its number written into it */

static struct quire *make_with(struct quire_options options)
{
	struct quire *q = NULL;

	options.limit_bytes = MIB(64);
	options.worker = QUIRE_WORKER_OFF;
	options.struct_bytes = sizeof(options);
	assert_int_equal(quire_create(&options, &q), 0);
	memset(pages, 0, sizeof(pages));
	assert_u64_eq(quire_alloc_pages_bulk(q, pages, PAGES_NR, 0), PAGES_NR);
	for (uint32_t i = 0; i < PAGES_NR; i++)
		memset(pages[i], (int)i, quire_page_bytes(q));
	return q;
}

static int setup(void **state)
{
	*state = make_with((struct quire_options){ .backing = QUIRE_BACKING_MEMFD });
	return 0;
}

static int teardown(void **state)
{
	struct quire *q = *state;
	int label = quire_verify(q);

	if (label != 0)
		print_error("after the test, rule %d is broken: %s\n", label,
			    quire_rule_text(label));
	quire_destroy(q);
	return label;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static struct quire_vmap_stat stat_of(struct quire *q)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	assert_int_equal(quire_vmap_stat_read(q, &stat), 0);
	return stat;
}

static uint8_t *page_of(struct quire *q, void *addr, size_t n)
{
	return (uint8_t *)addr + n * quire_page_bytes(q);
}

/* ---- vmap ---- */

/* V12 */
static void mapping_shows_the_pages_in_their_order(void **state)
{
	struct quire *q = *state;
	void *order[7] = { pages[3], pages[4], pages[5], pages[200], pages[3], pages[0], pages[3] };
	void *addr = quire_vmap(q, order, 7, 0);

	assert_non_null(addr);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(*page_of(q, addr, i), *(uint8_t *)order[i]);
	*page_of(q, addr, 0) = 99;
	assert_int_equal(*(uint8_t *)pages[3], 99);
	assert_int_equal(*page_of(q, addr, 6), 99);
	assert_u64_eq(stat_of(q).busy_areas, 1);
	assert_u64_eq(quire_vmalloc_size(q, page_of(q, addr, 2)), 7 * quire_page_bytes(q));
	assert_ptr_equal(quire_vmalloc_start(q, page_of(q, addr, 6)), addr);
	quire_vunmap(q, addr);
	assert_u64_eq(stat_of(q).busy_areas, 0);
	assert_int_equal(*(uint8_t *)pages[3], 99);
}

static void mapping_ends_with_a_guard_page(void **state)
{
	struct quire *q = *state;
	void *addr = quire_vmap(q, pages, 4, 0);

	assert_true(is_accessible(page_of(q, addr, 3)));
	assert_false(is_accessible(page_of(q, addr, 4)));
	quire_vunmap(q, addr);
}

static void unmapped_pages_are_out_of_reach_after_the_purge(void **state)
{
	struct quire *q = *state;
	void *addr = quire_vmap(q, pages + 1, 8, 0), *again;

	quire_vunmap(q, addr);
	assert_u64_eq(stat_of(q).lazy_areas, 1);
	quire_vm_unmap_aliases(q);
	assert_u64_eq(stat_of(q).lazy_areas, 0);
	assert_int_equal(*page_of(q, addr, 0), 0); /* committed memory again, for others */
	again = quire_vmap(q, pages + 1, 8, 0);
	assert_ptr_equal(again, addr);
	assert_int_equal(*page_of(q, again, 0), 1);
	quire_vunmap(q, again);
}

/* An area of quire_vmalloc() that comes to lie where aliases were is nobody's frames. */
static void area_at_old_addresses_is_memory_of_its_own(void **state)
{
	struct quire *q = *state;
	void *addr = quire_vmap(q, pages, 8, 0), *area;

	quire_vunmap(q, addr);
	quire_vmap_purge(q);
	area = quire_vzalloc(q, 8 * quire_page_bytes(q), 0);
	assert_ptr_equal(area, addr);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(*page_of(q, area, i), 0);
	memset(area, 77, 8 * quire_page_bytes(q));
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(*(uint8_t *)pages[i], i);
	quire_vfree(q, area);
}

static void freed_mappings_never_serve_an_area_before_the_purge(void **state)
{
	struct quire *q = *state;
	void *addr = quire_vmap(q, pages, 8, 0);

	quire_vunmap(q, addr);
	for (unsigned i = 0; i < 50; i++) {
		void *area = quire_vmalloc(q, 8 * quire_page_bytes(q), 0);

		assert_true(area != addr);
		memset(area, 1, quire_page_bytes(q));
		quire_vfree(q, area);
	}
	assert_int_equal(*(uint8_t *)pages[0], 0);
}

static void mappings_leave_no_system_mapping_behind(void **state)
{
	struct quire *q = *state;
	void *addr[32];
	size_t before;

	quire_vunmap(q, quire_vmap(q, pages, 8, 0));
	quire_vmap_purge(q);
	before = count_maps();
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 32; i++) {
			addr[i] = quire_vmap(q, pages + i, 1 + i, 0);
			assert_non_null(addr[i]);
		}
		for (unsigned i = 0; i < 32; i++)
			quire_vunmap(q, addr[(i * 7) % 32]);
		quire_vmap_purge(q);
		assert_u64_eq(count_maps(), before);
	}
}

static void nothing_is_charged_for_mappings(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	uint64_t before = p->zone[0].charged_pages, with_one;
	void *addr[64];

	addr[0] = quire_vmap(q, pages, PAGES_NR, 0);
	with_one = p->zone[0].charged_pages; /* records */
	assert_true(with_one - before < PAGES_NR);
	for (unsigned i = 1; i < 64; i++)
		addr[i] = quire_vmap(q, pages, PAGES_NR, 0);
	assert_non_null(addr[63]);
	assert_true(p->zone[0].charged_pages - with_one < 8);
	for (unsigned i = 0; i < 64; i++)
		quire_vunmap(q, addr[i]);
}

static void what_is_no_page_is_refused(void **state)
{
	struct quire *q = *state;
	static char foreign[8192];
	void *list[2] = { pages[0], NULL };
	void *block = quire_alloc_pages(q, 4, 0);
	void *addr;

	errno = 0;
	assert_null(quire_vmap(q, pages, 0, 0));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(quire_vmap(q, list, 2, 0));
	assert_int_equal(errno, EINVAL);
	list[1] = foreign;
	assert_null(quire_vmap(q, list, 2, 0));
	list[1] = (char *)pages[1] + 1;
	assert_null(quire_vmap(q, list, 2, 0));
	list[1] = page_of(q, block, 5); /* inside an allocated block */
	addr = quire_vmap(q, list, 2, 0);
	assert_non_null(addr);
	quire_vunmap(q, addr);
	quire_free_pages(q, block, 4);
	assert_null(quire_vmap(q, list, 2, 0));
	assert_null(quire_vmap(q, pages, 1, QUIRE_ZERO));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(quire_vmap(q, pages, (size_t)1 << 40, 0));
	quire_vunmap(q, NULL);
	quire_vm_unmap_ram(q, NULL, 1);
}

static void private_memory_cannot_be_mapped_again(void **state)
{
	struct quire *q = make_with((struct quire_options){ .backing = QUIRE_BACKING_ANON });

	(void)state;
	errno = 0;
	assert_null(quire_vmap(q, pages, 4, 0));
	assert_int_equal(errno, ENOTSUP);
	errno = 0;
	assert_null(quire_vm_map_ram(q, pages, 4, 0));
	assert_int_equal(errno, ENOTSUP);
	quire_vm_unmap_aliases(q);
	quire_destroy(q);
}

static void ring_has_no_end(void **state)
{
	struct quire *q = *state;
	size_t bytes = 16 * quire_page_bytes(q);
	void *twice[32];
	char *ring;

	for (unsigned i = 0; i < 32; i++)
		twice[i] = pages[i % 16];
	ring = quire_vmap(q, twice, 32, 0);
	memset(ring + bytes - 100, 0x5a, 200);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(ring[i], 0x5a);
		assert_int_equal(ring[bytes - 1 - i], 0x5a);
	}
	quire_vunmap(q, ring);
}

/* ---- blocks ---- */

static void small_mappings_come_from_one_block(void **state)
{
	struct quire *q = *state;
	char *first = quire_vm_map_ram(q, pages, 1, 0),
	     *second = quire_vm_map_ram(q, pages + 1, 3, 0);
	char *third = quire_vm_map_ram(q, pages + 4, 64, 0);

	assert_ptr_equal(second, page_of(q, first, 1));
	assert_ptr_equal(third, page_of(q, second, 4)); /* rounded up to a power of two */
	assert_u64_eq(stat_of(q).vmap_blocks, 1);
	assert_u64_eq(stat_of(q).vmap_block_maps, 3);
	assert_int_equal(*page_of(q, third, 63), 67);
	assert_int_equal(*page_of(q, second, 2), 3);
	quire_vm_unmap_ram(q, second, 3);
	quire_vm_unmap_ram(q, third, 64);
	quire_vm_unmap_ram(q, first, 1);
}

static void large_mapping_is_an_area(void **state)
{
	struct quire *q = *state;
	void *addr = quire_vm_map_ram(q, pages, 65, 0);

	assert_u64_eq(stat_of(q).vmap_blocks, 0);
	assert_int_equal(*page_of(q, addr, 64), 64);
	quire_vm_unmap_ram(q, addr, 65);
	assert_u64_eq(stat_of(q).busy_areas, 0);
}

/* Another thread that is making or purging: it holds the mutexes for that. */
struct busy {
	struct quire *q;
	pthread_barrier_t held, done;
};

static void *hold_mutexes(void *arg)
{
	struct busy *busy = arg;
	struct vmap *v = busy->q->vmap;

	mutex_acquire(&v->purge_mutex);
	mutex_acquire(&v->commit_mutex);
	pthread_barrier_wait(&busy->held);
	pthread_barrier_wait(&busy->done);
	mutex_release(&v->commit_mutex);
	mutex_release(&v->purge_mutex);
	return NULL;
}

static void small_mapping_waits_for_nobody_if_told(void **state)
{
	struct busy busy = { .q = *state };
	struct quire *q = busy.q;
	void *first, *second, *third;
	pthread_t thread;

	quire_vfree(q, quire_vmalloc(q, 1, 0)); /* areas are there, small mappings not yet */
	pthread_barrier_init(&busy.held, NULL, 2);
	pthread_barrier_init(&busy.done, NULL, 2);
	for (unsigned made = 0; made < 2; made++) {
		assert_int_equal(pthread_create(&thread, NULL, hold_mutexes, &busy), 0);
		pthread_barrier_wait(&busy.held);
		errno = 0;
		first = quire_vm_map_ram(q, pages, 3, QUIRE_NOWAIT);
		assert_int_equal(errno, made ? 0 : ENOMEM);
		second = quire_vm_map_ram(q, pages, 3, QUIRE_ATOMIC);
		third = quire_vm_map_ram(q, pages, 3, QUIRE_NOLOCK);
		pthread_barrier_wait(&busy.done);
		pthread_join(thread, NULL);
		assert_int_equal(first != NULL && second != NULL, made);
		assert_non_null(third);
		assert_int_equal(*page_of(q, third, 2), 2);
		quire_vm_unmap_ram(q, first, 3);
		quire_vm_unmap_ram(q, second, 3);
		quire_vm_unmap_ram(q, third, 3);
		quire_vm_unmap_ram(q, quire_vm_map_ram(q, pages, 1, 0), 1);
	}
	assert_null(quire_vm_map_ram(q, pages, 3, QUIRE_ZERO));
	assert_int_equal(errno, EINVAL);
	pthread_barrier_destroy(&busy.held);
	pthread_barrier_destroy(&busy.done);
}

/* Maps and unmaps until a block is used up; gives its pages. */
static uint32_t use_up(struct quire *q, void *first)
{
	uint32_t n = 1;
	void *addr = first;

	while (stat_of(q).vmap_blocks == 1) {
		quire_vm_unmap_ram(q, addr, 1);
		addr = quire_vm_map_ram(q, pages + 7, 1, 0);
		assert_non_null(addr);
		n++;
	}
	quire_vm_unmap_ram(q, addr, 1);
	return n - 1;
}

static void used_up_block_goes_back(void **state)
{
	struct quire *q = *state;
	void *addr = quire_vm_map_ram(q, pages, 1, 0);
	uint32_t n;

	/* The first is published when its last page is dirty, so two are there before the purge. */
	n = use_up(q, addr);
	assert_true(n == 128 || n == 256 || n == 512 || n == 1024);
	assert_u64_eq(stat_of(q).lazy_areas, 1);
	quire_vmap_purge(q); /* the second block is fragmented */
	assert_u64_eq(stat_of(q).vmap_blocks, 0);
	assert_u64_eq(stat_of(q).lazy_areas, 0);
	assert_u64_eq(stat_of(q).busy_areas, 0);
}

static void aliases_of_partly_used_blocks_are_flushed(void **state)
{
	struct quire *q = *state;
	uint8_t *kept = quire_vm_map_ram(q, pages + 1, 2, 0),
		*gone = quire_vm_map_ram(q, pages + 3, 4, 0);
	uint8_t *last = quire_vm_map_ram(q, pages + 9, 1, 0);

	quire_vm_unmap_ram(q, gone, 4);
	assert_int_equal(*gone, 3); /* lazily */
	quire_vm_unmap_aliases(q);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(*page_of(q, gone, i), 0);
	assert_int_equal(*page_of(q, kept, 1), 2);
	assert_int_equal(*last, 9);
	quire_vm_unmap_aliases(q); /* nothing is left to flush */
	quire_vm_unmap_ram(q, kept, 2);
	quire_vm_unmap_ram(q, last, 1);
	quire_vm_unmap_aliases(q);
	assert_int_equal(*kept, 0);
	assert_u64_eq(stat_of(q).vmap_blocks, 0);
}

static void nearly_fresh_block_is_not_given_up_by_time(void **state)
{
	struct quire *q = *state;
	struct vmap *v;

	quire_vm_unmap_ram(q, quire_vm_map_ram(q, pages, 1, 0), 1);
	v = q->vmap;
	mutex_acquire(&v->purge_mutex);
	ram_purge_fragmented(v, false);
	assert_u64_eq(ram_blocks(v), 1);
	assert_u64_eq(load_relaxed(&v->lazy_areas), 0);
	ram_purge_fragmented(v, true);
	assert_u64_eq(load_relaxed(&v->lazy_areas), 1);
	mutex_release(&v->purge_mutex);
}

static void out_of_addresses_blocks_are_given_up(void **state)
{
	struct quire *q = make_with((struct quire_options){ .backing = QUIRE_BACKING_MEMFD,
							    .vmap_span_bytes = MIB(4) });
	size_t bytes = MIB(4) - 2 * quire_page_bytes(q);
	void *area;

	(void)state;
	quire_vm_unmap_ram(q, quire_vm_map_ram(q, pages, 1, 0), 1);
	quire_vunmap(q, quire_vmap(q, pages, 100, 0));
	area = quire_vmalloc(q, bytes, 0);
	assert_non_null(area);
	errno = 0;
	assert_null(quire_vm_map_ram(q, pages, 1, 0));
	assert_int_equal(errno, ENOSPC);
	assert_null(quire_vmap(q, pages, 1, 0));
	assert_int_equal(errno, ENOSPC);
	quire_vfree(q, area);
	assert_non_null(quire_vm_map_ram(q, pages, 1, 0));
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* ---- refusals ---- */

static bool one_of_each(struct quire *q)
{
	void *addr = quire_vmap(q, pages, 5, 0), *small = quire_vm_map_ram(q, pages, 3, 0);
	bool both = addr != NULL && small != NULL;

	if (addr != NULL)
		quire_vunmap(q, addr);
	if (small != NULL)
		quire_vm_unmap_ram(q, small, 3);
	return both;
}

/* The n-th backing call is refused, for every n, in a new instance and in a used one. */
static void refused_calls_leave_the_state_as_it_was(void **state)
{
	(void)state;
	for (unsigned used = 0; used < 2; used++) {
		bool done = false;

		for (uint64_t nth = 1; !done; nth++) {
			struct quire *q =
				make_with((struct quire_options){ .backing = QUIRE_BACKING_MEMFD });

			if (used != 0)
				assert_true(one_of_each(q));
			backing_fail_after(nth, ENOMEM);
			done = one_of_each(q);
			backing_fail_after(0, 0);
			assert_int_equal(quire_verify(q), 0);
			assert_true(one_of_each(q));
			quire_vm_unmap_aliases(q);
			assert_u64_eq(stat_of(q).busy_areas, 0);
			assert_u64_eq(stat_of(q).lazy_areas, 0);
			assert_int_equal(quire_verify(q), 0);
			for (uint32_t i = 0; i < PAGES_NR; i++)
				assert_int_equal(*(uint8_t *)pages[i], i);
			quire_destroy(q);
			assert_true(nth < 100);
		}
	}
}

/* What cannot be unmapped now stays lazy, with its addresses, and goes later. */
static void refused_unmapping_is_tried_again(void **state)
{
	struct quire *q = *state;
	void *addr = quire_vmap(q, pages, 4, 0), *other;
	uint8_t *small = quire_vm_map_ram(q, pages, 2, 0),
		*keeps = quire_vm_map_ram(q, pages, 1, 0);

	quire_vunmap(q, addr);
	quire_vm_unmap_ram(q, small, 2);
	backing_fail_from(1, ENOMEM);
	quire_vm_unmap_aliases(q);
	backing_fail_after(0, 0);
	assert_u64_eq(stat_of(q).lazy_areas, 1);
	assert_int_equal(*page_of(q, addr, 1), 1);
	assert_int_equal(*page_of(q, small, 1), 1);
	other = quire_vmap(q, pages + 4, 4, 0);
	assert_true(other != addr);
	quire_vm_unmap_aliases(q);
	assert_u64_eq(stat_of(q).lazy_areas, 0);
	assert_int_equal(*page_of(q, addr, 1), 0);
	assert_int_equal(*page_of(q, small, 1), 0);
	quire_vunmap(q, other);
	quire_vm_unmap_ram(q, keeps, 1);
}

/* Every second page, so that each is a mapping of the system's; it refuses, not our budget. */
static void map_to_the_bound(void *arg)
{
	struct quire *q = arg;
	void *list[PAGES_NR], *addr[1024];
	unsigned n = 0;

	mappings_set_system_max(UINT32_MAX);
	for (unsigned i = 0; i < PAGES_NR; i++)
		list[i] = pages[i * 2 % PAGES_NR + i * 2 / PAGES_NR];
	while (n < 1024 && (addr[n] = quire_vmap(q, list, PAGES_NR, 0)) != NULL)
		n++;
	CHECK_VALUES(n > 200 && n < 1024 && errno == ENOMEM, n, (uint64_t)errno);
	CHECK(quire_verify(q) == 0);
	quire_vunmap(q, addr[--n]);
	addr[n] = quire_vmap(q, list, PAGES_NR, 0);
	if (addr[n] == NULL) { /* the old one's are not unmapped yet */
		quire_vm_unmap_aliases(q);
		addr[n] = quire_vmap(q, list, PAGES_NR, 0);
	}
	CHECK(addr[n] != NULL);
	for (unsigned i = 0; i <= n; i++)
		quire_vunmap(q, addr[i]);
	quire_vm_unmap_aliases(q);
	CHECK(quire_verify(q) == 0);
}

static void map_to_the_bound_of_own(void *arg)
{
	struct quire *q = make_with((struct quire_options){ .backing = QUIRE_BACKING_MEMFD,
							    .vmap_span_bytes = MIB(2048) });

	(void)arg;
	map_to_the_bound(q);
	quire_destroy(q);
}

static void bound_on_mappings_refuses_with_enomem(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(map_to_the_bound_of_own, NULL);
}

/* ---- fork ---- */

struct child {
	struct quire *q;
	void *addr, *small, *area;
};

static void live_as_a_child(void *arg)
{
	const struct child *child = arg;
	struct quire *q = child->q;
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	CHECK(!is_accessible(child->addr));
	errno = 0;
	CHECK(quire_vmap(q, pages, 1, 0) == NULL && errno == EOWNERDEAD);
	errno = 0;
	CHECK(quire_vm_map_ram(q, pages, 1, 0) == NULL && errno == EOWNERDEAD);
	errno = 0;
	CHECK(quire_vmalloc(q, 4096, 0) == NULL && errno == EOWNERDEAD);
	errno = 0;
	CHECK(quire_vrealloc(q, child->area, 123456, 0) == NULL && errno == EOWNERDEAD);
	quire_vfree(q, child->area);
	quire_vfree(q, child->area);
	quire_vunmap(q, child->addr);
	quire_vm_unmap_ram(q, child->small, 2);
	quire_vm_unmap_aliases(q);
	CHECK(quire_vmap_purge(q) == 0);
	CHECK(quire_vmap_stat_read(q, &stat) == -EOWNERDEAD);
	CHECK(quire_vmap_walk(q, NULL, NULL) == 0);
	CHECK(quire_vmalloc_size(q, child->area) == 0);
	quire_destroy(q);
}

static void child_of_fork_is_refused_everything(void **state)
{
	struct quire *q = *state;
	struct child child = { .q = q,
			       .addr = quire_vmap(q, pages, 4, 0),
			       .small = quire_vm_map_ram(q, pages, 2, 0),
			       .area = quire_vmalloc(q, 4096, 0) };

	quire_vfree(q, quire_vmalloc(q, 4096, 0)); /* there is one for a fast path */
	expect_life(live_as_a_child, &child);
	assert_int_equal(*page_of(q, child.addr, 3), 3);
	quire_vunmap(q, child.addr);
	quire_vm_unmap_ram(q, child.small, 2);
	quire_vfree(q, child.area);
}

/* Blocks of small mappings belong to CPUs: what is counted here holds on one. */
static int stay_on_one_cpu(void **state)
{
	(void)state;
	return pin_to_cpu((unsigned)allowed_cpu_next(0)) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mapping_shows_the_pages_in_their_order),
		TEST(mapping_ends_with_a_guard_page),
		TEST(unmapped_pages_are_out_of_reach_after_the_purge),
		TEST(area_at_old_addresses_is_memory_of_its_own),
		TEST(freed_mappings_never_serve_an_area_before_the_purge),
		TEST(mappings_leave_no_system_mapping_behind),
		TEST(nothing_is_charged_for_mappings),
		TEST(what_is_no_page_is_refused),
		cmocka_unit_test(private_memory_cannot_be_mapped_again),
		TEST(ring_has_no_end),
		TEST(small_mappings_come_from_one_block),
		TEST(large_mapping_is_an_area),
		TEST(small_mapping_waits_for_nobody_if_told),
		TEST(used_up_block_goes_back),
		TEST(aliases_of_partly_used_blocks_are_flushed),
		TEST(nearly_fresh_block_is_not_given_up_by_time),
		cmocka_unit_test(out_of_addresses_blocks_are_given_up),
		cmocka_unit_test(refused_calls_leave_the_state_as_it_was),
		TEST(refused_unmapping_is_tried_again),
		cmocka_unit_test(bound_on_mappings_refuses_with_enomem),
		TEST(child_of_fork_is_refused_everything),
	};

	return cmocka_run_group_tests_name("vmap_pages", tests, stay_on_one_cpu, NULL);
}
