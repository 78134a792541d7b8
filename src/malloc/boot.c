/* SPDX-License-Identifier: MIT */
/*
 * malloc/boot.c - blocks for calls that come before the heap, or while it is being made
 *
 * A resolver of an IFUNC may call malloc() before this library is relocated, libc may while the heap is made
 * (pthread_atfork()), and so may a handler that interrupts the making.  They get parts of an array, cut
 * from its beginning to its end by one compare-and-swap each.
 *
 * Such calls are few: a dynamic linker that loads fifty libraries makes none, and what is usual for a resolver
 * is one small block.  The array has room for a thousand times that; pages that are never cut cost nothing.
 *
 * Each block has a mark below it: its size, and what it must be for an address to be a block's.
 */
#include "malloc/boot.h"

#include <stdint.h>

#include "machine/atomic.h"

#define ARENA_BYTES ((size_t)256 << 10)
#define MARK	    UINT64_C(0x71b007ed626c6b00)

struct mark {
	uint64_t kind; /* MARK */
	size_t bytes;
};

static struct {
	char bytes[ARENA_BYTES] __attribute__((aligned(64)));
	size_t end; /* atomic: of what was cut */
} arena;

static struct mark *mark_of(const void *block)
{
	return (struct mark *)(uintptr_t)block - 1;
}

/* Bytes that were taken back may have been written.  No memset(): it may not be bound yet. */
static void clear(char *at, size_t bytes)
{
	uint64_t *word = (uint64_t *)(void *)at;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		if (word[i] != 0)
			word[i] = 0;
}

void *boot_alloc(size_t bytes, size_t align)
{
	size_t end = load_relaxed(&arena.end), begin;
	uintptr_t base = (uintptr_t)arena.bytes;

	if (align < sizeof(struct mark))
		align = sizeof(struct mark);
	if (bytes > ARENA_BYTES || align > ARENA_BYTES)
		return NULL;
	bytes = (bytes + sizeof(struct mark) - 1) / sizeof(struct mark) * sizeof(struct mark);
	do {
		begin = ((base + end + sizeof(struct mark) + align - 1) & ~(align - 1)) - base;
		if (begin > ARENA_BYTES || bytes > ARENA_BYTES - begin)
			return NULL;
	} while (!cas_acquire(&arena.end, &end, begin + bytes)); /* pairs with boot_free() */
	clear(arena.bytes + begin, bytes);
	*mark_of(arena.bytes + begin) = (struct mark){ .kind = MARK, .bytes = bytes };
	return arena.bytes + begin;
}

bool boot_has(const void *block)
{
	return (uintptr_t)block - (uintptr_t)arena.bytes < ARENA_BYTES;
}

size_t boot_usable(const void *block)
{
	uintptr_t offset = (uintptr_t)block - (uintptr_t)arena.bytes;

	if (offset < sizeof(struct mark) || offset % sizeof(struct mark) != 0 ||
	    load_relaxed(&mark_of(block)->kind) != MARK) /* as in boot_free() */
		return 0;
	return mark_of(block)->bytes;
}

void boot_free(void *block)
{
	size_t begin = (size_t)((char *)block - arena.bytes);
	size_t end = begin + mark_of(block)->bytes;

	store_relaxed(&mark_of(block)->kind, 0u); /* a second free of it may look */
	/* Pairs with boot_alloc(): whoever cuts the bytes again writes after this store. */
	(void)cas_release(&arena.end, &end, begin - sizeof(struct mark));
}
