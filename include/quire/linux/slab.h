/* SPDX-License-Identifier: MIT */
/*
 * linux/slab.h - object caches, and kmalloc() of linux/kvmalloc.h
 *
 * Objects of a cache with SLAB_TYPESAFE_BY_RCU are freed after a grace period of linux/rcupdate.h, where the kernel
 * lets them be used again at once and keeps only their slabs.
 *
 * Of a cache with SLAB_STORE_USER it is known which calls led to each allocation: the warning of kmem_cache_destroy()
 * says so of the objects that are in use.  It takes a list under a lock, and a stack that is walked at each allocation.
 */
#ifndef QUIRE_LINUX_SLAB_H
#define QUIRE_LINUX_SLAB_H

#include <linux/kvmalloc.h>
#include <linux/rcupdate.h>

#include <execinfo.h>
#include <quire/slab.h>

#define SLAB_HWCACHE_ALIGN	0x01u
#define SLAB_POISON		0x02u
#define SLAB_RED_ZONE		0x04u
#define SLAB_NO_MERGE		0x08u
#define SLAB_RECLAIM_ACCOUNT	0x10u
#define SLAB_TYPESAFE_BY_RCU	0x20u
#define SLAB_PANIC		0x40u
#define SLAB_STORE_USER		0x80u
#define SLAB_ACCOUNT		0u
#define SLAB_CONSISTENCY_CHECKS 0u
#define SLAB_MEM_SPREAD		0u
#define SLAB_CACHE_DMA		0u
#define SLAB_CACHE_DMA32	0u
#define SLAB_NOLEAKTRACE	0u
#define SLAB_NO_USER_FLAGS	0u
#define SLAB_SKIP_KFENCE	0u
#define SLAB_TEMPORARY		SLAB_RECLAIM_ACCOUNT

struct kmem_cache {
	struct quire_cache *cache;
	void (*ctor)(void *object);
	slab_flags_t flags;
	struct quire_linux_users *users; /* NULL without SLAB_STORE_USER */
};

/* What else a cache may have, since Linux 6.12.  Nobody copies objects to another address space, and nothing is stored in free ones. */
struct kmem_cache_args {
	unsigned align;
	unsigned useroffset, usersize;
	unsigned freeptr_offset;
	bool use_freeptr_offset;
	void (*ctor)(void *object);
};

/* ---- who allocated ---- */

/* An object in use, and the calls that led to its allocation. */
struct quire_linux_user {
	struct quire_linux_user *next;
	const void *object;
	int calls_nr;
	void *calls[16];
};

#define QUIRE_LINUX_USERS_ 256u

struct quire_linux_users {
	pthread_mutex_t lock;
	struct quire_linux_user
		*user[QUIRE_LINUX_USERS_]; /* under the lock, by the object's address */
};

/* The place of an object's user in the table, or where it belongs.  Under the lock. */
static inline struct quire_linux_user **quire_linux_user_of_(struct quire_linux_users *users,
							     const void *object)
{
	struct quire_linux_user **at =
		&users->user[((uintptr_t)object / ARCH_KMALLOC_MINALIGN) % QUIRE_LINUX_USERS_];

	while (*at != NULL && (*at)->object != object)
		at = &(*at)->next;
	return at;
}

/* Without memory for it, of the object nothing is known. */
static inline void quire_linux_note_user_(struct kmem_cache *cache, const void *object)
{
	struct quire_linux_user *user, **at;

	if (likely(cache->users == NULL) || object == NULL)
		return;
	user = (struct quire_linux_user *)calloc(1, sizeof(*user));
	if (user == NULL)
		return;
	user->object = object;
	user->calls_nr = backtrace(user->calls, ARRAY_SIZE(user->calls));
	(void)pthread_mutex_lock(&cache->users->lock);
	at = quire_linux_user_of_(cache->users, object);
	*at = user;
	(void)pthread_mutex_unlock(&cache->users->lock);
}

/* Before the object is another's. */
static inline void quire_linux_forget_user_(struct kmem_cache *cache, const void *object)
{
	struct quire_linux_user *user, **at;

	if (likely(cache->users == NULL) || object == NULL)
		return;
	(void)pthread_mutex_lock(&cache->users->lock);
	at = quire_linux_user_of_(cache->users, object);
	user = *at;
	if (user != NULL)
		*at = user->next;
	(void)pthread_mutex_unlock(&cache->users->lock);
	free(user);
}

/* Prints a line for each of the calls that led to the allocation; nothing where they are not known. */
static inline void quire_linux_say_user_(struct kmem_cache *cache, const void *object)
{
	struct quire_linux_user *user;
	char **names;

	if (cache->users == NULL)
		return;
	(void)pthread_mutex_lock(&cache->users->lock);
	user = *quire_linux_user_of_(cache->users, object);
	names = user != NULL ? backtrace_symbols(user->calls, user->calls_nr) : NULL;
	for (int i = 0; names != NULL && i < user->calls_nr; i++)
		printk("  allocated in %s\n", names[i]);
	(void)pthread_mutex_unlock(&cache->users->lock);
	free(names);
}

/* Of a cache without objects. */
static inline void quire_linux_end_users_(struct kmem_cache *cache)
{
	if (cache->users != NULL)
		(void)pthread_mutex_destroy(&cache->users->lock);
	free(cache->users);
}

/* ---- caches ---- */

/* Calls the constructor of a cache, @arg, as Quire calls constructors. */
static inline void quire_linux_construct_(void *object, void *arg)
{
	((struct kmem_cache *)arg)->ctor(object);
}

/* The flags of Quire's caches.  Poison would spoil what is constructed, or may still be read. */
static inline unsigned quire_linux_cache_flags_(slab_flags_t flags, bool is_constructed)
{
	unsigned cache_flags = 0;

	if (flags & SLAB_HWCACHE_ALIGN)
		cache_flags |= QUIRE_CACHE_HW_ALIGN;
	if (flags & SLAB_POISON && !is_constructed && !(flags & SLAB_TYPESAFE_BY_RCU))
		cache_flags |= QUIRE_CACHE_POISON;
	if (flags & SLAB_RED_ZONE)
		cache_flags |= QUIRE_CACHE_RED_ZONE;
	if (flags & (SLAB_NO_MERGE | SLAB_TYPESAFE_BY_RCU))
		cache_flags |= QUIRE_CACHE_OWN;
	if (flags & SLAB_RECLAIM_ACCOUNT)
		cache_flags |= QUIRE_CACHE_RECLAIMABLE;
	return cache_flags;
}

/* False: there is no memory for it. */
static inline bool quire_linux_begin_users_(struct kmem_cache *cache)
{
	if (!(cache->flags & SLAB_STORE_USER))
		return true;
	cache->users = (struct quire_linux_users *)calloc(1, sizeof(*cache->users));
	return cache->users != NULL && pthread_mutex_init(&cache->users->lock, NULL) == 0;
}

/* @args may be NULL.  NULL: it is refused, which is a bug with SLAB_PANIC. */
static inline struct kmem_cache *quire_linux_create_with_(const char *name, unsigned size,
							  const struct kmem_cache_args *args,
							  slab_flags_t flags)
{
	struct kmem_cache *cache = (struct kmem_cache *)malloc(sizeof(*cache));
	const struct kmem_cache_args none = { .align = 0 }, *with = args != NULL ? args : &none;
	const struct quire_cache_options options = QUIRE_CACHE_OPTIONS_INIT(
			.name = name, .size = size, .align = with->align < 16 ? 0 : with->align,
			.flags = quire_linux_cache_flags_(flags, with->ctor != NULL),
			.construct = with->ctor != NULL ? quire_linux_construct_ : NULL,
			.arg = cache);

	if (cache != NULL) {
		*cache = (struct kmem_cache){ .ctor = with->ctor, .flags = flags };
		if (!quire_linux_begin_users_(cache) ||
		    quire_cache_create(quire_default(), &options, &cache->cache) != 0) {
			quire_linux_end_users_(cache);
			free(cache);
			cache = NULL;
		}
	}
	BUG_ON(cache == NULL && flags & SLAB_PANIC);
	return cache;
}

/* As kmem_cache_create() was called before Linux 6.12. */
static inline struct kmem_cache *quire_linux_create_(const char *name, unsigned size,
						     unsigned align, slab_flags_t flags,
						     void (*ctor)(void *object))
{
	const struct kmem_cache_args args = { .align = align, .ctor = ctor };

	return quire_linux_create_with_(name, size, &args, flags);
}

/* As quire_linux_create_with_(), of a NULL that has no other type. */
static inline struct kmem_cache *quire_linux_create_plain_(const char *name, unsigned size,
							   const void *none, slab_flags_t flags)
{
	return quire_linux_create_with_(name, size, (const struct kmem_cache_args *)none, flags);
}

/* (name, size, args, flags), or as before Linux 6.12 (name, size, align, flags, ctor): by the third one's type. */
#define kmem_cache_create(name, size, args, ...)                                                   \
	_Generic((args), struct kmem_cache_args *                                                  \
		 : quire_linux_create_with_, const struct kmem_cache_args *                        \
		 : quire_linux_create_with_, void *                                                \
		 : quire_linux_create_plain_, default                                              \
		 : quire_linux_create_)(name, size, args, __VA_ARGS__)
#define kmem_cache_create_usercopy(name, size, align, flags, offset, bytes, ctor)                  \
	kmem_cache_create(name, size, align, flags, ctor)
#define KMEM_CACHE(type, flags)                                                                    \
	kmem_cache_create(#type, sizeof(struct type), __alignof__(struct type), flags, NULL)

/* How many objects, of those that are in use, a warning tells the addresses of. */
#define QUIRE_LINUX_LEFT_ 16

/* Warns that objects of a cache are in use, and says where the first ones are. */
static inline void quire_linux_warn_of_objects_(struct kmem_cache *cache)
{
	void *objects[QUIRE_LINUX_LEFT_];
	size_t used = quire_cache_used(cache->cache, objects, QUIRE_LINUX_LEFT_);

	(void)WARN(true, "kmem_cache_destroy: %zu objects of %zu bytes are in use", used,
		   quire_cache_size(cache->cache));
	for (size_t i = 0; i < used && i < QUIRE_LINUX_LEFT_; i++) {
		printk("object at %p\n", objects[i]);
		quire_linux_say_user_(cache, objects[i]);
	}
}

/* Objects that are in use are a warning, and stay with their cache. */
static inline void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (cache == NULL)
		return;
	if (cache->flags & SLAB_TYPESAFE_BY_RCU)
		rcu_barrier();
	if (quire_cache_destroy(cache->cache) != 0) {
		quire_linux_warn_of_objects_(cache);
		return;
	}
	quire_linux_end_users_(cache);
	free(cache);
}

/* What is constructed, or may still be read, is zeroed only if the call asks for it. */
static inline unsigned quire_linux_object_flags_(const struct kmem_cache *cache, gfp_t gfp)
{
	unsigned flags = quire_linux_flags_(gfp);

	if (!(gfp & __GFP_ZERO) && (cache->ctor != NULL || cache->flags & SLAB_TYPESAFE_BY_RCU))
		flags &= ~QUIRE_ZERO;
	return flags;
}

/* NULL without memory, but never with __GFP_NOFAIL. */
static inline void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	void *object = QUIRE_LINUX_ALLOC_WITH_(gfp, quire_linux_object_flags_(cache, gfp),
					       quire_cache_alloc(cache->cache, quire_flags_));

	quire_linux_note_user_(cache, object);
	return object;
}

#define kmem_cache_zalloc(cache, gfp)		kmem_cache_alloc(cache, (gfp) | __GFP_ZERO)
#define kmem_cache_alloc_node(cache, gfp, node) kmem_cache_alloc(cache, gfp)
#define kmem_cache_alloc_lru(cache, lru, gfp)	kmem_cache_alloc(cache, gfp)

/* Frees an object, as quire_linux_after_grace_() calls functions. */
static inline void quire_linux_free_object_(void *cache, void *object)
{
	quire_cache_free((struct quire_cache *)cache, object);
}

/* With SLAB_TYPESAFE_BY_RCU it returns at once, and the object is used again after the grace period. */
static inline void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	quire_linux_forget_user_(cache, object);
	if (unlikely(cache->flags & SLAB_TYPESAFE_BY_RCU))
		quire_linux_after_grace_(quire_linux_free_object_, cache->cache, object);
	else
		quire_cache_free(cache->cache, object);
}

/* All or none, as in the kernel. */
static inline int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t count,
					void **objects)
{
	size_t got = quire_cache_alloc_bulk(cache->cache, quire_linux_object_flags_(cache, gfp),
					    count, objects);

	if (got == count) {
		for (size_t i = 0; i < count; i++)
			quire_linux_note_user_(cache, objects[i]);
		return (int)count;
	}
	quire_cache_free_bulk(cache->cache, got, objects);
	return 0;
}

/* One by one: each object may have a user, and a grace period. */
static inline void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **objects)
{
	for (size_t i = 0; i < count; i++)
		kmem_cache_free(cache, objects[i]);
}

/* Gives free slabs back.  Always 0, where the kernel says whether some are left. */
static inline int kmem_cache_shrink(struct kmem_cache *cache)
{
	(void)quire_cache_shrink(cache->cache);
	return 0;
}

/* The size that the cache was made with. */
static inline unsigned kmem_cache_size(struct kmem_cache *cache)
{
	return (unsigned)quire_cache_size(cache->cache);
}

#endif
