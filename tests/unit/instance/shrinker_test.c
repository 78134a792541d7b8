/* SPDX-License-Identifier: MIT */
/* shrinker_test.c - when the program's caches are asked for memory, in which order, and on which thread */
#include "quire_test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/slab.h>
#include <quire/vmap.h>

#include "instance/shrinker.h"

#define PAGES_MAX  16384u
#define CACHED_MAX 64u
#define LOG_MAX	   256u

enum kind {
	A_PAGE,
	AN_AREA,
	AN_OBJECT
};

/* A cache of the test's; each entry is freed as its kind says. */
struct cache {
	struct quire *q;
	enum kind kind;
	void *entry[CACHED_MAX];
	unsigned entries_nr, calls, depth, depth_most;
	size_t asked_most;
	bool gives_all; /* whatever it is asked for */
	uint64_t id;
	void (*also)(struct cache *cache); /* called in scan(), before anything is freed */
	struct quire *other;
	sem_t entered, may_leave;
};

static void *filler[PAGES_MAX]; /* what the test holds so that there is no memory */
static unsigned filler_nr;
static const struct cache *called[LOG_MAX];
static unsigned called_nr;

static struct quire *make_of(const struct quire_options *options)
{
	struct quire *q = NULL;

	assert_int_equal(quire_create(options, &q), 0);
	called_nr = filler_nr = 0;
	return q;
}

static struct quire *make_with(uint64_t limit_bytes, uint64_t span_bytes)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .vmap_span_bytes = span_bytes,
				   .units = 2, .worker = QUIRE_WORKER_OFF);

	return make_of(&options);
}

static struct quire *make(void)
{
	return make_with(MIB(16), 0);
}

static void fill(struct quire *q)
{
	void *page;

	while ((page = quire_alloc_pages(q, 0, 0)) != NULL) {
		assert_true(filler_nr < PAGES_MAX);
		filler[filler_nr++] = page;
	}
}

static void *entry_alloc(struct quire *q, enum kind kind, unsigned flags)
{
	if (kind == A_PAGE)
		return quire_alloc_pages(q, 0, flags);
	if (kind == AN_AREA)
		return quire_vmalloc(q, KIB(64), flags);
	return quire_alloc_percpu(q, KIB(4), 0, flags);
}

static size_t entry_free(struct cache *cache)
{
	void *entry = cache->entry[--cache->entries_nr];

	if (cache->kind == A_PAGE)
		quire_free_pages(cache->q, entry, 0);
	else if (cache->kind == AN_AREA)
		quire_vfree(cache->q, entry);
	else
		quire_free_percpu(cache->q, entry);
	return cache->kind == AN_AREA ? KIB(64) : KIB(4);
}

static size_t scan(size_t bytes, void *arg)
{
	struct cache *cache = arg;
	size_t given = 0;

	cache->calls++;
	if (++cache->depth > cache->depth_most)
		cache->depth_most = cache->depth;
	if (bytes > cache->asked_most)
		cache->asked_most = bytes;
	if (called_nr < LOG_MAX)
		called[called_nr++] = cache;
	if (cache->also != NULL)
		cache->also(cache);
	while ((given < bytes || cache->gives_all) && cache->entries_nr != 0)
		given += entry_free(cache);
	cache->depth--;
	return given;
}

static void cache_register(struct cache *cache, struct quire *q, uint32_t cost)
{
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.cost = cost, .name = "a cache", .scan = scan, .arg = cache);

	cache->q = q;
	assert_int_equal(quire_shrinker_register(q, &shrinker, &cache->id), 0);
	assert_true(cache->id != 0);
}

static void cache_fill(struct cache *cache, struct quire *q, enum kind kind, unsigned entries_nr)
{
	cache->q = q;
	cache->kind = kind;
	while (cache->entries_nr < entries_nr) {
		cache->entry[cache->entries_nr] = entry_alloc(q, kind, 0);
		assert_non_null(cache->entry[cache->entries_nr]);
		cache->entries_nr++;
	}
}

static void cache_init(struct cache *cache)
{
	*cache = (struct cache){ .entries_nr = 0 };
	assert_int_equal(sem_init(&cache->entered, 0, 0), 0);
	assert_int_equal(sem_init(&cache->may_leave, 0, 0), 0);
}

/* ---- when, and in which order ---- */

static void the_cheapest_is_called_first(void **state)
{
	static const uint32_t costs[] = { 5, 1, 5, 0 };
	static const unsigned order[] = { 3, 1, 0, 2 };
	struct quire *q = make();
	struct cache cache[4];
	unsigned at = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		cache_init(&cache[i]);
		cache_register(&cache[i], q, costs[i]);
		cache_fill(&cache[i], q, A_PAGE, 20);
	}
	fill(q);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(cache[i].entries_nr, 0);
	/* Whoever is called after another in the order never comes again before it. */
	for (unsigned i = 0; i < called_nr; i++) {
		if (at < 3 && called[i] == &cache[order[at + 1]] && cache[order[at]].calls != 0)
			at++;
		if (i != 0 && called[i] != called[i - 1] && called[i] == &cache[order[0]])
			at = 0; /* the next refused allocation begins at the cheapest */
		assert_ptr_equal(called[i], &cache[order[at]]);
	}
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void only_as_much_as_is_needed_is_given_up(void **state)
{
	struct quire *q = make();
	struct cache cheap, dear;

	(void)state;
	cache_init(&cheap);
	cache_init(&dear);
	cache_fill(&cheap, q, A_PAGE, 2);
	cache_fill(&dear, q, A_PAGE, 2);
	fill(q);
	cache_register(&dear, q, 2);
	cache_register(&cheap, q, 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_non_null(quire_alloc_pages(q, 0, 0));
		assert_int_equal(cheap.entries_nr, 1 - i);
		assert_int_equal(dear.calls, 0);
	}
	assert_int_equal(cheap.asked_most, quire_page_bytes(q));
	quire_destroy(q);
}

/* What was given before an allocation came serves it at its ordinary attempts, if at all. */
static void no_attempt_is_repeated_for_what_was_given_before(void **state)
{
	struct quire *q = make();
	struct shrinkers_walk walk;
	struct cache cache;

	(void)state;
	cache_init(&cache);
	cache_fill(&cache, q, A_PAGE, 1);
	fill(q);
	cache_register(&cache, q, 1);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(cache.entries_nr, 0);
	walk = shrinkers_walk_begin(q, KIB(4));
	assert_false(shrinkers_step(q, &walk));
	quire_destroy(q);
}

static void none_is_called_while_there_is_memory(void **state)
{
	struct quire *q = make();
	struct cache cache;

	(void)state;
	cache_init(&cache);
	quire_vfree(q, quire_vmalloc(q, KIB(256), 0));
	cache_fill(&cache, q, A_PAGE, 8);
	fill(q);
	cache_register(&cache, q, 1);
	/* It is on stacks and lists, and in freed areas. */
	for (unsigned i = 0; i < 256; i++)
		quire_free_pages(q, filler[--filler_nr], 0);
	for (unsigned i = 0; i < 128; i++)
		assert_non_null(quire_alloc_pages(q, 0, QUIRE_MOVABLE));
	quire_vfree(q, quire_vmalloc(q, KIB(256), 0));
	for (unsigned i = 0; i < 64; i++)
		assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(cache.calls, 0);
	fill(q);
	assert_true(cache.calls != 0);
	quire_destroy(q);
}

static void none_is_called_for_a_caller_that_may_not_wait(void **state)
{
	static const unsigned flags[] = { QUIRE_NOWAIT, QUIRE_NOLOCK, QUIRE_NORETRY,
					  QUIRE_NOWAIT | QUIRE_NOLOCK, QUIRE_ATOMIC };
	struct quire *q = make();
	struct cache cache;

	(void)state;
	cache_init(&cache);
	for (enum kind kind = A_PAGE; kind <= AN_OBJECT; kind++)
		assert_non_null(entry_alloc(q, kind, 0));
	cache_fill(&cache, q, A_PAGE, 8);
	fill(q);
	cache_register(&cache, q, 1);
	for (enum kind kind = A_PAGE; kind <= AN_OBJECT; kind++)
		for (unsigned i = 0; i < 5; i++)
			for (unsigned j = 0; j < PAGES_MAX; j++)
				if (entry_alloc(q, kind, flags[i]) == NULL)
					break;
	assert_int_equal(cache.calls, 0);
	quire_destroy(q);
}

static void none_is_called_for_what_no_cache_could_serve(void **state)
{
	struct quire *q = make();
	struct cache cache;

	(void)state;
	cache_init(&cache);
	cache_fill(&cache, q, A_PAGE, 8);
	cache_register(&cache, q, 1);
	assert_null(quire_vmalloc(q, MIB(17), 0));
	assert_int_equal(cache.calls, 0);
	quire_destroy(q);
}

/* Every kind of request is served by every kind of cache. */
static void all_requests_are_served_by_all_caches(void **state)
{
	(void)state;
	for (enum kind wanted = A_PAGE; wanted <= AN_OBJECT; wanted++) {
		for (enum kind kind = A_PAGE; kind <= AN_OBJECT; kind++) {
			struct quire *q = make();
			struct cache cache;
			unsigned got = 0;

			cache_init(&cache);
			assert_non_null(entry_alloc(q, wanted, 0));
			cache_fill(&cache, q, kind, CACHED_MAX);
			fill(q);
			while (entry_alloc(q, wanted, 0) != NULL)
				continue;
			fill(q);
			cache_register(&cache, q, 1);
			while (entry_alloc(q, wanted, 0) != NULL)
				got++;
			assert_true(got != 0);
			assert_int_equal(cache.entries_nr, 0);
			assert_int_equal(quire_verify(q), 0);
			quire_destroy(q);
		}
	}
}

/* ---- before anything of its kind was asked for ---- */

static bool first_area(struct quire *q, unsigned flags)
{
	return quire_vmalloc(q, KIB(4), flags) != NULL;
}

static bool first_area_with_options(struct quire *q, unsigned flags)
{
	const struct quire_vmalloc_options options = QUIRE_VMALLOC_OPTIONS_INIT(.flags = flags);

	return quire_vmalloc_with(q, KIB(4), &options) != NULL;
}

/* More than the run of pages that it is at first. */
static bool first_memory_of_any_size(struct quire *q, unsigned flags)
{
	return quire_kvmalloc(q, KIB(8), flags) != NULL;
}

static bool first_object(struct quire *q, unsigned flags)
{
	return quire_alloc_percpu(q, 64, 0, flags) != NULL;
}

static bool first_reserved_object(struct quire *q, unsigned flags)
{
	(void)flags;
	return quire_alloc_reserved_percpu(q, 64, 0) != NULL;
}

static bool first_object_cache(struct quire *q, unsigned flags)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "first", .size = 64);
	struct quire_cache *cache;

	(void)flags;
	return quire_cache_create(q, &options, &cache) == 0;
}

static const struct first {
	bool (*call)(struct quire *q, unsigned flags);
	bool has_flags;
} firsts[] = {
	{ first_area, true },
	{ first_area_with_options, true },
	{ first_memory_of_any_size, true },
	{ first_object, true },
	{ first_reserved_object, false },
	{ first_object_cache, false },
};

/* At the limit, with 256 KiB of it in a cache. */
static struct quire *make_full(struct cache *cache, enum quire_switch rseq)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(16), .units = 2, .worker = QUIRE_WORKER_OFF,
				   .rseq = rseq);
	struct quire *q = make_of(&options);

	cache_init(cache);
	cache_fill(cache, q, A_PAGE, CACHED_MAX);
	fill(q);
	cache_register(cache, q, 1);
	return q;
}

static void a_first_request_at_the_limit_is_served_by_a_cache(void **state)
{
	static const enum quire_switch rseqs[] = { QUIRE_ON, QUIRE_OFF };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned j = 0; j < sizeof(firsts) / sizeof(firsts[0]); j++) {
			struct cache cache;
			struct quire *q = make_full(&cache, rseqs[i]);

			assert_true(firsts[j].call(q, 0));
			assert_true(cache.calls != 0);
			assert_int_equal(cache.depth_most, 1);
			assert_int_equal(quire_verify(q), 0);
			quire_destroy(q);
		}
	}
}

/* The limit is reached by the requests themselves. */
static void memory_of_any_size_is_served_until_no_cache_has_any(void **state)
{
	struct quire *q = make();
	struct cache cache;

	(void)state;
	cache_init(&cache);
	cache_fill(&cache, q, A_PAGE, CACHED_MAX);
	cache_register(&cache, q, 1);
	while (quire_kvmalloc(q, KIB(8), 0) != NULL)
		continue;
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(cache.entries_nr, 0);
	quire_destroy(q);
}

static void none_is_called_for_a_first_request_that_may_not_wait(void **state)
{
	static const unsigned flags[] = { QUIRE_NOWAIT, QUIRE_NOLOCK, QUIRE_NORETRY, QUIRE_ATOMIC };

	(void)state;
	for (unsigned i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		struct cache cache;
		struct quire *q = make_full(&cache, QUIRE_DEFAULT);

		for (unsigned j = 0; firsts[i].has_flags && j < 4; j++)
			assert_true(!firsts[i].call(q, flags[j]) || flags[j] == QUIRE_ATOMIC);
		assert_int_equal(cache.calls, 0);
		quire_destroy(q);
	}
}

static void none_is_called_for_a_first_area_larger_than_the_limit(void **state)
{
	struct cache cache;
	struct quire *q = make_full(&cache, QUIRE_DEFAULT);

	(void)state;
	assert_null(quire_vmalloc(q, MIB(17), 0));
	assert_int_equal(cache.calls, 0);
	quire_destroy(q);
}

/* Without memory, and without a cache that has any, the next request is served once there is some. */
static void a_first_request_that_is_refused_can_be_repeated(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		struct quire *q = make();

		fill(q);
		assert_false(firsts[i].call(q, 0));
		for (unsigned j = 0; j < CACHED_MAX; j++)
			quire_free_pages(q, filler[--filler_nr], 0);
		assert_true(firsts[i].call(q, 0));
		assert_int_equal(quire_verify(q), 0);
		quire_destroy(q);
	}
}

/* ---- what is asked for ---- */

/* Memory is there, but addresses are not. */
static void caches_give_up_addresses_too(void **state)
{
	struct quire *q = make_with(MIB(64), MIB(8));
	struct cache cache;
	unsigned before = 0, after = 0;

	(void)state;
	cache_init(&cache);
	cache_fill(&cache, q, AN_AREA, 32);
	while (quire_vmalloc(q, KIB(64), 0) != NULL)
		before++;
	assert_true(before != 0);
	cache_register(&cache, q, 1);
	while (quire_vmalloc(q, KIB(64), 0) != NULL)
		after++;
	assert_int_equal(after, 32);
	quire_destroy(q);
}

/* A run of 64 pages needs neighbours: one page given up does not help, and the calls ask for more. */
static void a_shrinker_is_asked_for_more_each_time(void **state)
{
	struct quire *q = make();
	struct cache cache;

	(void)state;
	cache_init(&cache);
	cache_fill(&cache, q, A_PAGE, CACHED_MAX);
	fill(q);
	cache_register(&cache, q, 1);
	assert_null(quire_alloc_pages(q, 10, 0));
	assert_int_equal(cache.entries_nr, 0);
	assert_null(quire_alloc_pages(q, 10, 0));
	assert_int_equal(cache.calls, 3); /* all, nothing; nothing */
	assert_int_equal(cache.asked_most, MIB(8));
	quire_destroy(q);
}

/* What says that it has more for ever is asked at most for the limit. */
static size_t lies(size_t bytes, void *arg)
{
	(*(unsigned *)arg)++;
	return bytes;
}

static void a_shrinker_that_lies_is_called_a_bounded_number_of_times(void **state)
{
	struct quire *q = make();
	unsigned calls = 0;
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "liar", .scan = lies, .arg = &calls);
	uint64_t id;

	(void)state;
	fill(q);
	assert_int_equal(quire_shrinker_register(q, &shrinker, &id), 0);
	assert_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(calls, 13); /* 4 KiB to 16 MiB, both included */
	quire_destroy(q);
}

/* ---- in a call ---- */

static void allocates(struct cache *cache)
{
	void *page = quire_alloc_pages(cache->q, 0, 0), *area = quire_vmalloc(cache->q, KIB(64), 0);

	assert_null(page);
	assert_null(area);
	assert_int_equal(errno, ENOMEM);
}

static void a_shrinker_that_allocates_calls_none(void **state)
{
	struct quire *q = make();
	struct cache cache, second;

	(void)state;
	cache_init(&cache);
	cache_init(&second);
	quire_vfree(q, quire_vmalloc(q, KIB(4), 0));
	cache_fill(&cache, q, A_PAGE, 8);
	fill(q);
	cache.also = allocates;
	cache_register(&cache, q, 1);
	cache_register(&second, q, 2);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(cache.calls, 1);
	assert_int_equal(cache.depth_most, 1);
	assert_int_equal(second.calls, 0);
	quire_destroy(q);
}

static void unregisters_itself(struct cache *cache)
{
	quire_shrinker_unregister(cache->q, cache->id);
}

static void a_shrinker_may_unregister_itself(void **state)
{
	struct quire *q = make();
	struct cache cache, second;

	(void)state;
	cache_init(&cache);
	cache_init(&second);
	cache_fill(&cache, q, A_PAGE, 8);
	fill(q);
	cache.also = unregisters_itself;
	cache_register(&cache, q, 1);
	cache_register(&second, q, 2);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(cache.calls, 1);
	assert_int_equal(second.calls, 1);
	quire_destroy(q);
}

static void registers_another(struct cache *cache)
{
	static struct cache another;

	if (cache->calls != 1)
		return;
	cache_init(&another);
	cache_register(&another, cache->q, 3);
}

/* Also one that comes later in the order of the walk under way. */
static void a_shrinker_may_register_another(void **state)
{
	struct quire *q = make();
	struct cache cache;

	(void)state;
	cache_init(&cache);
	fill(q);
	cache.also = registers_another;
	cache_register(&cache, q, 1);
	assert_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(called_nr, 2);
	quire_destroy(q);
}

/* ---- beside other threads ---- */

static void stays_inside(struct cache *cache)
{
	assert_int_equal(sem_post(&cache->entered), 0);
	assert_int_equal(sem_wait(&cache->may_leave), 0);
}

static void *takes_a_page(void *arg)
{
	return quire_alloc_pages(arg, 0, 0);
}

/* A thread that is in the call of @cache, which has @entries_nr pages. */
static pthread_t thread_inside(struct cache *cache, struct quire *q, unsigned entries_nr)
{
	pthread_t thread;

	cache_init(cache);
	cache_fill(cache, q, A_PAGE, entries_nr);
	fill(q);
	cache->also = stays_inside;
	cache_register(cache, q, 1);
	assert_int_equal(pthread_create(&thread, NULL, takes_a_page, q), 0);
	assert_int_equal(sem_wait(&cache->entered), 0);
	return thread;
}

struct leaver {
	struct cache *cache;
	bool returned; /* atomic */
};

static void *unregisters(void *arg)
{
	struct leaver *leaver = arg;

	quire_shrinker_unregister(leaver->cache->q, leaver->cache->id);
	__atomic_store_n(&leaver->returned, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static void unregistering_waits_for_the_call_of_another_thread(void **state)
{
	struct quire *q = make();
	struct cache cache;
	pthread_t inside = thread_inside(&cache, q, 1), other;
	struct leaver leaver = { .cache = &cache };
	void *page;

	(void)state;
	assert_int_equal(pthread_create(&other, NULL, unregisters, &leaver), 0);
	usleep(20000);
	assert_false(__atomic_load_n(&leaver.returned, __ATOMIC_SEQ_CST));
	assert_int_equal(sem_post(&cache.may_leave), 0);
	assert_int_equal(pthread_join(other, NULL), 0);
	assert_int_equal(pthread_join(inside, &page), 0);
	assert_non_null(page);
	assert_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(cache.calls, 1);
	quire_destroy(q);
}

/* It is served by what that call gives up, so it makes none of its own. */
static void an_allocation_waits_for_the_call_of_another_thread(void **state)
{
	struct quire *q = make();
	struct cache cache;
	pthread_t inside = thread_inside(&cache, q, 2), other;
	void *page;

	(void)state;
	assert_int_equal(pthread_create(&other, NULL, takes_a_page, q), 0);
	usleep(20000);
	cache.gives_all = true;
	assert_int_equal(sem_post(&cache.may_leave), 0);
	assert_int_equal(pthread_join(other, &page), 0);
	assert_non_null(page);
	assert_int_equal(pthread_join(inside, &page), 0);
	assert_non_null(page);
	assert_int_equal(cache.calls, 1);
	quire_destroy(q);
}

static void takes_from_the_other(struct cache *cache)
{
	assert_null(quire_alloc_pages(cache->other, 0, 0));
}

/* Each shrinker allocates from the other's instance, which is full too: no thread waits for ever. */
static void shrinkers_may_allocate_from_each_others_instance(void **state)
{
	struct quire *one = make(), *two = make();
	struct cache of_one, of_two;
	pthread_t thread;

	(void)state;
	cache_init(&of_one);
	cache_init(&of_two);
	fill(one);
	filler_nr = 0;
	fill(two);
	of_one.other = two;
	of_two.other = one;
	of_one.also = of_two.also = takes_from_the_other;
	cache_register(&of_one, one, 1);
	cache_register(&of_two, two, 1);
	assert_int_equal(pthread_create(&thread, NULL, takes_a_page, one), 0);
	for (unsigned i = 0; i < 20; i++)
		assert_null(quire_alloc_pages(two, 0, 0));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(of_one.depth_most, 1);
	assert_int_equal(of_two.depth_most, 1);
	quire_destroy(one);
	quire_destroy(two);
}

/* ---- fork ---- */

static void check_child(struct quire *q, struct cache *cache)
{
	cache->also = NULL;
	cache->depth = 0; /* the cache's own state is the program's to mend */
	cache->calls = 0;
	assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(cache->calls, 1);
	quire_shrinker_unregister(q, cache->id);
	quire_destroy(q);
}

static void a_child_has_its_parents_shrinkers(void **state)
{
	struct quire *q = make();
	struct cache cache;
	pthread_t inside = thread_inside(&cache, q, 4);
	pid_t child = child_fork();

	(void)state;
	if (child == 0) {
		check_child(q, &cache);
		_exit(0);
	}
	assert_int_equal(child_wait(child), 0);
	assert_int_equal(sem_post(&cache.may_leave), 0);
	assert_int_equal(pthread_join(inside, NULL), 0);
	quire_destroy(q);
}

static struct quire *forking; /* of whose pages the handlers of a fork take all */

static void takes_all_in_a_fork(void)
{
	while (forking != NULL && quire_alloc_pages(forking, 0, 0) != NULL)
		;
}

static void register_before_the_library(void)
{
	(void)pthread_atfork(takes_all_in_a_fork, NULL, NULL);
}

/* A handler that is registered before the library's runs after it, while the fork holds all locks. */
__attribute__((section(".preinit_array"),
	       used)) static void (*const before_constructors)(void) = register_before_the_library;

static void none_is_called_in_a_fork(void **state)
{
	struct quire *q = make();
	struct cache cache;
	pid_t child;

	(void)state;
	cache_init(&cache);
	cache_fill(&cache, q, A_PAGE, 8);
	fill(q);
	cache_register(&cache, q, 1);
	forking = q;
	child = child_fork();
	if (child == 0)
		_exit(cache.calls != 0);
	forking = NULL;
	assert_int_equal(child_wait(child), 0);
	assert_int_equal(cache.calls, 0);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_true(cache.calls != 0);
	quire_destroy(q);
}

static void forks(struct cache *cache)
{
	pid_t child;

	cache->also = NULL;
	child = child_fork();
	if (child == 0) {
		assert_null(quire_alloc_pages(cache->q, 0, 0)); /* still in the call */
		assert_int_equal(cache->calls, 1);
		quire_shrinker_unregister(cache->q, cache->id);
		_exit(0);
	}
	assert_int_equal(child_wait(child), 0);
}

static void a_shrinker_may_fork(void **state)
{
	struct quire *q = make();
	struct cache cache;

	(void)state;
	cache_init(&cache);
	cache_fill(&cache, q, A_PAGE, 1);
	fill(q);
	cache.also = forks;
	cache_register(&cache, q, 1);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(cache.calls, 1);
	quire_destroy(q);
}

/* ---- registering ---- */

static void registering_says_why_it_refuses(void **state)
{
	struct quire *q = make();
	struct quire_shrinker shrinker = QUIRE_SHRINKER_INIT(.name = "cache", .scan = scan);
	struct {
		struct quire_shrinker known;
		uint64_t later;
	} newer = { .known = shrinker, .later = 1 };
	uint64_t ids[SHRINKERS_MAX], id = 77;

	(void)state;
	newer.known.struct_bytes = sizeof(newer);
	assert_int_equal(quire_shrinker_register(q, &newer.known, &id), -E2BIG);
	shrinker.struct_bytes = 0;
	assert_int_equal(quire_shrinker_register(q, &shrinker, &id), -EINVAL);
	shrinker.struct_bytes = sizeof(shrinker);
	shrinker.scan = NULL;
	assert_int_equal(quire_shrinker_register(q, &shrinker, &id), -EINVAL);
	shrinker.scan = scan;
	shrinker.name = NULL;
	assert_int_equal(quire_shrinker_register(q, &shrinker, &id), -EINVAL);
	shrinker.name = "cache";
	for (unsigned i = 0; i < SHRINKERS_MAX; i++)
		assert_int_equal(quire_shrinker_register(q, &shrinker, &ids[i]), 0);
	assert_int_equal(quire_shrinker_register(q, &shrinker, &id), -ENOSPC);
	assert_int_equal(id, 77);
	quire_shrinker_unregister(q, ids[5]);
	assert_int_equal(quire_shrinker_register(q, &shrinker, &id), 0);
	for (unsigned i = 0; i < SHRINKERS_MAX; i++)
		assert_true(id != ids[i]);
	quire_shrinker_unregister(q, 0);
	quire_destroy(q);
}

static void the_text_has_a_line_for_each(void **state)
{
	static const char expected[] =
		"name                          cost      calls          bytes\n"
		"a name that is much too          0          0              0\n"
		"a cache                          7          1           4096\n";
	struct quire *q = make();
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "a name that is much too long", .scan = scan);
	struct cache cache;
	char text[256];
	uint64_t id;

	(void)state;
	cache_init(&cache);
	cache_fill(&cache, q, A_PAGE, 1);
	fill(q);
	cache_register(&cache, q, 7);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_int_equal(quire_shrinker_register(q, &shrinker, &id), 0);
	assert_int_equal(quire_text_shrinkers(q, text, sizeof(text)), sizeof(expected) - 1);
	assert_string_equal(text, expected);
	assert_int_equal(quire_text_shrinkers(q, NULL, 0), sizeof(expected) - 1);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cheapest_is_called_first),
		cmocka_unit_test(only_as_much_as_is_needed_is_given_up),
		cmocka_unit_test(no_attempt_is_repeated_for_what_was_given_before),
		cmocka_unit_test(none_is_called_while_there_is_memory),
		cmocka_unit_test(none_is_called_for_a_caller_that_may_not_wait),
		cmocka_unit_test(none_is_called_for_what_no_cache_could_serve),
		cmocka_unit_test(all_requests_are_served_by_all_caches),
		cmocka_unit_test(a_first_request_at_the_limit_is_served_by_a_cache),
		cmocka_unit_test(memory_of_any_size_is_served_until_no_cache_has_any),
		cmocka_unit_test(none_is_called_for_a_first_request_that_may_not_wait),
		cmocka_unit_test(none_is_called_for_a_first_area_larger_than_the_limit),
		cmocka_unit_test(a_first_request_that_is_refused_can_be_repeated),
		cmocka_unit_test(caches_give_up_addresses_too),
		cmocka_unit_test(a_shrinker_is_asked_for_more_each_time),
		cmocka_unit_test(a_shrinker_that_lies_is_called_a_bounded_number_of_times),
		cmocka_unit_test(a_shrinker_that_allocates_calls_none),
		cmocka_unit_test(a_shrinker_may_unregister_itself),
		cmocka_unit_test(a_shrinker_may_register_another),
		cmocka_unit_test(unregistering_waits_for_the_call_of_another_thread),
		cmocka_unit_test(an_allocation_waits_for_the_call_of_another_thread),
		cmocka_unit_test(shrinkers_may_allocate_from_each_others_instance),
		cmocka_unit_test(a_child_has_its_parents_shrinkers),
		cmocka_unit_test(none_is_called_in_a_fork),
		cmocka_unit_test(a_shrinker_may_fork),
		cmocka_unit_test(registering_says_why_it_refuses),
		cmocka_unit_test(the_text_has_a_line_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
