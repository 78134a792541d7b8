/* SPDX-License-Identifier: MIT */
#include "replay/pattern.h"

#include <stdbool.h>
#include <string.h>

/* 2^64 divided by the golden ratio: odd, so that all words of a block differ in many bytes. */
#define PATTERN_STEP 0x9e3779b97f4a7c15u

/* Words handled by one loop of constant length: the smallest page. */
#define CHUNK_WORDS 512
#define CHUNK_BYTES (CHUNK_WORDS * sizeof(uint64_t))

/* The finaliser of splitmix64: neighbouring ids get unlike seeds. */
static uint64_t mix(uint64_t x)
{
	x += PATTERN_STEP;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

struct pattern pattern_of(uint32_t id, uint64_t first_byte)
{
	return (struct pattern){ .seed = mix(id), .first_word = first_byte / sizeof(uint64_t) };
}

static uint64_t word_at(struct pattern pattern, size_t index)
{
	return pattern.seed + (pattern.first_word + index) * PATTERN_STEP;
}

/* Four words at a time, each from its own sum, so that no addition waits for another. */
static void fill_chunk(uint64_t *words, uint64_t first)
{
	for (size_t i = 0; i < CHUNK_WORDS; i += 4) {
		words[i] = first;
		words[i + 1] = first + PATTERN_STEP;
		words[i + 2] = first + 2 * PATTERN_STEP;
		words[i + 3] = first + 3 * PATTERN_STEP;
		first += 4 * PATTERN_STEP;
	}
}

static uint64_t chunk_difference(const uint64_t *words, uint64_t first)
{
	uint64_t difference = 0;

	for (size_t i = 0; i < CHUNK_WORDS; i += 4) {
		difference |= words[i] ^ first;
		difference |= words[i + 1] ^ (first + PATTERN_STEP);
		difference |= words[i + 2] ^ (first + 2 * PATTERN_STEP);
		difference |= words[i + 3] ^ (first + 3 * PATTERN_STEP);
		first += 4 * PATTERN_STEP;
	}
	return difference;
}

/* Bytes that the vectorised loops may do: whole chunks of a block whose words are aligned. */
static size_t chunks_bytes(const void *block, size_t bytes)
{
	if ((uintptr_t)block % sizeof(uint64_t) != 0)
		return 0;
	return bytes / CHUNK_BYTES * CHUNK_BYTES;
}

void pattern_fill(struct pattern pattern, void *block, size_t bytes)
{
	size_t offset = chunks_bytes(block, bytes);
	uint64_t *words = block;
	uint8_t *at = block;

	for (size_t i = 0; i < offset / sizeof(words[0]); i += CHUNK_WORDS)
		fill_chunk(words + i, word_at(pattern, i));
	for (; offset < bytes; offset += sizeof(uint64_t)) {
		uint64_t word = word_at(pattern, offset / sizeof(word));
		size_t left = bytes - offset;

		memcpy(at + offset, &word, left < sizeof(word) ? left : sizeof(word));
	}
}

uint8_t pattern_byte(struct pattern pattern, size_t offset)
{
	uint64_t word = word_at(pattern, offset / sizeof(word));

	return ((const uint8_t *)&word)[offset % sizeof(word)];
}

static bool is_word_right(struct pattern pattern, const uint8_t *at, size_t offset)
{
	uint64_t word = word_at(pattern, offset / sizeof(word));

	return memcmp(at + offset, &word, sizeof(word)) == 0;
}

size_t pattern_find_mismatch(struct pattern pattern, const void *block, size_t bytes)
{
	size_t chunks_end = chunks_bytes(block, bytes);
	const uint64_t *words = block;
	const uint8_t *at = block;
	size_t offset = 0;

	while (offset < chunks_end &&
	       chunk_difference(words + offset / sizeof(words[0]),
				word_at(pattern, offset / sizeof(words[0]))) == 0)
		offset += CHUNK_BYTES;
	while (offset + sizeof(uint64_t) <= bytes && is_word_right(pattern, at, offset))
		offset += sizeof(uint64_t);
	while (offset < bytes && at[offset] == pattern_byte(pattern, offset))
		offset++;
	return offset;
}
