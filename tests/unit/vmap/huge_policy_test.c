/* SPDX-License-Identifier: MIT */
/*
 * What thp:on, thp:auto and thp:off ask for, step by step, under each policy of the system: the advice and
 * the huge pages that /proc/self/smaps shows, and the memory that /proc/self/pagemap shows.
 *
 * A process may turn huge pages off for itself, or allow them where advised alone (PR_SET_THP_DISABLE, the
 * latter since Linux 6.18).  That all memory may have them is a setting of the whole system, which is changed
 * for less than a second where that is allowed.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "instance/instance.h"
#include "mapped.h"
#include "page/pages.h"
#include "quire_test.h"
#include "vmap/vmap.h"

#define PAGE	       ((size_t)4096)
#define BLOCK	       MIB(2)
#define BLOCKS_NR      15u /* the next one would be the witness of those behind */
#define FIRST	       8u  /* blocks of pages that begin without advice with thp:auto */
#define PAGES_NR       (BLOCKS_NR * (BLOCK / PAGE))
#define KEPT_EACH      64u
#define AREAS_NR       8u
#define AREA_BYTES     MIB(4)
#define ENABLED	       "/sys/kernel/mm/transparent_hugepage/enabled"
#define EXCEPT_ADVISED 2ul

/* ---- the system's policy ---- */

enum policy {
	POLICY_NEVER,
	POLICY_MADVISE,
	POLICY_ALWAYS,
};

/* What the system had, put back on every way out. */
static char enabled_before[16];
static int enabled = -1;

/* Also in a signal handler, so not by pwrite(). */
static void restore_enabled(void)
{
	if (enabled_before[0] != '\0' && lseek(enabled, 0, SEEK_SET) == 0)
		(void)!write(enabled, enabled_before, strlen(enabled_before));
	enabled_before[0] = '\0';
}

static void restore_and_die(int signal_nr)
{
	restore_enabled();
	signal(signal_nr, SIG_DFL);
	raise(signal_nr);
}

/* "always [madvise] never": the word in brackets. */
static void read_enabled(char *word, size_t bytes)
{
	char text[64] = "", *from, *to;

	word[0] = '\0';
	if (pread(enabled, text, sizeof(text) - 1, 0) <= 0)
		return;
	from = strchr(text, '[');
	to = from != NULL ? strchr(from, ']') : NULL;
	if (to != NULL)
		snprintf(word, bytes, "%.*s", (int)(to - from - 1), from + 1);
}

/* Another run of this test would take our setting for the system's: it waits for the lock of the file. */
static bool set_always(void)
{
	char had[sizeof(enabled_before)];

	enabled = open(ENABLED, O_RDWR | O_CLOEXEC);
	if (enabled < 0 || flock(enabled, LOCK_EX) != 0)
		return false;
	read_enabled(had, sizeof(had));
	if (had[0] == '\0')
		return false;
	signal(SIGTERM, restore_and_die);
	signal(SIGINT, restore_and_die);
	memcpy(enabled_before, had, sizeof(had));
	return pwrite(enabled, "always", 6, 0) == 6;
}

/* False where it cannot be set. */
static bool set_policy(enum policy policy)
{
	char word[16];

	if (policy == POLICY_ALWAYS)
		return set_always();
	if (policy == POLICY_NEVER)
		return prctl(PR_SET_THP_DISABLE, 1ul, 0ul, 0ul, 0ul) == 0;
	enabled = open(ENABLED, O_RDONLY | O_CLOEXEC);
	read_enabled(word, sizeof(word));
	if (strcmp(word, "madvise") == 0)
		return true;
	return strcmp(word, "always") == 0 &&
	       prctl(PR_SET_THP_DISABLE, 1ul, EXCEPT_ADVISED, 0ul, 0ul) == 0;
}

static int leave_policy(void **state)
{
	(void)state;
	restore_enabled();
	prctl(PR_SET_THP_DISABLE, 0ul, 0ul, 0ul, 0ul);
	if (enabled >= 0)
		close(enabled);
	enabled = -1;
	return 0;
}

/* ---- what there is ---- */

struct seen {
	bool told; /* pagemap may be read */
	struct mapped_pages pages;
	uint64_t huge_bytes; /* smaps */
};

static struct seen look(const char *base, size_t bytes)
{
	struct seen seen = { .told = false };

	seen.told = mapped_pages_read(base, bytes, &seen.pages);
	seen.huge_bytes = mapped_bytes(base, bytes, "AnonHugePages");
	return seen;
}

static struct seen look_at_pages(struct quire *q)
{
	return look(pages_of(q)->base, pages_of(q)->span_bytes);
}

static struct seen look_at_areas(struct quire *q)
{
	return look(q->vmap->base, q->vmap->span_bytes);
}

/* Exactly @bytes, all in ordinary pages. */
static void expect_ordinary(struct seen seen, uint64_t bytes)
{
	assert_u64_eq(seen.huge_bytes, 0);
	if (seen.told)
		assert_u64_eq(seen.pages.present, bytes);
}

/* @advice: 'h' for huge pages, 'n' against them. */
static void expect_advice(const char *from, size_t bytes, char advice)
{
	for (size_t i = 0; i < bytes; i += BLOCK) {
		assert_int_equal(mapping_has_flag(from + i, "hg"), advice == 'h');
		assert_int_equal(mapping_has_flag(from + i, "nh"), advice == 'n');
	}
}

static struct quire *make(enum quire_switch thp)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .page_shift = 12, .report = QUIRE_OFF,
				   .thp = thp, .worker = QUIRE_WORKER_OFF,
				   .guard = QUIRE_GUARD_OFF);
	struct quire *q;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

/* ---- steps ---- */

static char *page[PAGES_NR];

static void write_pages(struct quire *q)
{
	for (unsigned i = 0; i < PAGES_NR; i++) {
		page[i] = quire_alloc_pages(q, 0, QUIRE_MOVABLE);
		assert_non_null(page[i]);
		page[i][0] = 1;
	}
}

static void free_pages(struct quire *q, unsigned kept_each)
{
	for (unsigned i = 0; i < PAGES_NR; i++) {
		if (page[i] == NULL || (kept_each != 0 && i % kept_each == 0))
			continue;
		quire_free_pages(q, page[i], 0);
		page[i] = NULL;
	}
	quire_release(q);
}

/* Written, given back in pieces, and as a whole. */
static void steps_of_pages(enum policy policy, enum quire_switch thp)
{
	struct quire *q = make(thp);
	size_t advised = thp == QUIRE_ON ? BLOCKS_NR : thp == QUIRE_AUTO ? BLOCKS_NR - FIRST : 0;
	const char *base = pages_of(q)->base;
	struct seen seen;

	write_pages(q);
	expect_advice(base, (BLOCKS_NR - advised) * BLOCK, 'n');
	expect_advice(base + (BLOCKS_NR - advised) * BLOCK, advised * BLOCK, 'h');
	seen = look_at_pages(q);
	assert_true(seen.huge_bytes <= (policy != POLICY_NEVER ? advised * BLOCK : 0));
	if (seen.told)
		assert_u64_eq(seen.pages.present, PAGES_NR * PAGE);
	free_pages(q, KEPT_EACH);
	expect_advice(base, BLOCKS_NR * BLOCK, 'n');
	expect_ordinary(look_at_pages(q), PAGES_NR / KEPT_EACH * PAGE);
	free_pages(q, 0);
	expect_advice(base, BLOCKS_NR * BLOCK, thp == QUIRE_OFF ? 'n' : 'h');
	expect_ordinary(look_at_pages(q), 0);
	quire_destroy(q);
}

/* Areas of which a page is written; one whose caller will write all of it; their parts, and all, purged. */
static void steps_of_areas(enum policy policy, enum quire_switch thp)
{
	struct quire *q = make(thp);
	char *area[AREAS_NR], *whole;
	struct seen seen;

	for (unsigned i = 0; i < AREAS_NR; i++) {
		area[i] = quire_vmalloc(q, AREA_BYTES, 0);
		assert_non_null(area[i]);
		expect_advice(area[i], AREA_BYTES, thp == QUIRE_ON ? 'h' : 'n');
		area[i][0] = 1;
	}
	seen = look_at_areas(q);
	if (thp != QUIRE_ON)
		expect_ordinary(seen, AREAS_NR * PAGE);
	assert_true(seen.huge_bytes <= (policy != POLICY_NEVER ? AREAS_NR * BLOCK : 0));
	whole = quire_vmalloc(q, AREA_BYTES, QUIRE_HUGE);
	assert_non_null(whole);
	expect_advice(whole, AREA_BYTES, thp == QUIRE_OFF ? 'n' : 'h');
	memset(whole, 1, AREA_BYTES);
	for (unsigned i = 0; i < AREAS_NR; i++)
		assert_ptr_equal(quire_vrealloc(q, area[i], PAGE, 0), area[i]);
	assert_ptr_equal(quire_vrealloc(q, whole, PAGE, 0), whole);
	quire_vmap_purge(q);
	expect_advice(whole, BLOCK, 'n');
	expect_advice(area[0], BLOCK, 'n');
	expect_ordinary(look_at_areas(q), (AREAS_NR + 1) * PAGE);
	for (unsigned i = 0; i < AREAS_NR; i++)
		quire_vfree(q, area[i]);
	quire_vfree(q, whole);
	quire_vmap_purge(q);
	expect_advice(whole, BLOCK, thp == QUIRE_ON ? 'h' : 'n');
	expect_ordinary(look_at_areas(q), 0);
	quire_destroy(q);
}

static void steps_under(enum policy policy)
{
	static const enum quire_switch thp[] = { QUIRE_ON, QUIRE_AUTO, QUIRE_OFF };

	if (!kernel_knows_huge_pages())
		skip_because("the system has no huge pages");
	if (!set_policy(policy))
		skip_because("the system's policy may not be set here");
	for (unsigned i = 0; i < 3; i++) {
		steps_of_pages(policy, thp[i]);
		steps_of_areas(policy, thp[i]);
	}
}

/* ---- claims ---- */

static void steps_where_no_memory_has_huge_pages(void **state)
{
	(void)state;
	steps_under(POLICY_NEVER);
}

static void steps_where_advised_memory_has_huge_pages(void **state)
{
	(void)state;
	steps_under(POLICY_MADVISE);
}

/* Advice against them counts, so thp:off and memory without advice have none here, too. */
static void steps_where_all_memory_has_huge_pages(void **state)
{
	(void)state;
	steps_under(POLICY_ALWAYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(steps_where_no_memory_has_huge_pages, leave_policy),
		cmocka_unit_test_teardown(steps_where_advised_memory_has_huge_pages, leave_policy),
		cmocka_unit_test_teardown(steps_where_all_memory_has_huge_pages, leave_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
