/* SPDX-License-Identifier: MIT */
/*
 * stack_calls.c - every public call, brought to where it needs the most stack
 *
 * That is a first call, a call that drains, populates or gives back, and a refusal, before which all
 * of these were tried.  What a body needs to be there it checks: a call that was refused by chance
 * would be measured for what it is not.
 */
#include "stack_calls.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/percpu_counter.h>
#include <quire/percpu_ops.h>
#include <quire/percpu_ref.h>
#include <quire/quire.h>
#include <quire/slab.h>
#include <quire/stat.h>
#include <quire/vmap.h>

#include "base/check.h"

#define PAGES	     4000u
#define AREAS	     64u
#define OBJECTS	     2000u
#define MAPPED	     64u /* pages of one mapping: the most that comes from a block */
#define REFUSED_MAX  100000u
#define REFUSED_SIZE ((size_t)1 << 20)

static struct {
	struct quire *q;
	struct quire *mapped; /* backing:memfd: where pages can be mapped again */
	struct quire *full;   /* at its limit: refuses whatever it is asked for */
	void *pages[PAGES];
	void *areas[AREAS];
	void *objects[OBJECTS];
	void *mapped_pages[MAPPED];
	void *mappings[AREAS];
	void *live_block, *live_area, *live_object;
	void *full_page;
	struct quire_percpu_counter counter;
	struct quire_percpu_ref ref;
	char text[16384];
} scene;

static const struct quire_options many =
	QUIRE_OPTIONS_INIT(.zones = 8, .limit_bytes = UINT64_C(1) << 30);
static const struct quire_options mapped =
	QUIRE_OPTIONS_INIT(.backing = QUIRE_BACKING_MEMFD, .limit_bytes = UINT64_C(256) << 20);
static const struct quire_options small =
	QUIRE_OPTIONS_INIT(.limit_bytes = 8 << 20, .worker = QUIRE_WORKER_OFF);

/* ---- instances ---- */

static void creates_and_destroys(void *arg)
{
	struct quire *q;

	CHECK(quire_create(arg, &q) == 0);
	quire_destroy(q);
}

static void makes_the_default(void *arg)
{
	(void)arg;
	scene.q = quire_default();
	CHECK(scene.q != NULL);
}

static void makes_one_with_mappings(void *arg)
{
	CHECK(quire_create(arg, &scene.mapped) == 0);
}

static void parses(void *arg)
{
	struct quire_options options = QUIRE_OPTIONS_INIT();

	(void)arg;
	CHECK(quire_options_parse("limit:1g,isolated:0+1,worker:off,guard:freed,thp:auto", &options,
				  scene.text, sizeof(scene.text)) == 0);
	CHECK(quire_options_parse("limt:1g", &options, scene.text, sizeof(scene.text)) != 0);
}

static void asks(void *arg)
{
	(void)arg;
	CHECK(quire_slots(scene.q) > 0 && quire_percpu_units(scene.q) > 0);
	CHECK(quire_page_bytes(scene.q) > 0);
	(void)quire_cpu();
	(void)quire_slot(scene.q);
	CHECK(quire_text_options(scene.q, scene.text, sizeof(scene.text)) > 0);
	CHECK(quire_version() == QUIRE_VERSION);
	CHECK(quire_rule_text(101)[0] != '\0');
	quire_set_stop_hook(NULL, NULL, NULL);
}

static size_t gives_nothing(size_t bytes, void *arg)
{
	(void)bytes;
	(void)arg;
	return 0;
}

static void has_a_shrinker(void *arg)
{
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "nothing", .scan = gives_nothing);
	uint64_t id;

	(void)arg;
	CHECK(quire_shrinker_register(scene.q, &shrinker, &id) == 0);
	CHECK(quire_text_shrinkers(scene.q, scene.text, sizeof(scene.text)) > 0);
	CHECK(quire_text_limits(scene.q, scene.text, sizeof(scene.text)) > 0);
	quire_shrinker_unregister(scene.q, id);
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
	for (unsigned cpu = 0; cpu < quire_slots(scene.q); cpu++)
		quire_drain_slot(scene.q, cpu);
	quire_poll(scene.q);
	CHECK(quire_worker_stop(scene.q) == 0);
	quire_worker_start(scene.q);
}

static void reads(void *arg)
{
	struct quire_percpu_stat percpu_stat = QUIRE_PERCPU_STAT_INIT;
	struct quire_vmap_stat vmap_stat = QUIRE_VMAP_STAT_INIT;
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	struct quire *q = scene.q;
	void *area = quire_vmalloc(q, 4096, 0);

	(void)arg;
	CHECK(area != NULL);
	CHECK(quire_page_stat_read(q, &stat) == 0);
	CHECK(quire_vmap_stat_read(q, &vmap_stat) == 0);
	CHECK(quire_percpu_stat_read(q, &percpu_stat) == 0);
	CHECK(quire_text_buddyinfo(q, scene.text, sizeof(scene.text)) != 0);
	CHECK(quire_text_pagetypeinfo(q, scene.text, sizeof(scene.text)) != 0);
	CHECK(quire_text_zoneinfo(q, scene.text, sizeof(scene.text)) != 0);
	CHECK(quire_text_vmallocinfo(q, scene.text, sizeof(scene.text)) != 0);
	CHECK(quire_text_percpu_stats(q, scene.text, sizeof(scene.text)) != 0);
	quire_vfree(q, area);
}

static void verifies(void *arg)
{
	(void)arg;
	CHECK(quire_verify(scene.q) == 0);
}

/* ---- pages ---- */

static void allocates_pages(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PAGES; i++) {
		scene.pages[i] = quire_alloc_pages(scene.q, 0, QUIRE_ZERO);
		CHECK(scene.pages[i] != NULL);
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

/* Orders, bulk, split, queries: what remains of the calls that take pages. */
static void uses_pages_otherwise(void *arg)
{
	void *slots[AREAS] = { NULL };
	struct quire *q = scene.q;
	char *block;

	(void)arg;
	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++)
		quire_free_pages(q, quire_alloc_pages(q, order, 0), order);
	CHECK(quire_alloc_pages_bulk(q, slots, AREAS, 0) == AREAS);
	quire_free_pages_bulk(q, slots, AREAS);
	block = quire_alloc_pages_exact(q, 20000, 0);
	CHECK(block != NULL && quire_page_address(q, block + 5000) != NULL);
	quire_free_pages_exact(q, block, 20000);
	block = quire_alloc_pages(q, 3, 0);
	CHECK(quire_block_order(q, block) == 3);
	quire_split_pages(q, block, 3);
	for (unsigned i = 0; i < 8; i++)
		quire_free_pages(q, block + i * quire_page_bytes(q), 0);
}

static void isolates(void *arg)
{
	void *block = quire_alloc_pages(scene.q, 9, 0);

	(void)arg;
	quire_pcp_disable(scene.q);
	quire_pcp_enable(scene.q);
	CHECK(quire_isolate_pageblock(scene.q, block) == 0);
	CHECK(quire_unisolate_pageblock(scene.q, block) == 0);
	quire_free_pages(scene.q, block, 9);
	CHECK(quire_alloc_contig_range(scene.q, block, 20000, 0) == 0);
	quire_free_contig_range(scene.q, block, 20000);
	CHECK(quire_offline_pageblock(scene.q, block) == 0);
}

/* ---- areas ---- */

static void uses_areas(void *arg)
{
	struct quire *q = scene.q;

	(void)arg;
	for (unsigned i = 0; i < AREAS; i++) {
		scene.areas[i] = quire_vmalloc(q, (i % 20 + 1) * 4096, 0);
		CHECK(scene.areas[i] != NULL);
		*(char *)scene.areas[i] = 1;
	}
	for (unsigned i = 0; i < AREAS; i += 2)
		scene.areas[i] = quire_vrealloc(q, scene.areas[i], 100000, 0);
	for (unsigned i = 0; i < AREAS; i++)
		quire_vfree(q, scene.areas[i]);
	quire_kvfree(q, quire_kvmalloc(q, 100000, 0));
	quire_kvfree(q, quire_kvmalloc(q, 1000, QUIRE_ZERO));
	quire_vfree(q, quire_vzalloc(q, (size_t)8 << 20, 0));
}

static bool is_counted(const struct quire_vmap_area *area, void *arg)
{
	*(size_t *)arg += area->bytes;
	return true;
}

static void asks_about_areas(void *arg)
{
	const struct quire_vmalloc_options aligned =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = 65536, .flags = QUIRE_ZERO);
	struct quire *q = scene.q;
	char *area = quire_vmalloc_with(q, 70000, &aligned);
	size_t bytes = 0;

	(void)arg;
	CHECK(area != NULL && quire_vmalloc_size(q, area + 5000) == 70000);
	CHECK(quire_vmalloc_start(q, area + 5000) == area);
	CHECK(quire_vmap_walk(q, is_counted, &bytes) != 0 && bytes >= 70000);
	quire_vfree(q, area);
}

static void purges(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < AREAS; i++)
		quire_vfree(scene.q, quire_vmalloc(scene.q, (i + 1) * 65536, QUIRE_ZERO));
	CHECK(quire_vmap_purge(scene.q) != 0);
	quire_vm_unmap_aliases(scene.q);
}

static void maps_pages(void *arg)
{
	struct quire *q = scene.mapped;

	(void)arg;
	for (unsigned i = 0; i < MAPPED; i++)
		scene.mapped_pages[i] = quire_alloc_pages(q, 0, 0);
	for (unsigned i = 0; i < AREAS; i++) {
		scene.mappings[i] = quire_vmap(q, scene.mapped_pages, i + 1, 0);
		CHECK(scene.mappings[i] != NULL);
	}
	for (unsigned i = 0; i < AREAS; i++)
		quire_vunmap(q, scene.mappings[i]);
	for (unsigned i = 0; i < AREAS; i++) {
		scene.mappings[i] = quire_vm_map_ram(q, scene.mapped_pages, i + 1, 0);
		CHECK(scene.mappings[i] != NULL);
	}
	for (unsigned i = 0; i < AREAS; i++)
		quire_vm_unmap_ram(q, scene.mappings[i], i + 1);
	quire_vm_unmap_aliases(q);
	CHECK(quire_verify(q) == 0);
}

/* ---- object caches ---- */

static void uses_caches(void *arg)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "stack", .size = 200,
					 .flags = QUIRE_CACHE_POISON | QUIRE_CACHE_RED_ZONE);
	struct quire_cache_stat stat = QUIRE_CACHE_STAT_INIT;
	struct quire_slab_stat all = QUIRE_SLAB_STAT_INIT;
	struct quire *q = scene.q;
	struct quire_cache *cache;
	void *object;

	(void)arg;
	CHECK(quire_cache_create(q, &options, &cache) == 0);
	object = quire_cache_alloc(cache, 0);
	CHECK(object != NULL && quire_cache_size(cache) == 200);
	CHECK(quire_cache_used(cache, scene.objects, 1) == 1 && scene.objects[0] == object);
	quire_cache_free(cache, object);
	CHECK(quire_cache_stat_read(cache, &stat) == 0);
	CHECK(quire_slab_stat_read(q, &all) == 0);
	CHECK(quire_text_slabinfo(q, scene.text, sizeof(scene.text)) != 0);
	CHECK(quire_stat_json(q, scene.text, sizeof(scene.text)) != 0);
	CHECK(quire_stat_prometheus(q, scene.text, sizeof(scene.text)) != 0);
	quire_cache_shrink(cache);
	CHECK(quire_cache_destroy(cache) == 0);
}

static void uses_caches_in_bulk(void *arg)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "stack", .size = 64);
	struct quire_cache *cache;

	(void)arg;
	CHECK(quire_cache_create(scene.q, &options, &cache) == 0);
	CHECK(quire_cache_alloc_bulk(cache, 0, 500, scene.objects) == 500);
	quire_cache_free_bulk(cache, 500, scene.objects);
	CHECK(quire_cache_destroy(cache) == 0);
}

/* ---- per-CPU memory ---- */

static void uses_percpu(void *arg)
{
	struct quire *q = scene.q;

	(void)arg;
	for (unsigned i = 0; i < OBJECTS; i++) {
		scene.objects[i] = quire_alloc_percpu(q, 8 + i % 500, 8, 0);
		CHECK(scene.objects[i] != NULL && quire_percpu_bytes(q, scene.objects[i]) != 0);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		quire_free_percpu(q, scene.objects[i]);
	scene.objects[0] = quire_alloc_reserved_percpu(q, 8, 8);
	CHECK(scene.objects[0] != NULL);
	quire_free_percpu(q, scene.objects[0]);
	quire_percpu_shrink(q);
}

static void uses_percpu_in_bulk(void *arg)
{
	struct quire_percpu_request request = QUIRE_PERCPU_REQUEST_INIT(.bytes = 64);
	size_t n = quire_alloc_percpu_bulk(scene.q, &request, scene.objects, 500);

	(void)arg;
	CHECK(n == 500);
	quire_free_percpu_bulk(scene.q, scene.objects, n);
}

static void defines(void *arg)
{
	static const long content = 5;
	static long *pointer;
	const struct quire_percpu_variable variable =
		QUIRE_PERCPU_VARIABLE_INIT(.pointer = (void **)&pointer, .content = &content,
					   .bytes = sizeof(long), .align = sizeof(long));

	(void)arg;
	quire_percpu_define(&variable);
	CHECK(pointer != NULL && *pointer == 5);
	quire_percpu_undefine(&variable);
}

static void does_this_cpu(void *arg)
{
	uint64_t *ptr = QUIRE_ALLOC_PERCPU(scene.q, uint64_t);
	struct quire_this_cpu_words words;

	(void)arg;
	CHECK(ptr != NULL);
	quire_this_cpu_fill(&words);
	quire_this_cpu_do(QUIRE_THIS_CPU_ADD | sizeof(*ptr), ptr, 3, 0);
	CHECK(quire_per_cpu_sum_bytes(ptr, sizeof(*ptr)) == 3);
	CHECK(quire_this_cpu_copy(ptr) != NULL);
	quire_free_percpu(scene.q, ptr);
}

static void counts(struct quire_percpu_counter *counter)
{
	quire_percpu_counter_add(counter, 5);
	quire_percpu_counter_add_batch(counter, 5, 1);
	(void)quire_percpu_counter_read(counter);
	(void)quire_percpu_counter_sum(counter);
	CHECK(!quire_percpu_counter_limited_add(counter, 0, 1));
	quire_percpu_counter_set(counter, 12);
	quire_percpu_counter_sync(counter);
	CHECK(quire_percpu_counter_compare(counter, 12) == 0);
}

static void uses_a_counter(void *arg)
{
	struct quire_percpu_counter counter;

	(void)arg;
	CHECK(quire_percpu_counter_init(scene.q, &counter, 2, 0) == 0);
	counts(&counter);
	quire_percpu_counter_destroy(&counter);
}

static void is_released(struct quire_percpu_ref *ref)
{
	(void)ref;
}

static void refers(struct quire_percpu_ref *ref)
{
	quire_percpu_ref_get(ref);
	quire_percpu_ref_get_many(ref, 2);
	CHECK(quire_percpu_ref_tryget(ref) && quire_percpu_ref_tryget_live(ref));
	CHECK(!quire_percpu_ref_is_zero(ref) && !quire_percpu_ref_is_dying(ref));
	CHECK(quire_percpu_ref_tryget_many(ref, 3));
	quire_percpu_ref_put_many(ref, 7);
	quire_percpu_ref_put(ref);
}

static void uses_a_ref(void *arg)
{
	struct quire_percpu_ref ref;

	(void)arg;
	CHECK(quire_percpu_ref_init(scene.q, &ref, is_released, 0) == 0);
	refers(&ref);
	quire_percpu_ref_switch_to_atomic(&ref);
	quire_percpu_ref_switch_to_percpu(&ref);
	quire_percpu_ref_kill(&ref);
	quire_percpu_ref_resurrect(&ref);
	quire_percpu_ref_kill_and_confirm(&ref, is_released);
	CHECK(quire_percpu_ref_is_zero(&ref));
	quire_percpu_ref_reinit(&ref);
	quire_percpu_ref_kill(&ref);
	quire_percpu_ref_exit(&ref);
}

/* ---- refusals ---- */

/* The reserve as well, which is there for those who may not wait.  Bounded: an instance that never
 * refuses is an error of its own. */
static void fill(struct quire *q)
{
	const unsigned flags[] = { 0, QUIRE_ATOMIC, QUIRE_NOLOCK };
	unsigned pages_nr = 0;

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		void *page = quire_alloc_pages(q, 0, flags[i]);

		for (; page != NULL && pages_nr < REFUSED_MAX; pages_nr++) {
			scene.full_page = page;
			page = quire_alloc_pages(q, 0, flags[i]);
		}
	}
	CHECK(pages_nr < REFUSED_MAX);
}

static void refuses_pages(struct quire *q, unsigned flags)
{
	void *slots[4] = { NULL };

	CHECK(quire_alloc_pages(q, 0, flags) == NULL && quire_alloc_pages(q, 3, flags) == NULL);
	CHECK(quire_alloc_pages_bulk(q, slots, 4, flags) == 0);
	CHECK(quire_alloc_pages_exact(q, 20000, flags) == NULL);
	CHECK(quire_kvmalloc(q, 1000, flags) == NULL);
}

static void refuses_areas(struct quire *q, unsigned flags)
{
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = 65536, .flags = flags);

	CHECK(quire_vmalloc(q, REFUSED_SIZE, flags) == NULL);
	CHECK(quire_vzalloc(q, REFUSED_SIZE, flags) == NULL);
	CHECK(quire_vmalloc_with(q, REFUSED_SIZE, &options) == NULL);
	CHECK(quire_vrealloc(q, NULL, REFUSED_SIZE, flags) == NULL);
	CHECK(quire_vrealloc(q, scene.live_area, REFUSED_SIZE, flags) == NULL);
	CHECK(quire_kvmalloc(q, REFUSED_SIZE, flags) == NULL);
	CHECK(quire_vmap(q, &scene.full_page, 1, flags) == NULL);
}

static void refuses_percpu(struct quire *q, unsigned flags)
{
	struct quire_percpu_request request =
		QUIRE_PERCPU_REQUEST_INIT(.bytes = 32768, .flags = flags);
	void *object;

	CHECK(quire_alloc_percpu(q, 32768, 8, flags) == NULL);
	CHECK(quire_alloc_percpu_bulk(q, &request, &object, 1) == 0);
}

static void refuses(void *arg)
{
	const unsigned *flags = arg;

	refuses_pages(scene.full, *flags);
	refuses_areas(scene.full, *flags);
	refuses_percpu(scene.full, *flags);
}

/* Sixteen bytes a CPU are there until the pages of per-CPU memory are, too. */
static void refuses_slots(void *arg)
{
	struct quire_percpu_counter counter;
	struct quire_percpu_ref ref;
	unsigned n = 0;

	(void)arg;
	while (n < REFUSED_MAX && quire_alloc_percpu(scene.full, 16, 8, 0) != NULL)
		n++;
	CHECK(n < REFUSED_MAX);
	while (n < REFUSED_MAX && quire_alloc_percpu(scene.full, 8, 8, 0) != NULL)
		n++;
	CHECK(quire_percpu_counter_init(scene.full, &counter, 0, 0) != 0);
	CHECK(quire_percpu_ref_init(scene.full, &ref, is_released, 0) != 0);
}

static void fills_one(void *arg)
{
	CHECK(quire_create(arg, &scene.full) == 0);
	scene.live_area = quire_vmalloc(scene.full, 4096, 0);
	CHECK(scene.live_area != NULL);
	fill(scene.full);
}

static void refuses_to_be(void *arg)
{
	const struct quire_options wrong = QUIRE_OPTIONS_INIT(.zones = 99);
	const struct quire_options tiny = QUIRE_OPTIONS_INIT(.limit_bytes = 4096);
	struct quire *q;

	(void)arg;
	CHECK(quire_create(&wrong, &q) != 0 && quire_create(&tiny, &q) != 0);
}

static void ends_the_full_one(void *arg)
{
	(void)arg;
	quire_destroy(scene.full);
	scene.full = NULL;
}

static const unsigned waiting = 0, never_waiting = QUIRE_NOWAIT, urgent = QUIRE_ATOMIC,
		      without_locks = QUIRE_NOLOCK;

const struct stack_call stack_calls[] = {
	{ "create and destroy, 8 zones", creates_and_destroys, &many },
	{ "default", makes_the_default, NULL },
	{ "options", parses, NULL },
	{ "questions", asks, NULL },
	{ "pages", allocates_pages, NULL },
	{ "pages' free", frees_pages, NULL },
	{ "shrinkers", has_a_shrinker, NULL },
	{ "release", releases, NULL },
	{ "orders, bulk, exact, split", uses_pages_otherwise, NULL },
	{ "drain, poll, worker", drains_and_polls, NULL },
	{ "isolate, offline", isolates, NULL },
	{ "areas", uses_areas, NULL },
	{ "areas by place, queries, walk", asks_about_areas, NULL },
	{ "purge, aliases", purges, NULL },
	{ "release of areas", releases, NULL },
	{ "create, memfd", makes_one_with_mappings, &mapped },
	{ "mappings", maps_pages, NULL },
	{ "object caches", uses_caches, NULL },
	{ "object caches in bulk", uses_caches_in_bulk, NULL },
	{ "per-CPU", uses_percpu, NULL },
	{ "per-CPU in bulk", uses_percpu_in_bulk, NULL },
	{ "per-CPU variables", defines, NULL },
	{ "this_cpu out of line", does_this_cpu, NULL },
	{ "counter", uses_a_counter, NULL },
	{ "reference", uses_a_ref, NULL },
	{ "create, refused", refuses_to_be, NULL },
	{ "until refused", fills_one, &small },
	{ "refusals", refuses, &waiting },
	{ "refusals, NOWAIT", refuses, &never_waiting },
	{ "refusals, ATOMIC", refuses, &urgent },
	{ "refusals of slots", refuses_slots, NULL },
	{ "destroy of a full one", ends_the_full_one, NULL },
	{ "texts, statistics", reads, NULL },
	{ "verify", verifies, NULL },
};
const size_t stack_calls_nr = sizeof(stack_calls) / sizeof(stack_calls[0]);

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
	n = quire_alloc_pages_bulk(scene.q, scene.pages, 500, QUIRE_NOLOCK);
	quire_free_pages_bulk(scene.q, scene.pages, n);
}

static void handler_orders(void *arg)
{
	struct quire *q = scene.q;
	char *block = scene.live_block;

	(void)arg;
	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++)
		quire_free_pages(q, quire_alloc_pages(q, order, QUIRE_NOLOCK), order);
	quire_free_pages_exact(q, quire_alloc_pages_exact(q, 20000, QUIRE_NOLOCK), 20000);
	CHECK(quire_block_order(q, block) == 3);
	CHECK(quire_page_address(q, block) == block);
	quire_split_pages(q, block, 3);
	for (unsigned i = 0; i < 8; i++)
		quire_free_pages(q, block + i * quire_page_bytes(q), 0);
	(void)quire_slot(q);
	(void)quire_cpu();
	(void)quire_slots(q);
	CHECK(quire_rule_text(0)[0] != '\0');
}

static void handler_areas(void *arg)
{
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = 65536, .flags = QUIRE_NOLOCK);
	struct quire *q = scene.q;

	(void)arg;
	for (unsigned i = 0; i < AREAS; i++)
		scene.areas[i] = quire_vmalloc(q, (i % 20 + 1) * 4096, QUIRE_NOLOCK);
	for (unsigned i = 0; i < AREAS; i += 2) {
		void *moved = quire_vrealloc(q, scene.areas[i], 100000, QUIRE_NOLOCK);

		if (moved != NULL)
			scene.areas[i] = moved;
	}
	for (unsigned i = 0; i < AREAS; i++)
		quire_vfree(q, scene.areas[i]);
	quire_vfree(q, quire_vzalloc(q, 4096, QUIRE_NOLOCK));
	quire_vfree(q, quire_vmalloc_with(q, 70000, &options));
	quire_kvfree(q, quire_kvmalloc(q, 100000, QUIRE_NOLOCK));
	quire_kvfree(q, quire_kvmalloc(q, 1000, QUIRE_NOLOCK));
}

/* The mappings were made outside: all but vmap() may wait. */
static void handler_mappings(void *arg)
{
	struct quire *q = scene.mapped;

	(void)arg;
	quire_vunmap(q, quire_vmap(q, scene.mapped_pages, MAPPED, QUIRE_NOLOCK));
	for (unsigned i = 0; i < AREAS / 2; i++)
		quire_vunmap(q, scene.mappings[i]);
	for (unsigned i = AREAS / 2; i < AREAS; i++)
		quire_vm_unmap_ram(q, scene.mappings[i], i + 1);
}

static void handler_percpu(void *arg)
{
	struct quire_percpu_request request =
		QUIRE_PERCPU_REQUEST_INIT(.bytes = 64, .flags = QUIRE_NOLOCK);
	size_t n;

	(void)arg;
	for (unsigned i = 0; i < OBJECTS; i++)
		scene.objects[i] = quire_alloc_percpu(scene.q, 8 + i % 500, 8, QUIRE_NOLOCK);
	for (unsigned i = 0; i < OBJECTS; i++)
		quire_free_percpu(scene.q, scene.objects[i]);
	n = quire_alloc_percpu_bulk(scene.q, &request, scene.objects, 500);
	quire_free_percpu_bulk(scene.q, scene.objects, n);
}

static void handler_counter(void *arg)
{
	struct quire_percpu_counter counter;

	(void)arg;
	counts(&scene.counter);
	if (quire_percpu_counter_init(scene.q, &counter, 2, QUIRE_NOLOCK) == 0) {
		counts(&counter);
		quire_percpu_counter_destroy(&counter);
	}
}

static void handler_ref(void *arg)
{
	(void)arg;
	refers(&scene.ref);
}

static void handler_this_cpu(void *arg)
{
	uint64_t *ptr = scene.live_object;

	(void)arg;
	quire_this_cpu_do(QUIRE_THIS_CPU_ADD | sizeof(*ptr), ptr, 3, 0);
	CHECK(quire_per_cpu_sum_bytes(ptr, sizeof(*ptr)) == 3);
}

const struct stack_call stack_handler_calls[] = {
	{ "handler: pages", handler_takes_pages, NULL },
	{ "handler: pages' free", handler_frees_pages, NULL },
	{ "handler: bulk", handler_bulk, NULL },
	{ "handler: orders, exact, split", handler_orders, NULL },
	{ "handler: areas", handler_areas, NULL },
	{ "handler: mappings", handler_mappings, NULL },
	{ "handler: per-CPU", handler_percpu, NULL },
	{ "handler: counter", handler_counter, NULL },
	{ "handler: reference", handler_ref, NULL },
	{ "handler: this_cpu", handler_this_cpu, NULL },
	{ "handler: refusals", refuses, &without_locks },
};
const size_t stack_handler_calls_nr = sizeof(stack_handler_calls) / sizeof(stack_handler_calls[0]);

void stack_calls_prepare_handler(void)
{
	CHECK(quire_percpu_counter_init(scene.q, &scene.counter, 0, 0) == 0);
	CHECK(quire_percpu_ref_init(scene.q, &scene.ref, is_released, 0) == 0);
	scene.live_object = QUIRE_ALLOC_PERCPU(scene.q, uint64_t);
	scene.live_block = quire_alloc_pages(scene.q, 3, 0);
	CHECK(scene.live_object != NULL && scene.live_block != NULL);
	fills_one((void *)(uintptr_t)&small);
	for (unsigned i = 0; i < AREAS / 2; i++)
		scene.mappings[i] = quire_vmap(scene.mapped, scene.mapped_pages, i + 1, 0);
	for (unsigned i = AREAS / 2; i < AREAS; i++)
		scene.mappings[i] = quire_vm_map_ram(scene.mapped, scene.mapped_pages, i + 1, 0);
}

int stack_calls_verify(void)
{
	struct quire *all[] = { scene.q, scene.mapped, scene.full };
	int rule = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]) && rule == 0; i++)
		rule = quire_verify(all[i]);
	return rule;
}
