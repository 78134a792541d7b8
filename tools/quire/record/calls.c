/* SPDX-License-Identifier: MIT */
/*
 * calls.c - libquire-record.so: the calls of a program on instances of its own
 *
 * `quire record` preloads it behind libquire-malloc, in the place of libquire-run.so, which is in it (run/again.c).  It stands before libquire's calls that allocate and free, passes each
 * on, and puts an event into the ring that malloc's events go to (malloc/record_calls.h).  So libquire knows nothing of
 * it, and a program that is not recorded has not one instruction more.
 *
 * An allocation is timed after it is served, and a free before it is made: in the order of times nothing is handed out
 * that is not free.
 *
 * Not seen: a program that contains libquire (libquire.a), and what libquire allocates itself, since its calls among
 * each other go to no other library: for percpu counters and references, and for per-CPU variables.
 *
 * Context.  As the calls themselves: nothing here allocates or waits.  The exception is a call before this library's constructor,
 * by that of another one, or in a program that loads libquire later: it looks for the call with dlsym(), which takes the loader's lock.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/quire.h>
#include <quire/slab.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "malloc/record_calls.h"
#include "malloc/ring.h"

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

#define LIBRARY "libquire.so.0"

/* ---- the calls behind ------------------------------------------------------------------------ */

enum call {
	ALLOC_PAGES,
	FREE_PAGES,
	ALLOC_PAGES_BULK,
	FREE_PAGES_BULK,
	ALLOC_PAGES_EXACT,
	FREE_PAGES_EXACT,
	VMALLOC,
	VZALLOC,
	VMALLOC_WITH,
	VFREE,
	VREALLOC,
	KVMALLOC,
	KVFREE,
	VMAP,
	VUNMAP,
	VM_MAP_RAM,
	VM_UNMAP_RAM,
	ALLOC_PERCPU,
	ALLOC_RESERVED_PERCPU,
	FREE_PERCPU,
	ALLOC_PERCPU_BULK,
	FREE_PERCPU_BULK,
	CACHE_CREATE,
	CACHE_SIZE,
	CACHE_ALLOC,
	CACHE_FREE,
	CACHE_ALLOC_BULK,
	CACHE_FREE_BULK,
	PAGE_BYTES,
	DESTROY,
	CALLS_NR,
};

static const char *const names[CALLS_NR] = {
	[ALLOC_PAGES] = "quire_alloc_pages",
	[FREE_PAGES] = "quire_free_pages",
	[ALLOC_PAGES_BULK] = "quire_alloc_pages_bulk",
	[FREE_PAGES_BULK] = "quire_free_pages_bulk",
	[ALLOC_PAGES_EXACT] = "quire_alloc_pages_exact",
	[FREE_PAGES_EXACT] = "quire_free_pages_exact",
	[VMALLOC] = "quire_vmalloc",
	[VZALLOC] = "quire_vzalloc",
	[VMALLOC_WITH] = "quire_vmalloc_with",
	[VFREE] = "quire_vfree",
	[VREALLOC] = "quire_vrealloc",
	[KVMALLOC] = "quire_kvmalloc",
	[KVFREE] = "quire_kvfree",
	[VMAP] = "quire_vmap",
	[VUNMAP] = "quire_vunmap",
	[VM_MAP_RAM] = "quire_vm_map_ram",
	[VM_UNMAP_RAM] = "quire_vm_unmap_ram",
	[ALLOC_PERCPU] = "quire_alloc_percpu",
	[ALLOC_RESERVED_PERCPU] = "quire_alloc_reserved_percpu",
	[FREE_PERCPU] = "quire_free_percpu",
	[ALLOC_PERCPU_BULK] = "quire_alloc_percpu_bulk",
	[FREE_PERCPU_BULK] = "quire_free_percpu_bulk",
	[CACHE_CREATE] = "quire_cache_create",
	[CACHE_SIZE] = "quire_cache_size",
	[CACHE_ALLOC] = "quire_cache_alloc",
	[CACHE_FREE] = "quire_cache_free",
	[CACHE_ALLOC_BULK] = "quire_cache_alloc_bulk",
	[CACHE_FREE_BULK] = "quire_cache_free_bulk",
	[PAGE_BYTES] = "quire_page_bytes",
	[DESTROY] = "quire_destroy",
};

static void *calls[CALLS_NR]; /* atomic; NULL: not looked for yet, or not there */

static _Noreturn void die(const char *name)
{
	static const char what[] = "quire record: " LIBRARY " is not in the process, or lacks ";

	(void)!write(STDERR_FILENO, what, sizeof(what) - 1);
	(void)!write(STDERR_FILENO, name, strlen(name));
	(void)!write(STDERR_FILENO, "\n", 1);
	abort();
}

/* A program that loads the library by dlopen() has it where RTLD_NEXT does not look. */
static void *look_up(const char *name)
{
	void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_NOLOAD);
	void *found = dlsym(library != NULL ? library : RTLD_NEXT, name);

	if (library != NULL)
		dlclose(library); /* it stays, with or without the program's own handle */
	return found;
}

static void *behind(enum call call)
{
	void *found = load_relaxed(&calls[call]); /* what it points to was there before */
	int error;

	if (LIKELY(found != NULL))
		return found;
	error = errno;
	found = look_up(names[call]);
	if (found == NULL)
		die(names[call]);
	store_relaxed(&calls[call], found); /* of several threads each finds the same */
	errno = error;
	return found;
}

#define BEHIND(call, name) ((__typeof__(&(name)))behind(call))

static __attribute__((constructor)) void begin(void)
{
	void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_NOLOAD);

	if (library == NULL)
		return;
	for (unsigned call = 0; call < CALLS_NR; call++)
		store_relaxed(&calls[call], dlsym(library, names[call])); /* as above */
	dlclose(library);
}

/* ---- instances and caches -------------------------------------------------------------------- */

/*
 * A number for each instance, and for each cache that of its instance and its size.  An entry stays when its instance is
 * destroyed, for the next one at the address: RING_INSTANCE_END is between the two.
 */
#define PLACES_NR   4096u /* a power of two */
#define NUMBER_BITS 16

static struct place {
	const void *key; /* atomic; NULL: free */
	uint64_t value;	 /* atomic: number, and above it a cache's size */
} places[PLACES_NR];
static uint32_t instances_nr; /* atomic */

/* The place of @key, which it gets if it has none; NULL: there is none left. */
static struct place *place_of(const void *key)
{
	size_t first = (uintptr_t)key / 64 % PLACES_NR;

	for (size_t i = 0; i < PLACES_NR; i++) {
		struct place *place = &places[(first + i) % PLACES_NR];
		const void *found = load_relaxed(&place->key); /* keys stay */

		if (found == key || (found == NULL && cas_relaxed(&place->key, &found, key)) ||
		    found == key)
			return place;
	}
	return NULL;
}

/* Two threads that see an instance first at once may give it two numbers, of which the later stays. */
static uint32_t number_of(const void *instance)
{
	struct place *place = place_of(instance);
	uint64_t number = place != NULL ? load_relaxed(&place->value) : RING_INSTANCES_MAX;

	if (LIKELY(number != 0))
		return (uint32_t)number;
	number = fetch_add_relaxed(&instances_nr, 1u) + 1;
	if (number > RING_INSTANCES_MAX)
		number = RING_INSTANCES_MAX;
	store_relaxed(&place->value, number); /* a number, and nothing behind it */
	return (uint32_t)number;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void put_event(enum ring_op op, uint32_t number, const void *addr,
		      struct ring_request request, uint64_t time)
{
	quire_record_put(op, time, ring_instance_address(number, (uintptr_t)addr),
			 ring_request_word(request));
}

static uint64_t now(void)
{
	return quire_record_now != NULL ? quire_record_now() : 0;
}

/* @instance allocated @addr, or refused. */
static void put(enum ring_op op, const void *instance, const void *addr,
		struct ring_request request)
{
	uint64_t time = now();

	if (time != 0)
		put_event(op, number_of(instance), addr, request, time);
}

static void put_free(enum ring_op op, const void *instance, const void *addr, uint64_t bytes)
{
	if (addr != NULL)
		put(op, instance, addr, (struct ring_request){ .bytes = bytes });
}

static void put_frees(enum ring_op op, const void *instance, void *const *addrs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_free(op, instance, addrs[i], 0);
}

/* The first @given of @count were allocated, and one more was refused if that is less. */
static void put_many(enum ring_op op, const void *instance, void *const *addrs, size_t given,
		     size_t count, struct ring_request request)
{
	for (size_t i = 0; i < given; i++)
		put(op, instance, addrs[i], request);
	if (given < count)
		put(op, instance, NULL, request);
}

static unsigned shift_of(size_t align)
{
	return align > 1 ? (unsigned)__builtin_ctzll(align) : 0;
}

/* ---- pages ----------------------------------------------------------------------------------- */

void *quire_alloc_pages(struct quire *q, unsigned order, unsigned flags)
{
	void *addr = BEHIND(ALLOC_PAGES, quire_alloc_pages)(q, order, flags);

	put(RING_PAGES, q, addr, (struct ring_request){ .bytes = order, .flags = flags });
	return addr;
}

void quire_free_pages(struct quire *q, void *addr, unsigned order)
{
	put_free(RING_PAGES_FREE, q, addr, order);
	BEHIND(FREE_PAGES, quire_free_pages)(q, addr, order);
}

/* At most 64 entries: those that were empty are known by a bit each. */
static size_t fill_some(struct quire *q, void **pages, size_t count, unsigned flags)
{
	uint64_t was_empty = 0;
	size_t filled;

	for (size_t i = 0; i < count; i++)
		was_empty |= (uint64_t)(pages[i] == NULL) << i;
	filled = BEHIND(ALLOC_PAGES_BULK, quire_alloc_pages_bulk)(q, pages, count, flags);
	for (size_t i = 0; i < count; i++)
		if ((was_empty >> i & 1) && pages[i] != NULL)
			put(RING_PAGES, q, pages[i], (struct ring_request){ .flags = flags });
	if (filled < count)
		put(RING_PAGES, q, NULL, (struct ring_request){ .flags = flags });
	return filled;
}

size_t quire_alloc_pages_bulk(struct quire *q, void **pages, size_t count, unsigned flags)
{
	size_t filled = 0;
	bool was_refused = false;

	for (size_t done = 0; done < count; done += 64) {
		size_t nr = count - done < 64 ? count - done : 64, some = 0;

		if (!was_refused)
			some = fill_some(q, pages + done, nr, flags);
		else
			for (size_t i = done; i < done + nr; i++)
				some += pages[i] != NULL;
		was_refused = was_refused || some < nr;
		filled += some;
	}
	return filled;
}

void quire_free_pages_bulk(struct quire *q, void **pages, size_t count)
{
	put_frees(RING_PAGES_FREE, q, pages, count);
	BEHIND(FREE_PAGES_BULK, quire_free_pages_bulk)(q, pages, count);
}

void *quire_alloc_pages_exact(struct quire *q, size_t bytes, unsigned flags)
{
	void *addr = BEHIND(ALLOC_PAGES_EXACT, quire_alloc_pages_exact)(q, bytes, flags);

	put(RING_PAGES_EXACT, q, addr, (struct ring_request){ .bytes = bytes, .flags = flags });
	return addr;
}

void quire_free_pages_exact(struct quire *q, void *addr, size_t bytes)
{
	put_free(RING_PAGES_EXACT_FREE, q, addr, bytes);
	BEHIND(FREE_PAGES_EXACT, quire_free_pages_exact)(q, addr, bytes);
}

/* ---- areas ----------------------------------------------------------------------------------- */

void *quire_vmalloc(struct quire *q, size_t bytes, unsigned flags)
{
	void *addr = BEHIND(VMALLOC, quire_vmalloc)(q, bytes, flags);

	put(RING_AREA, q, addr, (struct ring_request){ .bytes = bytes, .flags = flags });
	return addr;
}

void *quire_vzalloc(struct quire *q, size_t bytes, unsigned flags)
{
	void *addr = BEHIND(VZALLOC, quire_vzalloc)(q, bytes, flags);

	put(RING_AREA, q, addr,
	    (struct ring_request){ .bytes = bytes, .flags = flags | QUIRE_ZERO });
	return addr;
}

void *quire_vmalloc_with(struct quire *q, size_t bytes, const struct quire_vmalloc_options *options)
{
	struct ring_request request = { .bytes = bytes };
	void *addr = BEHIND(VMALLOC_WITH, quire_vmalloc_with)(q, bytes, options);

	if (addr != NULL && options != NULL) { /* they are valid */
		request.align_shift = shift_of(options->align_bytes);
		request.flags = options->flags;
	}
	put(RING_AREA, q, addr, request);
	return addr;
}

void quire_vfree(struct quire *q, void *addr)
{
	put_free(RING_AREA_FREE, q, addr, 0);
	BEHIND(VFREE, quire_vfree)(q, addr);
}

/* The old area may be another thread's by the time that the call returns. */
void *quire_vrealloc(struct quire *q, void *addr, size_t bytes, unsigned flags)
{
	uint64_t before = now();
	void *to = BEHIND(VREALLOC, quire_vrealloc)(q, addr, bytes, flags);
	enum ring_op op = addr != NULL ? RING_AREA_RESIZED : RING_AREA;

	if (before != 0 && addr != NULL && (to != NULL || bytes == 0))
		put_event(RING_AREA_FREE, number_of(q), addr, (struct ring_request){ .bytes = 0 },
			  before);
	if (bytes != 0)
		put(op, q, to, (struct ring_request){ .bytes = bytes, .flags = flags });
	return to;
}

void *quire_kvmalloc(struct quire *q, size_t bytes, unsigned flags)
{
	void *addr = BEHIND(KVMALLOC, quire_kvmalloc)(q, bytes, flags);

	put(RING_AREA_KV, q, addr, (struct ring_request){ .bytes = bytes, .flags = flags });
	return addr;
}

void quire_kvfree(struct quire *q, void *addr)
{
	put_free(RING_AREA_FREE, q, addr, 0);
	BEHIND(KVFREE, quire_kvfree)(q, addr);
}

static uint64_t bytes_of_pages(const struct quire *q, size_t count)
{
	return (uint64_t)count * BEHIND(PAGE_BYTES, quire_page_bytes)(q);
}

void *quire_vmap(struct quire *q, void *const *pages, size_t count, unsigned flags)
{
	void *addr = BEHIND(VMAP, quire_vmap)(q, pages, count, flags);

	put(RING_AREA_PAGES, q, addr,
	    (struct ring_request){ .bytes = bytes_of_pages(q, count), .flags = flags });
	return addr;
}

void quire_vunmap(struct quire *q, void *addr)
{
	put_free(RING_AREA_FREE, q, addr, 0);
	BEHIND(VUNMAP, quire_vunmap)(q, addr);
}

void *quire_vm_map_ram(struct quire *q, void *const *pages, size_t count, unsigned flags)
{
	void *addr = BEHIND(VM_MAP_RAM, quire_vm_map_ram)(q, pages, count, flags);

	put(RING_AREA_RAM, q, addr,
	    (struct ring_request){ .bytes = bytes_of_pages(q, count), .flags = flags });
	return addr;
}

void quire_vm_unmap_ram(struct quire *q, void *addr, size_t count)
{
	put_free(RING_AREA_FREE, q, addr, 0);
	BEHIND(VM_UNMAP_RAM, quire_vm_unmap_ram)(q, addr, count);
}

/* ---- per-CPU objects ------------------------------------------------------------------------- */

static struct ring_request percpu_request(size_t bytes, size_t align, unsigned flags)
{
	size_t usual = bytes <= 4 ? 4 : 8;

	return (struct ring_request){ .bytes = bytes,
				      .align_shift = shift_of(align != 0 ? align : usual),
				      .flags = flags };
}

void *quire_alloc_percpu(struct quire *q, size_t bytes, size_t align, unsigned flags)
{
	void *ptr = BEHIND(ALLOC_PERCPU, quire_alloc_percpu)(q, bytes, align, flags);

	put(RING_PERCPU, q, ptr, percpu_request(bytes, align, flags));
	return ptr;
}

void *quire_alloc_reserved_percpu(struct quire *q, size_t bytes, size_t align)
{
	void *ptr = BEHIND(ALLOC_RESERVED_PERCPU, quire_alloc_reserved_percpu)(q, bytes, align);

	put(RING_PERCPU_RESERVED, q, ptr, percpu_request(bytes, align, 0));
	return ptr;
}

void quire_free_percpu(struct quire *q, void *ptr)
{
	put_free(RING_PERCPU_FREE, q, ptr, 0);
	BEHIND(FREE_PERCPU, quire_free_percpu)(q, ptr);
}

size_t quire_alloc_percpu_bulk(struct quire *q, const struct quire_percpu_request *request,
			       void **ptrs, size_t count)
{
	size_t given = BEHIND(ALLOC_PERCPU_BULK, quire_alloc_percpu_bulk)(q, request, ptrs, count);

	put_many(RING_PERCPU, q, ptrs, given, count,
		 percpu_request(request->bytes, request->align, request->flags));
	return given;
}

void quire_free_percpu_bulk(struct quire *q, void **ptrs, size_t count)
{
	put_frees(RING_PERCPU_FREE, q, ptrs, count);
	BEHIND(FREE_PERCPU_BULK, quire_free_percpu_bulk)(q, ptrs, count);
}

/* ---- object caches --------------------------------------------------------------------------- */

int quire_cache_create(struct quire *q, const struct quire_cache_options *options,
		       struct quire_cache **out)
{
	int error = BEHIND(CACHE_CREATE, quire_cache_create)(q, options, out);
	struct place *place = error == 0 ? place_of(*out) : NULL;

	if (place != NULL)
		store_relaxed(&place->value, /* the cache is the caller's alone */
			      (uint64_t)BEHIND(CACHE_SIZE, quire_cache_size)(*out) << NUMBER_BITS |
				      number_of(q));
	return error;
}

/* Of a cache that was not seen when it was made neither instance nor size is known: 0. */
static void put_object(enum ring_op op, const struct quire_cache *cache, const void *object,
		       unsigned flags)
{
	uint64_t time = now(), value = 0;
	struct place *place;

	if (time == 0)
		return;
	place = place_of(cache);
	if (place != NULL)
		value = load_relaxed(&place->value); /* of before the cache was anybody's */
	put_event(op, (uint32_t)(value & RING_INSTANCES_MAX), object,
		  (struct ring_request){ .bytes = value >> NUMBER_BITS, .flags = flags }, time);
}

void *quire_cache_alloc(struct quire_cache *cache, unsigned flags)
{
	void *object = BEHIND(CACHE_ALLOC, quire_cache_alloc)(cache, flags);

	put_object(RING_OBJECT, cache, object, flags);
	return object;
}

void quire_cache_free(struct quire_cache *cache, void *object)
{
	if (object != NULL)
		put_object(RING_OBJECT_FREE, cache, object, 0);
	BEHIND(CACHE_FREE, quire_cache_free)(cache, object);
}

size_t quire_cache_alloc_bulk(struct quire_cache *cache, unsigned flags, size_t count,
			      void **objects)
{
	size_t given =
		BEHIND(CACHE_ALLOC_BULK, quire_cache_alloc_bulk)(cache, flags, count, objects);

	for (size_t i = 0; i < given; i++)
		put_object(RING_OBJECT, cache, objects[i], flags);
	if (given < count)
		put_object(RING_OBJECT, cache, NULL, flags);
	return given;
}

void quire_cache_free_bulk(struct quire_cache *cache, size_t count, void **objects)
{
	for (size_t i = 0; i < count; i++)
		if (objects[i] != NULL)
			put_object(RING_OBJECT_FREE, cache, objects[i], 0);
	BEHIND(CACHE_FREE_BULK, quire_cache_free_bulk)(cache, count, objects);
}

/* ---- instances ------------------------------------------------------------------------------- */

void quire_destroy(struct quire *q)
{
	put_free(RING_INSTANCE_END, q, q, 0);
	BEHIND(DESTROY, quire_destroy)(q);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
