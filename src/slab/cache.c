/* SPDX-License-Identifier: MIT */
/*
 * slab/cache.c - object caches: creation, destruction, allocation and free
 *
 * A cache is a user of a class.  Plain caches whose objects come out equally large share one, as Linux merges them.
 * A cache with a constructor, with checks, or that asks for it, has a class of its own.
 *
 * Fast paths serve caches whose objects are handed out as they come off a sheaf.  Others have class 0 there, of which
 * each sheaf refuses, so that no test is needed; so has every cache while allocations must look for due work, by
 * fast_flags_end.
 *
 * Records of caches are in a pool, which is used under slabs->mutex alone.  So fork, which takes that, need not
 * know the pool.
 */
#include "slab/cache.h"

#include <quire/quire.h>
#include <quire/slab.h>

#include "base/check.h"
#include "base/entry.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/sized.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "page/charge.h"
#include "slab/class.h"
#include "slab/fast.h"
#include "slab/hardened.h"
#include "slab/objects.h"
#include "slab/sheaf.h"

#define CACHES_MAX  4096u
#define RECORD_SIZE 128u
#define CACHE_LINE  64u
#define FLAGS_CACHE                                                                                \
	(QUIRE_CACHE_RECLAIMABLE | QUIRE_CACHE_ZERO | QUIRE_CACHE_POISON | QUIRE_CACHE_RED_ZONE |  \
	 QUIRE_CACHE_HW_ALIGN | QUIRE_CACHE_OWN)
#define FLAGS_CHECKED (QUIRE_CACHE_POISON | QUIRE_CACHE_RED_ZONE)
#define FLAGS_SLOW    (FLAGS_CHECKED | QUIRE_CACHE_ZERO)
#define FLAGS_TRIES   (QUIRE_NOWAIT | QUIRE_ATOMIC | QUIRE_NOLOCK | QUIRE_NORETRY)
#define FLAGS_ALLOC   (QUIRE_ZERO | FLAGS_TRIES)

_Static_assert(sizeof(struct quire_cache) <= RECORD_SIZE, "a record of the pool is large enough");
_Static_assert(QUIRE_OBJECT_MAX == OBJECT_BYTES_MAX, "the public header says what class.h does");

/* ---- allocating ---- */

/* What makes an object of a slot.  Objects of caches with a constructor stay as it left them. */
static void *finish(const struct quire_cache *cache, void *slot, unsigned flags)
{
	bool zero = (flags & QUIRE_ZERO) || (cache->flags & QUIRE_CACHE_ZERO);
	void *object = slot;

	if (UNLIKELY(cache->slabs->q->annotated))
		annotate_alloc((char *)slot + cache->front_bytes, cache->size,
			       cache->construct != NULL);
	if (cache->flags & FLAGS_CHECKED)
		object = cache_check_alloc(cache, slot);
	if (zero)
		memset(object, 0, cache->size);
	return object;
}

static __attribute__((noinline)) void *alloc_slow(struct quire_cache *cache, unsigned flags)
{
	int error = 0;
	void *slot = sheaf_alloc_slow(cache->slabs, cache->class, flags & FLAGS_TRIES, &error);

	if (slot != NULL)
		return finish(cache, slot, flags);
	process_set_errno(error);
	return NULL;
}

/* Flags, or a time, that the fast path does not serve. */
static __attribute__((noinline)) void *alloc_odd(struct quire_cache *cache, unsigned flags)
{
	struct slabs *s = cache->slabs;
	void *slot;

	if (flags & ~FLAGS_ALLOC) {
		process_set_errno(EINVAL);
		return NULL;
	}
	slot = slab_alloc_fast(s, cache->class);
	if (slot == NULL)
		return alloc_slow(cache, flags);
	if (UNLIKELY(load_relaxed(&s->q->looks)))
		worker_look(s->q, flags);
	return finish(cache, slot, flags);
}

/* The fast path found nothing: the sheaf is empty, or the cache is one that it does not serve. */
static __attribute__((noinline)) void *alloc_rest(struct quire_cache *cache)
{
	return cache->fast_class == 0 ? alloc_odd(cache, 0) : alloc_slow(cache, 0);
}

FAST_ENTRY(quire_cache_alloc);

void *quire_cache_alloc(struct quire_cache *cache, unsigned flags)
{
	struct slabs *s = cache->slabs;
	void *object;

	/* A hint: pairs with set_looks(). */
	if (UNLIKELY(flags >= load_relaxed(&s->fast_flags_end)))
		return alloc_odd(cache, flags);
	object = slab_alloc_fast(s, cache->fast_class);
	if (UNLIKELY(object == NULL))
		return alloc_rest(cache);
	return object;
}

static bool is_served_by_fast_paths(const struct quire_cache *cache, unsigned flags)
{
	/* As in quire_cache_alloc(). */
	return cache->fast_class != 0 && flags < load_relaxed(&cache->slabs->fast_flags_end);
}

size_t quire_cache_alloc_bulk(struct quire_cache *cache, unsigned flags, size_t count,
			      void **objects)
{
	size_t done = 0;
	int error = 0;

	if (is_served_by_fast_paths(cache, flags) && !cache->slabs->q->annotated) {
		while (done < count && error == 0) {
			unsigned some =
				count - done < UINT32_MAX ? (unsigned)(count - done) : UINT32_MAX;

			done += sheaf_alloc_bulk(cache->slabs, cache->class, 0, some,
						 objects + done, &error);
		}
	} else {
		while (done < count && (objects[done] = quire_cache_alloc(cache, flags)) != NULL)
			done++;
	}
	for (size_t i = done; i < count; i++)
		objects[i] = NULL;
	if (error != 0)
		process_set_errno(error);
	return done;
}

/* ---- freeing ---- */

/* Stops the process unless an object of the cache begins at @slot. */
static void check_slot(struct quire_cache *cache, void *slot)
{
	unsigned class = objects_check(cache->slabs, slot, "quire_cache_free");

	if (class == 0)
		misuse("foreign pointer", "quire_cache_free", (char *)slot + cache->front_bytes);
	if (class != cache->class)
		misuse("wrong cache", "quire_cache_free", (char *)slot + cache->front_bytes);
}

/* What the fast path does not serve: a full sheaf, NULL, other caches, and misuse. */
static __attribute__((noinline)) void free_odd(struct quire_cache *cache, void *object)
{
	struct slabs *s = cache->slabs;
	unsigned byte;
	char *slot;

	if (object == NULL || s->q->dead)
		return;
	slot = (char *)object - cache->front_bytes;
	check_slot(cache, slot);
	if (cache->flags & FLAGS_CHECKED)
		slot = cache_check_free(cache, object);
	if (UNLIKELY(s->q->annotated))
		annotate_free(object, cache->size);
	byte = slab_byte(s, slot);
	if (cache->fast_class == 0 && slab_free_fast(s, slot, byte))
		return;
	sheaf_free_slow(s, slot, byte);
}

FAST_ENTRY(quire_cache_free);

void quire_cache_free(struct quire_cache *cache, void *object)
{
	struct slabs *s = cache->slabs;

	/* The byte is the object's slab's until the object is free. */
	if (UNLIKELY(slab_byte(s, object) != cache->fast_byte) ||
	    UNLIKELY(!slab_free_fast(s, object, cache->fast_class)))
		free_odd(cache, object);
}

void quire_cache_free_bulk(struct quire_cache *cache, size_t count, void **objects)
{
	for (size_t i = 0; i < count; i++) {
		quire_cache_free(cache, objects[i]);
		objects[i] = NULL;
	}
}

/* ---- creation ---- */

static void set_name(struct quire_cache *cache, const char *name)
{
	unsigned i = 0;

	for (; i < CACHE_NAME_BYTES - 1 && name[i] != '\0'; i++)
		cache->name[i] = name[i];
	cache->name[i] = '\0';
}

static int check_options(const struct quire_cache_options *options, size_t page_bytes)
{
	unsigned checked = options->flags & (QUIRE_CACHE_POISON | QUIRE_CACHE_ZERO);

	if ((options->flags & ~FLAGS_CACHE) != 0 || options->name == NULL || options->size == 0 ||
	    options->size > QUIRE_OBJECT_MAX || (options->align & (options->align - 1)) != 0 ||
	    options->align > page_bytes)
		return -EINVAL;
	/* Neither leaves an object as it was constructed. */
	return options->construct != NULL && checked != 0 ? -EINVAL : 0;
}

static size_t object_align(const struct quire_cache_options *options)
{
	size_t align = options->align != 0 ? options->align : 8;

	if ((options->flags & QUIRE_CACHE_HW_ALIGN) && options->size > CACHE_LINE / 2 &&
	    align < CACHE_LINE)
		align = CACHE_LINE;
	return align > 16 ? align : 16;
}

static enum class_kind object_kind(const struct quire_cache_options *options)
{
	if (options->flags & FLAGS_CHECKED)
		return CLASS_CHECKED;
	if (options->construct != NULL)
		return CLASS_CONSTRUCTED;
	return options->flags & QUIRE_CACHE_OWN ? CLASS_OWN : CLASS_PLAIN;
}

/* Returns a record that is not used yet, or POOL_NONE. */
static uint32_t record_locked(struct slabs *s)
{
	DCHECK(mutex_is_held(&s->mutex));
	if (!s->caches_ready &&
	    pool_init(&s->caches, s->q, RECORD_SIZE, CACHES_MAX, "quire-cache-records") != 0)
		return POOL_NONE;
	s->caches_ready = true;
	return pool_alloc(&s->caches, QUIRE_NORETRY);
}

/* The class's constructor runs on a slot, the user's on the object in it. */
static void set_constructor(struct slab_class *c, struct quire_cache *cache)
{
	bool checked = (cache->flags & FLAGS_CHECKED) != 0;

	c->construct = checked ? cache_prepare : cache->construct;
	c->construct_arg = checked ? cache : cache->arg;
}

static void fill(struct quire_cache *cache, struct slabs *s, unsigned class,
		 const struct quire_cache_options *options)
{
	bool slow = (options->flags & FLAGS_SLOW) != 0;
	size_t align = object_align(options);

	*cache = (struct quire_cache){
		.slabs = s,
		.fast_class = slow ? 0 : (uint8_t) class,
		.class = (uint8_t) class,
		.fast_byte = (uint16_t)(slow ? BYTE_NEVER : class),
		.front_bytes = options->flags & QUIRE_CACHE_RED_ZONE ? (uint16_t)align : 0,
		.flags = options->flags,
		.size = (uint32_t)options->size,
		.align = (uint32_t)align,
		.construct = options->construct,
		.arg = options->arg,
	};
	set_name(cache, options->name);
}

static int create_locked(struct slabs *s, const struct quire_cache_options *options,
			 struct quire_cache **out)
{
	size_t align = object_align(options), slot = options->size;
	enum class_kind kind = object_kind(options);
	unsigned page_flags = options->flags & QUIRE_CACHE_RECLAIMABLE ? QUIRE_RECLAIMABLE : 0;
	struct quire_cache *cache;
	uint32_t record;
	int class;

	DCHECK(mutex_is_held(&s->mutex));
	if (options->flags & QUIRE_CACHE_RED_ZONE)
		slot += align + 16;
	if (slot > OBJECT_BYTES_MAX)
		return -EINVAL;
	record = record_locked(s);
	if (record == POOL_NONE)
		return -ENOMEM;
	class = class_get_locked(s, slot, align, kind, page_flags);
	if (class < 0) {
		pool_free(&s->caches, record);
		return class;
	}
	cache = pool_record(&s->caches, record);
	fill(cache, s, (unsigned)class, options);
	if (kind == CLASS_CHECKED || kind == CLASS_CONSTRUCTED)
		set_constructor(&s->class[class], cache);
	cache->next = s->caches_head;
	s->caches_head = record;
	*out = cache;
	return 0;
}

/* What each attempt to create a cache needs. */
struct creation {
	struct slabs *s;
	struct quire_cache_options options;
	struct quire_cache **out;
};

static int create(void *arg)
{
	const struct creation *creation = arg;
	struct slabs *s = creation->s;
	int error;

	mutex_acquire(&s->mutex);
	error = create_locked(s, &creation->options, creation->out);
	mutex_release(&s->mutex);
	return error;
}

int quire_cache_create(struct quire *q, const struct quire_cache_options *options,
		       struct quire_cache **out)
{
	struct creation creation = { .out = out };
	int error = sized_read(&creation.options, sizeof(creation.options), options);

	if (!error)
		error = check_options(&creation.options, (size_t)1 << q->page_shift);
	if (error)
		return error;
	creation.s = slabs_get(q, &error);
	if (creation.s == NULL)
		return -error;
	return page_attempt(q, mem_page_bytes(), 0, create, &creation);
}

/* Puts what is cached of a class into its slabs.  A free in a handler of a hardened instance waits there, whatever it is of. */
static void drain(struct slabs *s, unsigned class)
{
	sheaves_drain(s, class);
	if (UNLIKELY(s->hardened != NULL))
		hardened_drain(s);
}

static void unlink_locked(struct slabs *s, uint32_t record)
{
	uint32_t *link = &s->caches_head;

	DCHECK(mutex_is_held(&s->mutex));
	while (*link != record) {
		CHECK(*link != POOL_NONE);
		link = &((struct quire_cache *)pool_record(&s->caches, *link))->next;
	}
	*link = ((struct quire_cache *)pool_record(&s->caches, record))->next;
}

/* Of a class with other users no cache knows which objects are its own. */
static int destroy_locked(struct slabs *s, struct quire_cache *cache)
{
	uint32_t record = pool_index(&s->caches, cache);
	struct objects_count count;

	DCHECK(mutex_is_held(&s->mutex));
	if (s->class[cache->class].caches_nr == 1) {
		drain(s, cache->class);
		objects_count(s, cache->class, &count);
		if (count.free != count.objects)
			return -EBUSY;
		sheaves_class_end(s, cache->class);
	}
	unlink_locked(s, record);
	class_put_locked(s, cache->class);
	cache->slabs = NULL;
	pool_free(&s->caches, record);
	return 0;
}

int quire_cache_destroy(struct quire_cache *cache)
{
	struct slabs *s;
	int error;

	if (cache == NULL)
		return 0;
	s = cache->slabs;
	if (s == NULL)
		misuse("not initialised", "quire_cache_destroy", cache);
	if (s->q->dead)
		return -EOWNERDEAD;
	mutex_acquire(&s->mutex);
	error = destroy_locked(s, cache);
	mutex_release(&s->mutex);
	return error;
}

size_t quire_cache_used(struct quire_cache *cache, void **objects, size_t count)
{
	struct slabs *s = cache->slabs;
	size_t used;

	if (s->q->dead)
		return 0;
	drain(s, cache->class);
	used = objects_used(s, cache->class, objects, count);
	for (size_t i = 0; i < count && i < used; i++)
		objects[i] = (char *)objects[i] + cache->front_bytes;
	return used;
}

size_t quire_cache_shrink(struct quire_cache *cache)
{
	struct slabs *s = cache->slabs;

	if (s->q->dead)
		return 0;
	drain(s, cache->class);
	return objects_shrink(s, cache->class);
}

size_t quire_cache_size(const struct quire_cache *cache)
{
	return cache->size;
}
