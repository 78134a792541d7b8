/* SPDX-License-Identifier: MIT */
/*
 * What areas take of the process's mappings: guards where the system has no markers, and aliases.  What is
 * counted is what /proc/self/maps shows, past the budget there is no guard and no alias, and the
 * program's own mmap() works.  Each test is a process of its own.
 */
#include "quire_test.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "machine/linux/backing.h"
#include "machine/linux/mappings.h"
#include "machine/mem.h"
#include "mapped.h"

#define HELD_NR	    400u
#define TURNS	    20000u
#define SPAN_BYTES  ((size_t)64 << 20)
#define TINY_GUARDS 10u
#define OUR_SHARE   8u
#define FRAMES	    32u

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed * UINT64_C(0x2545f4914f6cdd1d) >> 8;
}

static uint64_t used(enum mem_mappings kind)
{
	struct mem_mappings_stat stat;

	mem_mappings_read(&stat);
	return stat.used[kind];
}

static uint64_t refused(enum mem_mappings kind)
{
	struct mem_mappings_stat stat;

	mem_mappings_read(&stat);
	return stat.refused[kind];
}

/* Mappings with these permissions in the span, and their pages. */
struct found {
	uint64_t mappings, pages;
};

static struct found find(const char *span, const char *permissions)
{
	FILE *file = fopen("/proc/self/maps", "r");
	uintptr_t from = (uintptr_t)span, start, end;
	struct found found = { .mappings = 0 };
	char line[512], has[8];

	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL) {
		CHECK(sscanf(line, "%lx-%lx %4s", &start, &end, has) == 3);
		if (start < from || end > from + SPAN_BYTES || strcmp(has, permissions) != 0)
			continue;
		found.mappings++;
		found.pages += (end - start) / (size_t)sysconf(_SC_PAGESIZE);
	}
	fclose(file);
	return found;
}

/* Its addresses are all committed, so that no guard is one mapping with what is not; @span is the first
 * of them. */
static struct quire *make(struct quire_options options, char **span)
{
	struct quire *q = NULL;

	options.limit_bytes = UINT64_C(256) << 20;
	options.vmap_span_bytes = SPAN_BYTES;
	options.thp = QUIRE_OFF;
	options.worker = QUIRE_WORKER_OFF;
	options.struct_bytes = sizeof(options);
	CHECK(quire_create(&options, &q) == 0);
	*span = quire_vmalloc(q, SPAN_BYTES - quire_page_bytes(q), 0);
	CHECK(*span != NULL);
	quire_vfree(q, *span);
	quire_vmap_purge(q);
	return q;
}

static void deny_markers(void)
{
	deny_guards();
}

/* ---- guards ---- */

static void take_turn(struct quire *q, char *held[HELD_NR], uint64_t *seed)
{
	uint64_t random = random_next(seed);
	char **slot = &held[random % HELD_NR];
	size_t bytes = (random >> 16) % 24 * 4096 + 1;

	if (*slot == NULL) {
		*slot = quire_vmalloc(q, bytes, 0);
		CHECK(*slot != NULL);
		(*slot)[bytes - 1] = 1;
	} else if ((random >> 32) % 4 == 0) {
		*slot = quire_vrealloc(q, *slot, bytes, 0);
		CHECK(*slot != NULL);
		(*slot)[bytes - 1] = 1;
	} else {
		quire_vfree(q, *slot);
		*slot = NULL;
	}
	if ((random >> 40) % 1000 == 0)
		quire_vmap_purge(q);
}

static void free_all(struct quire *q, char *held[HELD_NR])
{
	for (unsigned i = 0; i < HELD_NR; i++) {
		quire_vfree(q, held[i]);
		held[i] = NULL;
	}
	quire_vmap_purge(q);
	CHECK(quire_verify(q) == 0);
}

static void count_guards(void *arg)
{
	static char *held[HELD_NR];
	uint64_t seed = 1, most = 0;
	struct quire *q;
	char *span;

	(void)arg;
	deny_markers();
	q = make((struct quire_options){ .limit_bytes = 0 }, &span);
	CHECK(used(MAPPINGS_GUARDS) == 0);
	for (unsigned turn = 0; turn < TURNS; turn++) {
		take_turn(q, held, &seed);
		if (turn % 100 != 0)
			continue;
		/* Two that touch are one mapping, until one of them goes. */
		uint64_t guards = find(span, "---p").pages;

		CHECK_VALUES(used(MAPPINGS_GUARDS) == guards * MAPPINGS_A_GUARD, guards,
			     used(MAPPINGS_GUARDS));
		most = guards > most ? guards : most;
	}
	CHECK_VALUES(most > HELD_NR / 4 && refused(MAPPINGS_GUARDS) == 0, most, 0);
	free_all(q, held);
	CHECK_VALUES(used(MAPPINGS_GUARDS) == 0, used(MAPPINGS_GUARDS), 0);
	CHECK(find(span, "---p").pages == 0);
}

static void guards_count_as_the_system_has_them(void **state)
{
	(void)state;
	expect_life(count_guards, NULL);
}

/* Guards of many pages, cut in the middle and joined: never fewer are counted than there are, and all are
 * given back with the instance. */
static void count_freed(void *arg)
{
	static char *held[HELD_NR];
	uint64_t seed = 2;
	struct quire *q;
	char *span;

	(void)arg;
	deny_markers();
	q = make((struct quire_options){ .guard = QUIRE_GUARD_FREED }, &span);
	for (unsigned turn = 0; turn < TURNS / 4; turn++) {
		take_turn(q, held, &seed);
		if (turn % 100 != 0)
			continue;
		uint64_t guards = find(span, "---p").mappings;

		CHECK_VALUES(used(MAPPINGS_GUARDS) >= guards * MAPPINGS_A_GUARD, guards,
			     used(MAPPINGS_GUARDS));
	}
	free_all(q, held);
	quire_destroy(q);
	CHECK_VALUES(used(MAPPINGS_GUARDS) == 0, used(MAPPINGS_GUARDS), 0);
}

static void guards_in_the_place_of_freed_areas_count_too(void **state)
{
	(void)state;
	expect_life(count_freed, NULL);
}

static void run_out_of_guards(void *arg)
{
	static char *held[HELD_NR];
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	uint64_t seed = 3;
	struct quire *q;
	char *span;
	void *own;

	(void)arg;
	deny_markers();
	q = make((struct quire_options){ .limit_bytes = 0 }, &span);
	mappings_set_system_max((uint64_t)TINY_GUARDS * MAPPINGS_A_GUARD * OUR_SHARE);
	for (unsigned turn = 0; turn < TURNS / 4; turn++)
		take_turn(q, held, &seed);
	CHECK(used(MAPPINGS_GUARDS) <= (uint64_t)TINY_GUARDS * MAPPINGS_A_GUARD);
	CHECK(find(span, "---p").pages <= TINY_GUARDS);
	CHECK(quire_page_stat_read(q, &stat) == 0);
	CHECK_VALUES(stat.mappings_refused > HELD_NR, stat.mappings_refused, 0);
	CHECK(stat.mappings_max == (uint64_t)TINY_GUARDS * MAPPINGS_A_GUARD);
	own = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(own != MAP_FAILED && munmap(own, 4096) == 0);
	free_all(q, held);
	CHECK_VALUES(used(MAPPINGS_GUARDS) == 0, used(MAPPINGS_GUARDS), 0);
	held[0] = quire_vmalloc(q, 1, 0);
	CHECK(held[0] != NULL && used(MAPPINGS_GUARDS) == MAPPINGS_A_GUARD);
	CHECK(find(span, "---p").pages == 1);
}

static void past_the_budget_areas_have_no_guard(void **state)
{
	(void)state;
	expect_life(run_out_of_guards, NULL);
}

/* ---- aliases ---- */

/* From the last to the first, so that no two are one mapping. */
static void take_frames(struct quire *q, void *frames[FRAMES])
{
	void *all[2 * FRAMES] = { NULL };

	CHECK(quire_alloc_pages_bulk(q, all, 2 * FRAMES, 0) == 2 * FRAMES);
	for (unsigned i = 0; i < FRAMES; i++)
		frames[i] = all[2 * FRAMES - 1 - 2 * i];
}

static void alias_turn(struct quire *q, void *frames[FRAMES], void *held[2][16], uint64_t *seed)
{
	uint64_t random = random_next(seed);
	unsigned i = random % 16, small = (random >> 8) % 2, n = i + 1;

	if (held[small][i] == NULL) {
		held[small][i] =
			small ? quire_vm_map_ram(q, frames, n, 0) : quire_vmap(q, frames, n, 0);
		CHECK(held[small][i] != NULL);
	} else {
		if (small)
			quire_vm_unmap_ram(q, held[small][i], n);
		else
			quire_vunmap(q, held[small][i]);
		held[small][i] = NULL;
	}
	if ((random >> 16) % 64 == 0)
		quire_vm_unmap_aliases(q);
	if ((random >> 24) % 64 == 0)
		quire_vmap_purge(q);
}

static void count_aliases(void *arg)
{
	static void *held[2][16];
	void *frames[FRAMES];
	uint64_t seed = 4;
	struct quire *q;
	char *span;

	(void)arg;
	q = make((struct quire_options){ .backing = QUIRE_BACKING_MEMFD }, &span);
	take_frames(q, frames);
	for (unsigned turn = 0; turn < TURNS / 10; turn++) {
		uint64_t aliases;

		alias_turn(q, frames, held, &seed);
		aliases = find(span, "rw-s").mappings;
		CHECK_VALUES(used(MAPPINGS_FRAMES) == aliases, aliases, used(MAPPINGS_FRAMES));
	}
	for (unsigned i = 0; i < 16; i++) {
		quire_vunmap(q, held[0][i]);
		if (held[1][i] != NULL)
			quire_vm_unmap_ram(q, held[1][i], i + 1);
	}
	quire_vmap_purge(q);
	CHECK_VALUES(used(MAPPINGS_FRAMES) == 0, used(MAPPINGS_FRAMES), 0);
	CHECK(quire_vmap(q, frames, FRAMES, 0) != NULL && used(MAPPINGS_FRAMES) == FRAMES);
	quire_destroy(q);
	CHECK_VALUES(used(MAPPINGS_FRAMES) == 0, used(MAPPINGS_FRAMES), 0);
}

static void aliases_count_as_the_system_has_them(void **state)
{
	(void)state;
	expect_life(count_aliases, NULL);
}

/* Each mapping has a guard behind it, which goes with it and counts for what it is. */
static void count_aliases_beside_guards(void *arg)
{
	deny_markers();
	count_aliases(arg);
	CHECK_VALUES(used(MAPPINGS_GUARDS) == 0, used(MAPPINGS_GUARDS), 0);
}

static void aliases_beside_guards_that_are_mappings_count_apart(void **state)
{
	(void)state;
	expect_life(count_aliases_beside_guards, NULL);
}

/* What is freed is purged before anything is refused. */
static void run_out_of_aliases(void *arg)
{
	void *frames[FRAMES], *first, *second;
	struct quire *q;
	char *span;

	(void)arg;
	q = make((struct quire_options){ .backing = QUIRE_BACKING_MEMFD }, &span);
	take_frames(q, frames);
	mappings_set_system_max((uint64_t)(FRAMES + FRAMES / 2) * OUR_SHARE);
	first = quire_vmap(q, frames, FRAMES, 0);
	CHECK(first != NULL && used(MAPPINGS_FRAMES) == FRAMES);
	CHECK(quire_vmap(q, frames, FRAMES, 0) == NULL && errno == ENOMEM);
	CHECK(quire_vm_map_ram(q, frames, FRAMES, 0) == NULL && errno == ENOMEM);
	CHECK(refused(MAPPINGS_FRAMES) != 0 && used(MAPPINGS_FRAMES) == FRAMES);
	quire_vunmap(q, first);
	second = quire_vm_map_ram(q, frames, FRAMES, 0);
	CHECK(second != NULL && used(MAPPINGS_FRAMES) == FRAMES);
	quire_vm_unmap_ram(q, second, FRAMES);
	CHECK(quire_vmap(q, frames, FRAMES, 0) != NULL);
	CHECK(quire_verify(q) == 0);
}

static void past_the_budget_aliases_are_refused(void **state)
{
	(void)state;
	expect_life(run_out_of_aliases, NULL);
}

/* A child has none of the aliases, so it counts none; its copies of private areas' guards it has. */
static void forget_in_child(void *arg)
{
	void *frames[FRAMES];
	struct quire *q;
	pid_t child;
	char *span;

	(void)arg;
	q = make((struct quire_options){ .backing = QUIRE_BACKING_MEMFD }, &span);
	take_frames(q, frames);
	CHECK(quire_vmap(q, frames, FRAMES, 0) != NULL && used(MAPPINGS_FRAMES) == FRAMES);
	child = child_fork();
	if (child == 0)
		_exit(used(MAPPINGS_FRAMES) == 0 ? 0 : 1);
	CHECK(child_wait(child) == 0);
	CHECK(used(MAPPINGS_FRAMES) == FRAMES);
}

static void a_child_of_fork_counts_no_aliases(void **state)
{
	(void)state;
	expect_life(forget_in_child, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guards_count_as_the_system_has_them),
		cmocka_unit_test(guards_in_the_place_of_freed_areas_count_too),
		cmocka_unit_test(past_the_budget_areas_have_no_guard),
		cmocka_unit_test(aliases_count_as_the_system_has_them),
		cmocka_unit_test(aliases_beside_guards_that_are_mappings_count_apart),
		cmocka_unit_test(past_the_budget_aliases_are_refused),
		cmocka_unit_test(a_child_of_fork_counts_no_aliases),
	};

	return cmocka_run_group_tests_name("vmap_budget", tests, NULL, NULL);
}
