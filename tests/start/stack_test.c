/* SPDX-License-Identifier: MIT */
/*
 * How much stack the public calls need: quire.h states it.
 *
 * Method: each call runs on a painted stack of the size of the smallest thread, or on an alternate
 * signal stack, and what it has touched is measured.  What needs the most (a first call, a call that
 * drains, populates or gives back) is brought about for each.  The deepest of each table is printed.
 */
#include "quire_test.h"

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/percpu_counter.h>
#include <quire/percpu_ops.h>
#include <quire/percpu_ref.h>
#include <quire/quire.h>
#include <quire/vmap.h>

#include "confine.h"
#include "machine/linux/sanitizer.h"

/* As in quire.h. */
#define CALL_BYTES    (8u << 10)
#define HANDLER_BYTES (4u << 10)

#define THREAD_STACK (16u << 10)
#define SIGNAL_STACK (8u << 10)
#define PAGES	     4000u

/* What an optimizer and a sanitizer do to frames is no property of the source. */
#if defined(__OPTIMIZE__) && !MACHINE_TSAN && !MACHINE_ASAN
#define MEASURES true
#else
#define MEASURES false
#endif

static struct {
	struct quire *q;
	void *pages[PAGES];
	void *areas[64];
	void *objects[2000];
	char text[16384];
} scene;

static const struct quire_options many = { .zones = 8, .limit_bytes = UINT64_C(1) << 30 };

static void creates_and_destroys(void *arg)
{
	struct quire *q;

	if (quire_create(arg, &q) == 0)
		quire_destroy(q);
}

static void makes_the_default(void *arg)
{
	(void)arg;
	scene.q = quire_default();
}

static void allocates_pages(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PAGES; i++) {
		scene.pages[i] = quire_alloc_pages(scene.q, 0, QUIRE_ZERO);
		if (scene.pages[i] != NULL)
			*(char *)scene.pages[i] = 1;
	}
}

static void frees_pages(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PAGES; i++)
		if (i % 8 != 0)
			quire_free_pages(scene.q, scene.pages[i], 0);
}

/* Orders, bulk, split: what remains of the calls that take pages. */
static void uses_pages_otherwise(void *arg)
{
	void **slots = scene.areas, *block;

	(void)arg;
	memset(slots, 0, sizeof(scene.areas));
	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++)
		quire_free_pages(scene.q, quire_alloc_pages(scene.q, order, 0), order);
	quire_alloc_pages_bulk(scene.q, 0, 64, slots);
	quire_free_pages_bulk(scene.q, 64, slots);
	block = quire_alloc_pages_exact(scene.q, 20000, 0);
	quire_free_pages_exact(scene.q, block, 20000);
}

static void releases(void *arg)
{
	(void)arg;
	quire_release(scene.q);
}

static void drains_and_polls(void *arg)
{
	(void)arg;
	quire_drain_all(scene.q);
	quire_poll(scene.q);
	quire_worker_stop(scene.q);
	quire_worker_start(scene.q);
}

static void isolates(void *arg)
{
	void *block = quire_alloc_pages(scene.q, 9, 0);

	(void)arg;
	quire_pcp_disable(scene.q);
	quire_pcp_enable(scene.q);
	quire_isolate_block(scene.q, block);
	quire_unisolate_block(scene.q, block);
	quire_free_pages(scene.q, block, 9);
	quire_offline_block(scene.q, block);
}

static void reads(void *arg)
{
	struct quire_page_stat stat;

	(void)arg;
	quire_page_stat_read(scene.q, &stat);
	quire_text_buddyinfo(scene.q, scene.text, sizeof(scene.text));
	quire_text_pagetypeinfo(scene.q, scene.text, sizeof(scene.text));
	quire_text_zoneinfo(scene.q, scene.text, sizeof(scene.text));
	quire_text_percpu_stats(scene.q, scene.text, sizeof(scene.text));
}

static void verifies(void *arg)
{
	(void)arg;
	quire_verify(scene.q);
}

static void allocates_until_refused(void *arg)
{
	struct quire_options options = { .limit_bytes = 4 << 20, .worker = QUIRE_WORKER_OFF };
	struct quire *q;

	(void)arg;
	if (quire_create(&options, &q) != 0)
		return;
	while (quire_alloc_pages(q, 0, 0) != NULL)
		;
	while (quire_vmalloc(q, 4096, 0) != NULL)
		;
	while (quire_alloc_percpu(q, 4096, 8, 0) != NULL)
		;
	quire_destroy(q);
}

static void uses_areas(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 64; i++) {
		scene.areas[i] = quire_vmalloc(scene.q, (i % 20 + 1) * 4096, 0);
		if (scene.areas[i] != NULL)
			*(char *)scene.areas[i] = 1;
	}
	for (unsigned i = 0; i < 64; i += 2)
		scene.areas[i] = quire_vrealloc(scene.q, scene.areas[i], 100000, 0);
	for (unsigned i = 0; i < 64; i++)
		quire_vfree(scene.q, scene.areas[i]);
	quire_kvfree(scene.q, quire_kvmalloc(scene.q, 100000, 0));
}

static void uses_percpu(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 2000; i++)
		scene.objects[i] = quire_alloc_percpu(scene.q, 8 + i % 500, 8, 0);
	for (unsigned i = 0; i < 2000; i++)
		quire_free_percpu(scene.q, scene.objects[i]);
	quire_percpu_shrink(scene.q);
}

static void uses_percpu_in_bulk(void *arg)
{
	struct quire_percpu_request request = { .bytes = 64 };
	size_t n = quire_alloc_percpu_bulk(scene.q, &request, 500, scene.objects);

	(void)arg;
	for (size_t i = 0; i < n; i++)
		quire_free_percpu(scene.q, scene.objects[i]);
}

struct call {
	const char *name;
	void (*body)(void *arg);
	const void *arg;
};

/* In this order: the default instance is made by the second. */
static const struct call calls[] = {
	{ "create and destroy, 8 zones", creates_and_destroys, &many },
	{ "default", makes_the_default, NULL },
	{ "pages", allocates_pages, NULL },
	{ "pages' free", frees_pages, NULL },
	{ "release", releases, NULL },
	{ "orders, bulk, exact", uses_pages_otherwise, NULL },
	{ "drain, poll", drains_and_polls, NULL },
	{ "isolate, offline", isolates, NULL },
	{ "areas", uses_areas, NULL },
	{ "release of areas", releases, NULL },
	{ "per-CPU", uses_percpu, NULL },
	{ "per-CPU in bulk", uses_percpu_in_bulk, NULL },
	{ "until refused", allocates_until_refused, NULL },
	{ "texts", reads, NULL },
	{ "verify", verifies, NULL },
};

static void every_call_fits_on_the_smallest_threads_stack(void **state)
{
	size_t deepest = 0;

	(void)state;
	if (!MEASURES)
		skip();
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		size_t bytes = confine_to_stack(THREAD_STACK, calls[i].body,
						(void *)(uintptr_t)calls[i].arg);

		printf("%6zu bytes  %s\n", bytes, calls[i].name);
		deepest = bytes > deepest ? bytes : deepest;
	}
	assert_non_null(scene.q);
	assert_true(deepest <= CALL_BYTES);
}

/* ---- in handlers ---- */

static void handler_frees_pages(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PAGES; i++)
		quire_free_pages(scene.q, scene.pages[i], 0);
}

static void handler_takes_pages(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PAGES; i++)
		scene.pages[i] = quire_alloc_pages(scene.q, 0, QUIRE_NOLOCK);
}

static void handler_bulk(void *arg)
{
	size_t n;

	(void)arg;
	memset(scene.pages, 0, sizeof(scene.pages));
	n = quire_alloc_pages_bulk(scene.q, QUIRE_NOLOCK, 500, scene.pages);
	quire_free_pages_bulk(scene.q, n, scene.pages);
}

static void handler_areas(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 64; i++)
		scene.areas[i] = quire_vmalloc(scene.q, (i % 20 + 1) * 4096, QUIRE_NOLOCK);
	for (unsigned i = 0; i < 64; i++)
		quire_vfree(scene.q, scene.areas[i]);
}

static void handler_percpu(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 2000; i++)
		scene.objects[i] = quire_alloc_percpu(scene.q, 8 + i % 500, 8, QUIRE_NOLOCK);
	for (unsigned i = 0; i < 2000; i++)
		quire_free_percpu(scene.q, scene.objects[i]);
}

static const struct call handler_calls[] = {
	{ "handler: pages", handler_takes_pages, NULL },
	{ "handler: pages' free", handler_frees_pages, NULL },
	{ "handler: bulk", handler_bulk, NULL },
	{ "handler: areas", handler_areas, NULL },
	{ "handler: per-CPU", handler_percpu, NULL },
};

static void what_a_handler_may_call_fits_on_a_signal_stack(void **state)
{
	size_t deepest = 0;

	(void)state;
	if (!MEASURES)
		skip();
	for (unsigned i = 0; i < sizeof(handler_calls) / sizeof(handler_calls[0]); i++) {
		size_t bytes = confine_to_signal_stack(SIGNAL_STACK, handler_calls[i].body, NULL);

		printf("%6zu bytes  %s\n", bytes, handler_calls[i].name);
		deepest = bytes > deepest ? bytes : deepest;
	}
	assert_true(deepest <= HANDLER_BYTES);
	assert_int_equal(quire_verify(scene.q), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fits_on_the_smallest_threads_stack),
		cmocka_unit_test(what_a_handler_may_call_fits_on_a_signal_stack),
	};

	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
