/* SPDX-License-Identifier: MIT */
/*
 * The nth allocation of pages for slabs is refused, for each n: in a fresh class and in a busy one.  All objects of the slabs that there is room for are handed out, the
 * refusal leaves nothing behind, and a slab's worth of pages that comes free is used.
 */
#include "unit/slab/slab_case.h"

#define PER_SLAB 64u /* objects of 1 KiB */
#define RUNS_MAX 64u
#define BUSY	 33u
#define LEFT_MAX 9u

static void *objects[RUNS_MAX * PER_SLAB];

static uint64_t allocated_pages(const struct slab_case *it)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	assert_int_equal(quire_page_stat_read(it->q, &stat), 0);
	return stat.allocated_pages;
}

/* Takes objects until a growth is refused; returns how many. */
static unsigned take_all(struct slab_case *it, unsigned class, void **to)
{
	unsigned got = 0, more;
	int error;

	do {
		do {
			more = objects_take(it->s, class, to + got, PER_SLAB, 0);
			got += more;
		} while (more != 0);
		error = objects_grow(it->s, class, 0);
	} while (error == 0);
	assert_int_equal(error, -ENOMEM);
	case_verify(it, class);
	return got;
}

/* All of the instance is taken but @left runs of a slab's size; every second one, if they shall be @apart. */
static unsigned leave(struct slab_case *it, void **runs, unsigned left, bool apart)
{
	unsigned nr = 0;

	while (nr < RUNS_MAX && (runs[nr] = quire_alloc_pages(it->q, 4, 0)) != NULL)
		nr++;
	assert_true(nr > 2 * left);
	for (unsigned i = 0; i < left; i++) {
		quire_free_pages(it->q, runs[apart ? 2 * i : i], 4);
		runs[apart ? 2 * i : i] = NULL;
	}
	return nr;
}

static void check_left(unsigned busy, unsigned left, bool apart)
{
	struct slab_case it =
		case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(4),
								     .worker = QUIRE_WORKER_OFF));
	unsigned class = case_class(&it, 1024), nr, got;
	void *runs[RUNS_MAX];
	uint64_t pages;

	case_take(&it, class, objects, busy * PER_SLAB);
	busy = (unsigned)it.s->class[class].slabs_nr;
	nr = leave(&it, runs, left, apart);
	pages = allocated_pages(&it);
	got = take_all(&it, class, objects);
	assert_true(got >= left * PER_SLAB && got < (left + 4) * PER_SLAB);
	assert_u64_eq(it.s->class[class].slabs_nr, busy + left);
	assert_u64_eq(it.s->class[class].free_nr, 0);
	assert_u64_eq(allocated_pages(&it), pages + left * 16);
	assert_int_equal(objects_grow(it.s, class, QUIRE_NOLOCK), -ENOMEM);
	assert_int_equal(objects_grow(it.s, class, QUIRE_NOWAIT), -ENOMEM);
	assert_u64_eq(allocated_pages(&it), pages + left * 16);
	quire_free_pages(it.q, runs[nr - 1], 4);
	assert_int_equal(take_all(&it, class, objects + got), PER_SLAB);
	case_end(&it);
}

static void a_fresh_class_uses_every_run(void **state)
{
	(void)state;
	for (unsigned left = 0; left <= LEFT_MAX; left++) {
		check_left(0, left, false);
		check_left(0, left, true);
	}
}

static void a_busy_class_uses_single_runs_too(void **state)
{
	(void)state;
	for (unsigned left = 0; left <= LEFT_MAX; left++) {
		check_left(BUSY, left, false);
		check_left(BUSY, left, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_class_uses_every_run),
		cmocka_unit_test(a_busy_class_uses_single_runs_too),
	};

	return cmocka_run_group_tests_name("slab_pages_fault", tests, NULL, NULL);
}
