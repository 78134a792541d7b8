/* SPDX-License-Identifier: MIT */
/*
 * pattern.h - unique content for every block
 *
 * The 64-bit word at index i of a block is seed + i * PATTERN_STEP, and the seed is mixed from the
 * block's id, so that no two blocks, and no two words of a block, look alike.  A piece that a split
 * has made keeps the content it had in the whole block: it is checked with the whole block's seed,
 * from the word where it begins.
 */
#ifndef QUIRE_TOOL_PATTERN_H
#define QUIRE_TOOL_PATTERN_H

#include <stddef.h>
#include <stdint.h>

struct pattern {
	uint64_t seed;
	uint64_t first_word;
};

struct pattern pattern_of(uint32_t id, uint64_t first_byte);

/* Any number of bytes; whole 4096 of them go through loops of constant length, which are
 * vectorised. */
void pattern_fill(struct pattern pattern, void *block, size_t bytes);

/* Offset of the first byte that is not the pattern's; @bytes if all are. */
size_t pattern_find_mismatch(struct pattern pattern, const void *block, size_t bytes);

uint8_t pattern_byte(struct pattern pattern, size_t offset);

#endif
