/* SPDX-License-Identifier: MIT */
/*
 * vmap_case.h - options under which the tests of areas run, and ways to look at areas
 *
 * vmap_tests_run() runs a table of tests once for each case.  A test gets an instance of 256 MiB
 * with 1 GiB of addresses for areas; its worker is off, so nothing happens by itself.  After each
 * test the instance must still satisfy every invariant.
 */
#ifndef VMAP_CASE_H
#define VMAP_CASE_H

#include "quire_test.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/vmap.h>

struct vmap_case {
	const char *name;
	struct quire_options options;
};

static const struct vmap_case vmap_cases[] = {
	{ .name = "as it is" },
	{ .name = "rseq:off", .options = { .rseq = QUIRE_OFF } },
	{ .name = "cache:off", .options = { .cache = QUIRE_OFF } },
	{ .name = "guard:off,thp:off", .options = { .guard = QUIRE_GUARD_OFF, .thp = QUIRE_OFF } },
	{ .name = "page_shift:14,zones:2", .options = { .page_shift = 14, .zones = 2 } },
	{ .name = "page_shift:16,rseq:off", .options = { .page_shift = 16, .rseq = QUIRE_OFF } },
};
#define VMAP_CASES_NR (sizeof(vmap_cases) / sizeof(vmap_cases[0]))

static const struct vmap_case *vmap_case; /* the one that runs now */

/* An instance of the case; fields that are set in @options stay. */
static inline struct quire *vmap_make(struct quire_options options)
{
	const struct quire_options *base = &vmap_case->options;
	struct quire *q = NULL;

#define TAKE(field, otherwise)                                                                     \
	if (options.field == 0)                                                                    \
	options.field = base->field != 0 ? base->field : (otherwise)
	TAKE(limit_bytes, MIB(256));
	TAKE(page_shift, 0);
	TAKE(zones, 0);
	TAKE(rseq, QUIRE_DEFAULT);
	TAKE(cache, QUIRE_DEFAULT);
	TAKE(guard, QUIRE_GUARD_DEFAULT);
	TAKE(thp, QUIRE_DEFAULT);
	TAKE(worker, QUIRE_WORKER_OFF);
#undef TAKE
	options.struct_bytes = sizeof(options);
	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static inline int vmap_setup(void **state)
{
	*state = vmap_make((struct quire_options){ .limit_bytes = 0 });
	return 0;
}

static inline int vmap_teardown(void **state)
{
	int label = quire_verify(*state);

	if (label != 0)
		print_error("after the test, rule %d is broken: %s\n", label,
			    quire_rule_text(label));
	quire_destroy(*state);
	return label;
}

#define VMAP_TEST(function) cmocka_unit_test_setup_teardown(function, vmap_setup, vmap_teardown)

/* Runs a table of tests for every case; the answer is main()'s. */
static inline int vmap_tests_run(const char *name, const struct CMUnitTest *tests, size_t tests_nr)
{
	int failed = 0;

	assert_true(pin_to_cpu((unsigned)allowed_cpu_next(0)));
	for (size_t i = 0; i < VMAP_CASES_NR; i++) {
		char text[128];

		vmap_case = &vmap_cases[i];
		snprintf(text, sizeof(text), "%s: %s", name, vmap_case->name);
		failed += _cmocka_run_group_tests(text, tests, tests_nr, NULL, NULL);
	}
	return failed;
}

#define VMAP_TESTS_RUN(name, tests) vmap_tests_run(name, tests, sizeof(tests) / sizeof((tests)[0]))

static inline bool caches(void)
{
	return vmap_case->options.cache != QUIRE_OFF;
}

static inline bool guards(void)
{
	return vmap_case->options.guard != QUIRE_GUARD_OFF;
}

/* ---- looking at areas ------------------------------------------------------------------------ */

static inline struct quire_vmap_stat vstat_of(struct quire *q)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	assert_int_equal(quire_vmap_stat_read(q, &stat), 0);
	return stat;
}

static inline struct quire_page_stat pstat_of(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	assert_int_equal(quire_page_stat_read(q, &stat), 0);
	return stat;
}

/* An area that must be had. */
static inline void *vtake(struct quire *q, size_t bytes, unsigned flags)
{
	void *addr = quire_vmalloc(q, bytes, flags);

	assert_non_null(addr);
	return addr;
}

static inline size_t page_round(struct quire *q, size_t bytes)
{
	size_t page = quire_page_bytes(q);

	return (bytes + page - 1) / page * page;
}

struct area_search {
	const void *addr;
	struct quire_vmap_area found;
};

static inline bool area_is_it(const struct quire_vmap_area *area, void *arg)
{
	struct area_search *search = arg;

	if (area->addr == search->addr)
		search->found = *area;
	return true;
}

/* What a walk says of the area that begins at @addr; all zero if it shows none. */
static inline struct quire_vmap_area area_at(struct quire *q, const void *addr)
{
	struct area_search search = { .addr = addr };

	quire_vmap_walk(q, area_is_it, &search);
	return search.found;
}

/* Writes or checks a number that names the area into each KiB of it and into its last byte. */
static inline void stamp(void *addr, size_t bytes, uint32_t name)
{
	for (size_t at = 0; at + sizeof(name) <= bytes; at += 1024)
		memcpy((char *)addr + at, &name, sizeof(name));
	((unsigned char *)addr)[bytes - 1] = (unsigned char)name;
}

static inline bool is_stamped(const void *addr, size_t bytes, uint32_t name)
{
	bool same = ((const unsigned char *)addr)[bytes - 1] == (unsigned char)name;

	for (size_t at = 0; at + sizeof(name) < bytes; at += 1024)
		same = same && memcmp((const char *)addr + at, &name, sizeof(name)) == 0;
	return same;
}

static inline bool reads_as(const void *addr, size_t bytes, unsigned char byte)
{
	const unsigned char *at = addr;

	return bytes == 0 || (at[0] == byte && memcmp(at, at + 1, bytes - 1) == 0);
}

/* Takes until it is refused, or @max; returns how many. */
static inline size_t take_areas(struct quire *q, size_t bytes, unsigned flags, void **held,
				size_t max)
{
	size_t n = 0;

	while (n < max && (held[n] = quire_vmalloc(q, bytes, flags)) != NULL)
		n++;
	return n;
}

static inline void free_areas(struct quire *q, void **held, size_t n)
{
	for (size_t i = 0; i < n; i++)
		quire_vfree(q, held[i]);
}

/* Does writing a byte at @addr end a child by SIGSEGV? */
static inline bool faults_at(void *addr)
{
	pid_t child = child_fork();
	int status;

	if (child == 0) {
		*(volatile char *)addr = 1;
		_exit(0);
	}
	status = child_wait(child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

/* The first byte after what the user of an area may touch. */
static inline char *end_of(struct quire *q, void *addr)
{
	return (char *)addr + area_at(q, addr).bytes;
}

#endif
