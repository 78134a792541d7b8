/* SPDX-License-Identifier: MIT */
/*
 * A process at vm.max_map_count: what was freed holds mappings until it is purged, so everything is
 * purged before anybody is refused (V11).  Each test fills its own process with mappings, but for
 * SPARE_NR of them.
 */
#include "quire_test.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "machine/linux/backing.h"
#include "mapped.h"

#define SPARE_NR 2000u
#define FRAMES	 64u
#define AREAS_NR 600u
#define TURNS	 300u
#define MAPS_MAX (2u << 20) /* more would take minutes */

static struct quire *make(struct quire_options options)
{
	struct quire *q = NULL;

	options.limit_bytes = UINT64_C(64) << 20;
	options.worker = QUIRE_WORKER_OFF;
	options.struct_bytes = sizeof(options);
	CHECK(quire_create(&options, &q) == 0);
	return q;
}

/* Pages with and without access in turn, until the system refuses; then SPARE_NR mappings go again. */
static void use_up_mappings(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	char *at = mmap(NULL, page * MAPS_MAX, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(at != MAP_FAILED);
	while (n < MAPS_MAX && mprotect(at + n * page, page, PROT_READ) == 0)
		n += 2;
	CHECK(n < MAPS_MAX && n > SPARE_NR);
	CHECK(munmap(at + (n - SPARE_NR) * page, (MAPS_MAX - (n - SPARE_NR)) * page) == 0);
}

static bool system_has_bound(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	unsigned long most = MAPS_MAX;
	bool read = file != NULL && fscanf(file, "%lu", &most) == 1;

	if (file != NULL)
		fclose(file);
	if (!read || most >= MAPS_MAX)
		print_message("skipped: vm.max_map_count is unknown or %u and more\n", MAPS_MAX);
	return read && most < MAPS_MAX;
}

/* Every second page, so that each is a mapping of its own. */
static void take_scattered(struct quire *q, void *scattered[FRAMES])
{
	void *all[2 * FRAMES] = { NULL };

	CHECK(quire_alloc_pages_bulk(q, all, 2 * FRAMES, 0) == 2 * FRAMES);
	for (unsigned i = 0; i < FRAMES; i++)
		scattered[i] = all[2 * i];
}

static void map_small(void *arg)
{
	struct quire *q = make((struct quire_options){ .backing = QUIRE_BACKING_MEMFD });
	void *pages[FRAMES];

	(void)arg;
	take_scattered(q, pages);
	use_up_mappings();
	for (unsigned i = 0; i < TURNS; i++) {
		char *addr = quire_vm_map_ram(q, pages, FRAMES, 0);

		CHECK_VALUES(addr != NULL, i, (uint64_t)errno);
		addr[0] = 1;
		quire_vm_unmap_ram(q, addr, FRAMES);
	}
	CHECK(quire_verify(q) == 0);
}

static void map_areas(void *arg)
{
	struct quire *q = make((struct quire_options){ .backing = QUIRE_BACKING_MEMFD });
	void *pages[FRAMES];

	(void)arg;
	take_scattered(q, pages);
	use_up_mappings();
	for (unsigned i = 0; i < TURNS; i++) {
		char *addr = quire_vmap(q, pages, FRAMES, 0);

		CHECK_VALUES(addr != NULL, i, (uint64_t)errno);
		addr[0] = 1;
		quire_vunmap(q, addr);
	}
	CHECK(quire_verify(q) == 0);
}

/* Guards are mappings where the system has no markers for them. */
static void guard_areas(void *arg)
{
	static void *area[AREAS_NR];
	struct quire *q;
	size_t page;

	(void)arg;
	deny_guards();
	q = make((struct quire_options){ .thp = QUIRE_OFF });
	page = quire_page_bytes(q);
	quire_vfree(q, quire_vmalloc(q, page, 0));
	use_up_mappings();
	for (unsigned pages = 1; pages < 7; pages++) {
		for (unsigned i = 0; i < AREAS_NR; i++) {
			area[i] = quire_vmalloc(q, pages * page, 0);
			CHECK_VALUES(area[i] != NULL, pages, i);
		}
		for (unsigned i = 0; i < AREAS_NR; i++)
			quire_vfree(q, area[i]);
	}
	CHECK(quire_verify(q) == 0);
}

/* A refusal that is right leaves everything as it was, and what is given up serves the next call. */
static void refuse_and_go_on(void *arg)
{
	struct quire *q = make((struct quire_options){ .backing = QUIRE_BACKING_MEMFD });
	void *pages[FRAMES], *held[SPARE_NR];
	struct quire_vmap_stat before = QUIRE_VMAP_STAT_INIT, after = before;
	unsigned n = 0;

	(void)arg;
	take_scattered(q, pages);
	use_up_mappings();
	while (n < SPARE_NR && (held[n] = quire_vmap(q, pages, FRAMES, 0)) != NULL)
		n++;
	CHECK_VALUES(n > 4 && n < SPARE_NR && errno == ENOMEM, n, (uint64_t)errno);
	quire_vmap_stat_read(q, &before);
	CHECK(quire_vmap(q, pages, FRAMES, 0) == NULL && errno == ENOMEM);
	CHECK(quire_vm_map_ram(q, pages, FRAMES, 0) == NULL && errno == ENOMEM);
	quire_vmap_stat_read(q, &after);
	CHECK(after.busy_areas == before.busy_areas + after.vmap_blocks);
	CHECK(quire_verify(q) == 0);
	quire_vunmap(q, held[--n]);
	held[n] = quire_vm_map_ram(q, pages, FRAMES, 0);
	CHECK(held[n] != NULL);
}

static void in_child(void (*body)(void *arg))
{
	if (system_has_bound())
		expect_life(body, NULL);
}

static void small_mappings_are_purged_before_one_is_refused(void **state)
{
	(void)state;
	in_child(map_small);
}

static void mappings_are_purged_before_one_is_refused(void **state)
{
	(void)state;
	in_child(map_areas);
}

static void guards_are_purged_before_an_area_is_refused(void **state)
{
	(void)state;
	in_child(guard_areas);
}

static void a_right_refusal_changes_nothing(void **state)
{
	(void)state;
	in_child(refuse_and_go_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_mappings_are_purged_before_one_is_refused),
		cmocka_unit_test(mappings_are_purged_before_one_is_refused),
		cmocka_unit_test(guards_are_purged_before_an_area_is_refused),
		cmocka_unit_test(a_right_refusal_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
