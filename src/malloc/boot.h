/* SPDX-License-Identifier: MIT */
/* malloc/boot.h - blocks for calls that come before the heap, or while it is being made: boot.c */
#ifndef MALLOC_BOOT_H
#define MALLOC_BOOT_H

#include <stdbool.h>
#include <stddef.h>

/* At a multiple of @align, a power of two; reads zero.  NULL if the arena is used up.  Anywhere, signal handlers
 * included. */
void *boot_alloc(size_t bytes, size_t align);
bool boot_has(const void *block);
/* Bytes that the user of @block may write; 0 if it is no block's beginning. */
size_t boot_usable(const void *block);
/* Takes back the block that was allocated last; of others the memory stays in use. */
void boot_free(void *block);

#endif
