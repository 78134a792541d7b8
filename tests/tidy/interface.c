/* SPDX-License-Identifier: MIT */
/* interface.c - a user's program, in C and C++, that uses each macro of the public headers once, but
 * for those of variables and operations, which percpu_types.c and this_cpu.c use (see interface) */
#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/percpu_counter.h>
#include <quire/percpu_ops.h>
#include <quire/percpu_ref.h>
#include <quire/profile.h>
#include <quire/quire.h>
#include <quire/slab.h>
#include <quire/stat.h>
#include <quire/vmap.h>
#include <stdio.h>

#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("line %d: not so: %s\n", __LINE__, #condition);                     \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

/* In C an initialiser with static storage must be constant. */
static struct quire_options at_file_scope = QUIRE_OPTIONS_INIT();
static struct quire_page_stat stat_at_file_scope = QUIRE_PAGE_STAT_INIT;

static unsigned stat_bytes_seen, options_bytes_seen;

/* In C++ too: what they hold is there before the first constructor runs. */
__attribute__((constructor(101))) static void look_before_constructors(void)
{
	stat_bytes_seen = stat_at_file_scope.struct_bytes;
	options_bytes_seen = at_file_scope.struct_bytes;
}

static int released_nr;

static void release(struct quire_percpu_ref *ref)
{
	(void)ref;
	released_nr++;
}

static int use_pages(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	void *page = quire_alloc_pages(q, 0, QUIRE_MOVABLE | QUIRE_ZERO | QUIRE_NODE(0));
	void *run = quire_alloc_pages(q, QUIRE_ORDER_MAX, QUIRE_RECLAIMABLE | QUIRE_NORETRY);

	HOLDS(page != NULL && run != NULL);
	HOLDS(quire_page_stat_read(q, &stat) == 0);
	HOLDS(stat.struct_bytes == sizeof(stat));
	HOLDS(stat.allocated_pages == 1 + (1u << QUIRE_ORDER_MAX));
	HOLDS(QUIRE_ORDERS == QUIRE_ORDER_MAX + 1);
	quire_free_pages(q, run, QUIRE_ORDER_MAX);
	quire_free_pages(q, page, 0);
	page = quire_alloc_pages(q, 0, QUIRE_NOWAIT);
	quire_free_pages(q, page, 0);
	page = quire_alloc_pages(q, 0, QUIRE_ATOMIC);
	quire_free_pages(q, page, 0);
	page = quire_alloc_pages(q, 0, QUIRE_NOLOCK);
	quire_free_pages(q, page, 0);
	return 0;
}

static int use_areas(struct quire *q)
{
	struct quire_vmalloc_options options = QUIRE_VMALLOC_OPTIONS_INIT();
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;
	void *area;

	options.flags = QUIRE_ZERO;
	area = quire_vmalloc_with(q, 10000, &options);
	HOLDS(area != NULL);
	HOLDS(quire_vmap_stat_read(q, &stat) == 0);
	HOLDS(stat.busy_areas == 1);
	quire_vfree(q, area);
	return 0;
}

static int use_caches(struct quire *q)
{
	struct quire_cache_options options = QUIRE_CACHE_OPTIONS_INIT();
	struct quire_cache_stat stat = QUIRE_CACHE_STAT_INIT;
	struct quire_slab_stat all = QUIRE_SLAB_STAT_INIT;
	struct quire_cache *cache;
	void *object;

	options.name = "interface";
	options.size = 100;
	options.flags = QUIRE_CACHE_RECLAIMABLE | QUIRE_CACHE_HW_ALIGN | QUIRE_CACHE_OWN;
	HOLDS(quire_cache_create(q, &options, &cache) == 0);
	object = quire_cache_alloc(cache, 0);
	HOLDS(object != NULL && quire_cache_size(cache) == 100);
	HOLDS(quire_cache_stat_read(cache, &stat) == 0);
	HOLDS(stat.used == 1 && stat.slot_bytes == 128);
	HOLDS(quire_slab_stat_read(q, &all) == 0 && all.used_bytes == 128);
	HOLDS(quire_stat_json(q, NULL, 0) < QUIRE_STAT_TEXT_MAX);
	HOLDS(quire_stat_prometheus(q, NULL, 0) < QUIRE_STAT_TEXT_MAX);
	quire_cache_free(cache, object);
	HOLDS(quire_cache_destroy(cache) == 0);
	options.flags = QUIRE_CACHE_ZERO | QUIRE_CACHE_POISON | QUIRE_CACHE_RED_ZONE;
	options.size = QUIRE_OBJECT_MAX;
	HOLDS(quire_cache_create(q, &options, &cache) != 0);
	return 0;
}

static int use_objects(struct quire *q)
{
	struct quire_percpu_request request = QUIRE_PERCPU_REQUEST_INIT();
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;
	struct quire_percpu_counter counter;
	struct quire_percpu_ref ref;
	void *objects[2];

	request.bytes = 8;
	HOLDS(quire_alloc_percpu_bulk(q, &request, objects, 2) == 2);
	HOLDS(quire_percpu_stat_read(q, &stat) == 0);
	HOLDS(stat.objects == 2);
	HOLDS((char *)quire_per_cpu_ptr(objects[0], 1) - (char *)objects[0] == QUIRE_PERCPU_STRIDE);
	quire_free_percpu(q, objects[0]);
	quire_free_percpu(q, objects[1]);
	HOLDS(quire_alloc_percpu(q, QUIRE_PERCPU_BYTES_MAX + 1, 0, 0) == NULL);
	HOLDS(quire_percpu_counter_init(q, &counter, 40, 0) == 0);
	quire_percpu_counter_add(&counter, 2);
	HOLDS(quire_percpu_counter_sum(&counter) == 42);
	quire_percpu_counter_destroy(&counter);
	HOLDS(quire_percpu_ref_init(q, &ref, release, QUIRE_PERCPU_REF_ATOMIC) == 0);
	quire_percpu_ref_kill(&ref);
	HOLDS(released_nr == 1 && quire_percpu_ref_is_zero(&ref));
	quire_percpu_ref_exit(&ref);
	HOLDS(quire_percpu_ref_init(q, &ref, release, QUIRE_PERCPU_REF_DEAD) == 0);
	HOLDS(quire_percpu_ref_is_dying(&ref));
	quire_percpu_ref_exit(&ref);
	return 0;
}

static int use_variables(void)
{
	struct quire_percpu_variable variable = QUIRE_PERCPU_VARIABLE_INIT();
	void *pointer = NULL;
	long content = 5;

	variable.pointer = &pointer;
	variable.content = &content;
	variable.bytes = sizeof(content);
	variable.align = sizeof(content);
	quire_percpu_define(&variable);
	HOLDS(pointer != NULL && *quire_per_cpu_ptr((long *)pointer, 0) == 5);
	quire_percpu_undefine(&variable);
	HOLDS(pointer == NULL);
	return 0;
}

/* The macros can be given fields, in C and, in the order of the struct, in C++20. */
static int give_fields(void)
{
#ifndef WITHOUT_FIELDS
	const struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = 7, .thp = QUIRE_OFF);
	const struct quire_vmalloc_options area = QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = 8);
	const struct quire_percpu_request request = QUIRE_PERCPU_REQUEST_INIT(.bytes = 8);
	const struct quire_percpu_variable variable = QUIRE_PERCPU_VARIABLE_INIT(.align = 4);

	HOLDS(options.struct_bytes == sizeof(options) && options.limit_bytes == 7);
	HOLDS(options.thp == QUIRE_OFF && options.slots == 0);
	HOLDS(area.struct_bytes == sizeof(area) && area.align_bytes == 8);
	HOLDS(request.struct_bytes == sizeof(request) && request.bytes == 8);
	HOLDS(variable.struct_bytes == sizeof(variable) && variable.align == 4);
#endif
	return 0;
}

/* In C++ they are values; in C a cast makes them one. */
static int assign(void)
{
	struct quire_page_stat stat;

#ifdef __cplusplus
	stat = QUIRE_PAGE_STAT_INIT;
#else
	stat = (struct quire_page_stat)QUIRE_PAGE_STAT_INIT;
#endif
	HOLDS(stat.struct_bytes == sizeof(stat) && stat.mappings_refused == 0);
	HOLDS(stat_at_file_scope.struct_bytes == sizeof(stat));
	HOLDS(stat_bytes_seen == sizeof(stat));
	HOLDS(options_bytes_seen == sizeof(struct quire_options));
	return 0;
}

int main(void)
{
	struct quire *q;
	int failed;

	at_file_scope.limit_bytes = (size_t)64 << 20;
	HOLDS(quire_version() == QUIRE_VERSION);
	HOLDS(quire_create(&at_file_scope, &q) == 0);
	failed = use_pages(q) + use_areas(q) + use_caches(q) + use_objects(q) + use_variables();
	quire_destroy(q);
	/* On another malloc there is no profile. */
	HOLDS(quire_profile_start == NULL && quire_profile_stop == NULL &&
	      quire_profile_write == NULL);
	return failed + give_fields() + assign();
}
