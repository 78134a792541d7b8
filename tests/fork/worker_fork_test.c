/* SPDX-License-Identifier: MIT */
/* worker_fork_test.c - a child has no worker; what it frees goes back all the same */
#include <signal.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/mem.h"
#include "instance/instance.h"
#include "machine/linux/sanitizer.h"
#include "page/pages.h"
#include "quire_test.h"

#define DECAY_MS UINT32_C(20)
#define PAGES_NR 8192u /* 32 MiB */

static struct quire *q;
static void *pages[PAGES_NR];
static void *areas[64]; /* 256 KiB each */

static void make(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20, .decay_ms = DECAY_MS);

	assert_int_equal(quire_create(&options, &q), 0);
}

static void take_pages(void)
{
	for (unsigned i = 0; i < PAGES_NR; i++) {
		pages[i] = quire_alloc_pages(q, 0, 0);
		assert_non_null(pages[i]);
		memset(pages[i], 1, quire_page_bytes(q));
	}
}

static void free_pages(unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		quire_free_pages(q, pages[i], 0);
}

/* Also if that one has done its work and ended meanwhile: its stack is kept until somebody joins it. */
static bool has_made_a_worker(void)
{
	return q->work.stack != NULL;
}

/* Nobody calls any more. */
static void await_resident_below(uint64_t bytes)
{
	uint64_t end_ns = await_begin();

	if (MACHINE_ASAN) /* its quarantine keeps what each look allocates: 140 MB in 20 s */
		return;
	while (status_bytes("RssAnon") > bytes && await_more(end_ns))
		;
	CHECK_VALUES(status_bytes("RssAnon") <= bytes, status_bytes("RssAnon"), bytes);
}

static void child_frees_pages(void *arg)
{
	(void)arg;
	CHECK(count_threads() == 1);
	free_pages(0, PAGES_NR);
	await_resident_below((uint64_t)12 << 20);
}

static void child_that_only_frees_pages_gives_them_back(void **state)
{
	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has no threads in a child of fork");
	make();
	take_pages();
	expect_life(child_frees_pages, NULL);
	free_pages(0, PAGES_NR);
	quire_destroy(q);
}

static void child_frees_areas(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 64; i++)
		quire_vfree(q, areas[i]);
	await_resident_below((uint64_t)8 << 20);
}

static void child_that_only_frees_areas_gives_them_back(void **state)
{
	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has no threads in a child of fork");
	make();
	for (unsigned i = 0; i < 64; i++) {
		areas[i] = quire_vmalloc(q, 256 << 10, 0);
		assert_non_null(areas[i]);
		memset(areas[i], 1, 256 << 10);
	}
	expect_life(child_frees_areas, NULL);
	for (unsigned i = 0; i < 64; i++)
		quire_vfree(q, areas[i]);
	quire_destroy(q);
}

static void child_frees_an_object(void *arg)
{
	CHECK(!has_made_a_worker());
	quire_free_percpu(q, arg);
	CHECK(has_made_a_worker());
}

static void child_that_only_frees_an_object_calls_a_worker(void **state)
{
	void *object;

	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has no threads in a child of fork");
	make();
	pages_of(q)->worth_pages = 0; /* an object is worth a worker */
	object = quire_alloc_percpu(q, 64, 0, 0);
	assert_non_null(object);
	for (unsigned i = 0; i < 100; i++) /* a stack takes the size, and is open */
		quire_free_percpu(q, quire_alloc_percpu(q, 64, 0, 0));
	expect_life(child_frees_an_object, object);
	quire_destroy(q);
}

static void frees_half(int signal_nr)
{
	(void)signal_nr;
	free_pages(0, PAGES_NR / 2);
}

/* What the handler frees is nobody's work yet; the next ordinary free finds somebody for it. */
static void child_frees_in_a_handler(void *arg)
{
	struct sigaction action = { .sa_handler = frees_half };

	action.sa_flags = arg != NULL ? SA_NODEFER : 0;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(raise(SIGUSR1) == 0);
	CHECK_VALUES(count_threads() == 1, count_threads(), 1);
	action.sa_handler = SIG_DFL;
	action.sa_flags = 0;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	free_pages(PAGES_NR / 2, PAGES_NR);
	CHECK(has_made_a_worker());
	await_resident_below((uint64_t)12 << 20);
}

static void free_in_a_handler_starts_no_thread(void **state)
{
	(void)state;
	if (MACHINE_TSAN)
		skip_because("ThreadSanitizer has no threads in a child of fork");
	make();
	take_pages();
	expect_life(child_frees_in_a_handler, NULL);
	expect_life(child_frees_in_a_handler, q); /* one that blocks nothing */
	free_pages(0, PAGES_NR);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_that_only_frees_pages_gives_them_back),
		cmocka_unit_test(child_that_only_frees_areas_gives_them_back),
		cmocka_unit_test(child_that_only_frees_an_object_calls_a_worker),
		cmocka_unit_test(free_in_a_handler_starts_no_thread),
	};

	return cmocka_run_group_tests_name("worker_fork", tests, NULL, NULL);
}
