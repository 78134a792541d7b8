/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/family.c - the functions that replace libc's
 *
 * malloc() and free() are one sequence each (machine/lean.h); everything else is a tail call of a cold path
 * (heap.h).  Neither asks whether there is a heap: what they compare with is zero until then.
 *
 * Rules, where C, POSIX and glibc leave a choice
 *   malloc(0), calloc(0, n)     a block of its own
 *   realloc(p, 0)               frees p and returns NULL, with errno as it was, as glibc does; the C of 2023 leaves it undefined
 *   aligned_alloc(a, n)         any n; a must be a power of two (EINVAL), as in glibc from 2.38 on
 *   memalign(a, n)              rounds a up to a power of two, as glibc does
 *   free(p)                     leaves errno alone
 *   free_sized(p, n)            n is what malloc(), calloc() or realloc() was asked for; another size is misuse
 *
 * This file is compiled with -fno-builtin, or a compiler would make calls of these functions out of what they
 * do.
 */
#include "malloc/linux/family.h"

#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "base/entry.h"
#include "base/mem.h"
#include "base/round.h"
#include "base/whole.h"
#include "machine/atomic.h"
#include "malloc/heap.h"
#include "slab/slab.h"

#define EXPORT __attribute__((visibility("default")))

/* Another name, with what libc's header says of the first one. */
#if __has_attribute(copy)
#define ALIAS(of) __attribute__((copy(of), alias(#of), visibility("default")))
#else
#define ALIAS(of) __attribute__((alias(#of), visibility("default")))
#endif

/* libc's headers have names of their own for parameters.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

/* A block of this CPU's sheaf, or NULL.  A class that was just learnt refuses on a CPU that does not know it. */
static inline __attribute__((always_inline)) void *alloc_fast(size_t bytes)
{
	if (UNLIKELY(bytes >= load_relaxed(&malloc_heap.small_end)))
		return NULL;
	return lean_pop(&malloc_heap.lean, load_relaxed(&malloc_heap.class_of[table_place(bytes)]));
}

FAST_ENTRY(malloc);

EXPORT void *malloc(size_t bytes)
{
	void *block = alloc_fast(bytes);

	return LIKELY(block != NULL) ? block : malloc_cold(bytes);
}

/* An address that is no multiple of 16 has a large entry. */
static inline __attribute__((always_inline)) bool free_fast(void *block)
{
	size_t entry = whole_index((uintptr_t)block - (uintptr_t)malloc_heap.base, ENTRY_SHIFT);

	if (UNLIKELY(entry >= load_relaxed(&malloc_heap.entries)))
		return false;
	/* Headers of byte 0, no slab's, and of emptying slabs' bytes refuse for ever. */
	return lean_push(&malloc_heap.lean,
			 load_relaxed(&malloc_heap.byte[entry >> (HEAP_PAGE_SHIFT - ENTRY_SHIFT)]),
			 block);
}

FAST_ENTRY(free);

EXPORT void free(void *block)
{
	if (UNLIKELY(!free_fast(block)))
		malloc_free_cold(block, "free");
}

void cfree(void *block) ALIAS(free);

EXPORT void *calloc(size_t count, size_t each)
{
	size_t bytes;
	void *block;

	if (UNLIKELY(__builtin_mul_overflow(count, each, &bytes)))
		bytes = SIZE_MAX;
	if (UNLIKELY(bytes >= load_relaxed(&malloc_heap.small_end)))
		return malloc_zeroed(bytes);
	block = malloc(bytes);
	if (LIKELY(block != NULL))
		memset(block, 0, bytes);
	return block;
}

EXPORT void *realloc(void *block, size_t bytes)
{
	if (block == NULL)
		return malloc(bytes);
	if (bytes == 0) {
		free(block);
		return NULL;
	}
	return malloc_resize(block, bytes);
}

/* ---- aligned ---- */

static bool is_power_of_two(size_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

EXPORT void *aligned_alloc(size_t align, size_t bytes)
{
	if (!is_power_of_two(align)) {
		errno = EINVAL;
		return NULL;
	}
	return align <= MALLOC_ALIGN ? malloc(bytes) : malloc_aligned(align, bytes);
}

EXPORT int posix_memalign(void **out, size_t align, size_t bytes)
{
	void *block;

	if (!is_power_of_two(align) || align % sizeof(void *) != 0)
		return EINVAL;
	if (align > MALLOC_ALIGN)
		return malloc_aligned_into(out, align, bytes);
	block = alloc_fast(bytes);
	if (UNLIKELY(block == NULL))
		return malloc_aligned_into(out, MALLOC_ALIGN, bytes);
	*out = block;
	return 0;
}

EXPORT void *memalign(size_t align, size_t bytes)
{
	size_t power = MALLOC_ALIGN;

	if (align > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	while (power < align)
		power *= 2;
	return aligned_alloc(power, bytes);
}

EXPORT void *valloc(size_t bytes)
{
	return aligned_alloc((size_t)getpagesize(), bytes);
}

EXPORT void *pvalloc(size_t bytes)
{
	size_t page = (size_t)getpagesize();

	if (bytes > SIZE_MAX - page + 1) {
		errno = ENOMEM;
		return NULL;
	}
	return aligned_alloc(page, bytes != 0 ? round_up(bytes, page) : page);
}

/* ---- sized frees ---- */

/* The class of the size, if it is that of the block's frame: then nothing else is to be looked at. */
static bool is_of_class(const void *block, size_t bytes)
{
	size_t entry = whole_index((uintptr_t)block - (uintptr_t)malloc_heap.base, ENTRY_SHIFT);

	return bytes <= MALLOC_SMALL_MAX && entry < load_relaxed(&malloc_heap.entries) &&
	       load_relaxed(&malloc_heap.byte[entry >> (HEAP_PAGE_SHIFT - ENTRY_SHIFT)]) ==
		       load_relaxed(&malloc_heap.class_of[table_place(bytes)]);
}

EXPORT void free_sized(void *block, size_t bytes)
{
	if (UNLIKELY(!is_of_class(block, bytes)) && block != NULL)
		malloc_check_bytes(block, MALLOC_ALIGN, bytes, "free_sized");
	free(block);
}

EXPORT void free_aligned_sized(void *block, size_t align, size_t bytes)
{
	if (block == NULL)
		return;
	if (!is_power_of_two(align) || (uintptr_t)block % align != 0)
		misuse_number("wrong alignment", "free_aligned_sized", block, "alignment", align);
	malloc_check_bytes(block, align, bytes, "free_aligned_sized");
	free(block);
}

EXPORT size_t malloc_usable_size(void *block)
{
	return block != NULL ? malloc_usable(block, "malloc_usable_size") : 0;
}

/* ---- libc's other names ---- */

void *__libc_malloc(size_t bytes) ALIAS(malloc);
void __libc_free(void *block) ALIAS(free);
void *__libc_calloc(size_t count, size_t each) ALIAS(calloc);
void *__libc_realloc(void *block, size_t bytes) ALIAS(realloc);
void *__libc_memalign(size_t align, size_t bytes) ALIAS(memalign);
void *__libc_valloc(size_t bytes) ALIAS(valloc);
void *__libc_pvalloc(size_t bytes) ALIAS(pvalloc);

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
