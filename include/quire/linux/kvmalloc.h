/* SPDX-License-Identifier: MIT */
/*
 * linux/kvmalloc.h - kmalloc() and kvmalloc(), which linux/slab.h and linux/mm.h share
 *
 * kmalloc() is the program's malloc(), which libquire-malloc serves from the same slabs when it is preloaded or linked.
 * Memory is aligned to the largest power of two that divides its size.  kvmalloc() is kmalloc() up to
 * KMALLOC_MAX_SIZE and an area beyond; kvfree() takes what any of these returned, and what vmalloc() did.
 */
#ifndef QUIRE_LINUX_KVMALLOC_H
#define QUIRE_LINUX_KVMALLOC_H

#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/vmalloc.h>

#include <malloc.h>

#define KMALLOC_MAX_CACHE_SIZE (2 * PAGE_SIZE)
#define KMALLOC_MAX_SIZE       (4UL << 20)
#define ARCH_KMALLOC_MINALIGN  16

/* Where a request of no bytes points. */
#define ZERO_SIZE_PTR	      ((void *)16)
#define ZERO_OR_NULL_PTR(ptr) ((uintptr_t)(ptr) <= (uintptr_t)ZERO_SIZE_PTR)

/* All of malloc_usable_size() may be written, whatever the compiler knows of the request. */
static inline void *quire_linux_malloc_(size_t size)
{
	size_t align = size & (~size + 1);
	void *ptr = align > ARCH_KMALLOC_MINALIGN ? aligned_alloc(align, size) : malloc(size);

	OPTIMIZER_HIDE_VAR(ptr);
	return ptr;
}

static inline void *kmalloc(size_t size, gfp_t gfp)
{
	void *ptr;

	if (size == 0)
		return ZERO_SIZE_PTR;
	if (size > KMALLOC_MAX_SIZE) {
		errno = EINVAL;
		return NULL;
	}
	ptr = QUIRE_LINUX_ALLOC_(gfp, quire_linux_malloc_(size));
	if (ptr != NULL && quire_linux_is_zeroed_(gfp))
		memset(ptr, 0, malloc_usable_size(ptr)); /* krealloc() copies it all */
	return ptr;
}

static inline void kfree(const void *ptr)
{
	if (!ZERO_OR_NULL_PTR(ptr))
		free((void *)(uintptr_t)ptr);
}

static inline size_t ksize(const void *ptr)
{
	return ZERO_OR_NULL_PTR(ptr) ? 0 : malloc_usable_size((void *)(uintptr_t)ptr);
}

static inline void kfree_sensitive(const void *ptr)
{
	if (!ZERO_OR_NULL_PTR(ptr))
		explicit_bzero((void *)(uintptr_t)ptr, ksize(ptr));
	kfree(ptr);
}

/* Bytes beyond the old size are zeroed with __GFP_ZERO, if it was given at every call before. */
static inline void *krealloc(const void *ptr, size_t size, gfp_t gfp)
{
	size_t old = ksize(ptr);
	void *moved;

	if (size == 0) {
		kfree(ptr);
		return ZERO_SIZE_PTR;
	}
	if (ZERO_OR_NULL_PTR(ptr) || size > KMALLOC_MAX_SIZE)
		return kmalloc(size, gfp);
	moved = kmalloc(size, gfp);
	if (moved == NULL)
		return NULL;
	memcpy(moved, ptr, min_t(size_t, old, size));
	kfree(ptr);
	return moved;
}

static inline void *kmalloc_array(size_t count, size_t size, gfp_t gfp)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : kmalloc(bytes, gfp);
}

#define kzalloc(size, gfp)		kmalloc(size, (gfp) | __GFP_ZERO)
#define kcalloc(count, size, gfp)	kmalloc_array(count, size, (gfp) | __GFP_ZERO)
#define kmalloc_node(size, gfp, node)	kmalloc(size, gfp)
#define kzalloc_node(size, gfp, node)	kzalloc(size, gfp)
#define kmalloc_track_caller(size, gfp) kmalloc(size, gfp)

static inline void *kmemdup(const void *from, size_t size, gfp_t gfp)
{
	void *ptr = kmalloc(size, gfp);

	if (ptr != NULL && size != 0)
		memcpy(ptr, from, size);
	return ptr;
}

static inline char *kstrdup(const char *text, gfp_t gfp)
{
	return text == NULL ? NULL : (char *)kmemdup(text, strlen(text) + 1, gfp);
}

/* ---- of any size ---- */

static inline void *kvmalloc(size_t size, gfp_t gfp)
{
	void *ptr = NULL;

	if (size <= KMALLOC_MAX_SIZE)
		ptr = kmalloc(size, size > PAGE_SIZE ? gfp & ~__GFP_NOFAIL : gfp);
	return ptr != NULL ? ptr : __vmalloc(size, gfp);
}

static inline void *kvmalloc_array(size_t count, size_t size, gfp_t gfp)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : kvmalloc(bytes, gfp);
}

#define kvzalloc(size, gfp)	       kvmalloc(size, (gfp) | __GFP_ZERO)
#define kvcalloc(count, size, gfp)     kvmalloc_array(count, size, (gfp) | __GFP_ZERO)
#define kvmalloc_node(size, gfp, node) kvmalloc(size, gfp)
#define kvzalloc_node(size, gfp, node) kvzalloc(size, gfp)

static inline void kvfree(const void *ptr)
{
	if (!ZERO_OR_NULL_PTR(ptr) && is_vmalloc_addr(ptr))
		vfree(ptr);
	else
		kfree(ptr);
}

static inline void kvfree_sensitive(const void *ptr, size_t size)
{
	if (!ZERO_OR_NULL_PTR(ptr))
		explicit_bzero((void *)(uintptr_t)ptr, size);
	kvfree(ptr);
}

/* As since Linux 6.12: the old size is known.  Without a size an area is freed, and NULL returned. */
static inline void *kvrealloc(const void *ptr, size_t size, gfp_t gfp)
{
	void *moved;

	if (!ZERO_OR_NULL_PTR(ptr) && is_vmalloc_addr(ptr))
		return vrealloc(ptr, size, gfp);
	if (size <= KMALLOC_MAX_SIZE)
		return krealloc(ptr, size, gfp);
	moved = kvmalloc(size, gfp);
	if (moved != NULL && !ZERO_OR_NULL_PTR(ptr)) {
		memcpy(moved, ptr, ksize(ptr));
		kfree(ptr);
	}
	return moved;
}

#endif
