/* SPDX-License-Identifier: MIT */
/* sequence.c - see sequence.h */
#include "fuzz/sequence.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_NR    64u
#define WRITTEN_MAX 8192u /* of larger blocks the two ends are written, and a word of each page */
#define PAGE	    4096u
#define LEAST_ALIGN 16u
#define LARGEST	    ((size_t)4 << 20)
/* Of 256 values of a byte: calls that take long are less frequent. */
#define SELDOM	    8u

/* Of C; libc's header may lack them. */
void free_sized(void *block, size_t bytes);
void free_aligned_sized(void *block, size_t align, size_t bytes);

enum call {
	CALL_MALLOC,
	CALL_MALLOC_SMALL,
	CALL_CALLOC,
	CALL_REALLOC,
	CALL_REALLOC_NEAR,
	CALL_REALLOCARRAY,
	CALL_FREE,
	CALL_FREE_SIZED,
	CALL_ALIGNED,
	CALL_POSIX,
	CALL_USABLE,
	CALL_CHECK,
	CALL_TRIM,
	CALL_OTHER_CPU,
	CALL_RUN_OF_FREES,
	CALL_REFUSED,
};

struct shadow {
	unsigned char *block; /* NULL: the slot is empty */
	size_t bytes;
	size_t align; /* as asked for; 0: none */
	unsigned char mark;
};

static struct shadow shadows[SLOTS_NR];
static unsigned char next_mark;
static volatile size_t most = SIZE_MAX; /* a compiler warns of what it knows */

static _Noreturn void wrong(const char *what, const struct shadow *shadow)
{
	fprintf(stderr, "sequence: %s: block %p of %zu bytes, alignment %zu\n", what,
		(void *)shadow->block, shadow->bytes, shadow->align);
	abort();
}

/* The next place that is written after @at. */
static size_t written_next(const struct shadow *shadow, size_t at)
{
	if (shadow->bytes <= WRITTEN_MAX || at + 1 < 64 || at + 65 > shadow->bytes)
		return at + 1;
	at = (at / PAGE + 1) * PAGE;
	return at < shadow->bytes - 64 ? at : shadow->bytes - 64;
}

static void shadow_write(struct shadow *shadow)
{
	shadow->mark = ++next_mark;
	for (size_t at = 0; at < shadow->bytes; at = written_next(shadow, at))
		shadow->block[at] = (unsigned char)(shadow->mark + at);
}

/* Checks the first @bytes of what was written to a block of @shadow's size. */
static void shadow_check(const struct shadow *shadow, const unsigned char *block, size_t bytes)
{
	for (size_t at = 0; at < bytes; at = written_next(shadow, at))
		if (block[at] != (unsigned char)(shadow->mark + at))
			wrong("the content is not what was written", shadow);
}

static void block_check(const struct shadow *shadow)
{
	size_t align = shadow->align > LEAST_ALIGN ? shadow->align : LEAST_ALIGN;

	if ((uintptr_t)shadow->block % align != 0)
		wrong("not aligned", shadow);
	if (malloc_usable_size(shadow->block) < shadow->bytes)
		wrong("fewer bytes are usable than were asked for", shadow);
	for (unsigned i = 0; i < SLOTS_NR; i++) {
		const struct shadow *other = &shadows[i];

		if (other == shadow || !other->block)
			continue;
		if (shadow->block < other->block + other->bytes &&
		    other->block < shadow->block + shadow->bytes)
			wrong("overlaps another block", shadow);
		if (shadow->block == other->block)
			wrong("is another block", shadow);
	}
}

/* The slot's new block.  A refusal leaves it empty: limits refuse too. */
static void shadow_fill(struct shadow *shadow, void *block, size_t bytes, size_t align, bool zeroed)
{
	*shadow = (struct shadow){ .block = block, .bytes = bytes, .align = align };
	if (!block)
		return;
	block_check(shadow);
	if (zeroed)
		for (size_t at = 0; at < bytes; at = written_next(shadow, at))
			if (shadow->block[at] != 0)
				wrong("calloc() left something", shadow);
	shadow_write(shadow);
}

static void shadow_free(struct shadow *shadow, bool sized)
{
	void *block = shadow->block;

	if (!block)
		return;
	shadow_check(shadow, block, shadow->bytes);
	shadow->block = NULL;
	errno = 77;
	if (sized && shadow->align != 0)
		free_aligned_sized(block, shadow->align, shadow->bytes);
	else if (sized)
		free_sized(block, shadow->bytes);
	else
		free(block);
	if (errno != 77)
		wrong("free() changed errno", shadow);
}

static void shadow_resize(struct shadow *shadow, size_t bytes, size_t count)
{
	struct shadow old = *shadow;
	size_t total = count * bytes;
	unsigned char *block;

	if (total == 0) {
		shadow_free(shadow, false);
		return;
	}
	block = count == 1 ? realloc(old.block, bytes) : reallocarray(old.block, count, bytes);
	if (!block) {
		if (old.block)
			shadow_check(&old, old.block, old.bytes);
		return;
	}
	shadow->block = NULL; /* the old place may be another's now */
	if (old.block)
		shadow_check(&old, block, old.bytes < total ? old.bytes : total);
	shadow_fill(shadow, block, total, 0, false);
}

static void refused_ask(size_t bytes)
{
	void *block;

	errno = 0;
	if (malloc(most - bytes) || errno != ENOMEM)
		abort();
	errno = 0;
	if (calloc(most / 2, bytes + 3) || errno != ENOMEM)
		abort();
	if (posix_memalign(&block, 24, bytes) != EINVAL)
		abort();
}

/* Later calls run on another CPU, if there is one; blocks cross over. */
static void cpu_change(unsigned n)
{
	static cpu_set_t allowed;
	cpu_set_t one;

	if (CPU_COUNT(&allowed) == 0)
		sched_getaffinity(0, sizeof(allowed), &allowed);
	for (unsigned cpu = n % 8, i = 0; i < 8; i++, cpu = (cpu + 1) % 8) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static size_t size_of(const uint8_t *bytes)
{
	unsigned doublings = (bytes[0] >> 4) + (bytes[2] & 7u); /* 0..22 */
	size_t size = ((size_t)bytes[3] << doublings) >> 4;

	size += bytes[2] >> 3;
	return size < LARGEST ? size : LARGEST;
}

static void block_take(struct shadow *shadow, enum call call, const uint8_t *bytes)
{
	size_t size = size_of(bytes), align = (size_t)16 << (bytes[2] & 15u) % 13;
	void *block = NULL;

	shadow_free(shadow, false);
	switch (call) {
	case CALL_MALLOC_SMALL:
		size = bytes[2] | (bytes[0] >> 4 & 3u) << 8;
		shadow_fill(shadow, malloc(size), size, 0, false);
		break;
	case CALL_CALLOC:
		shadow_fill(shadow, calloc(size, 1), size, 0, true);
		break;
	case CALL_ALIGNED:
		size = size > (size_t)1 << 20 ? size % ((size_t)1 << 20) : size;
		shadow_fill(shadow, aligned_alloc(align, size), size, align, false);
		break;
	case CALL_POSIX:
		size = size > (size_t)1 << 20 ? size % ((size_t)1 << 20) : size;
		if (posix_memalign(&block, align, size) == 0)
			shadow_fill(shadow, block, size, align, false);
		break;
	default:
		shadow_fill(shadow, malloc(size), size, 0, false);
	}
}

static void call_run(const uint8_t *bytes)
{
	enum call call = bytes[0] & 15u;
	struct shadow *shadow = &shadows[bytes[1] % SLOTS_NR];

	switch (call) {
	case CALL_REALLOC:
		shadow_resize(shadow, size_of(bytes), 1);
		break;
	case CALL_REALLOC_NEAR:
		shadow_resize(shadow, shadow->bytes + bytes[2], 1);
		break;
	case CALL_REALLOCARRAY:
		shadow_resize(shadow, bytes[2], 1u + bytes[3]);
		break;
	case CALL_FREE:
	case CALL_FREE_SIZED:
		shadow_free(shadow, call == CALL_FREE_SIZED);
		break;
	case CALL_USABLE:
	case CALL_CHECK:
		if (shadow->block) {
			block_check(shadow);
			shadow_check(shadow, shadow->block, shadow->bytes);
		}
		break;
	case CALL_TRIM:
		if (bytes[3] < SELDOM)
			malloc_trim(bytes[2]);
		break;
	case CALL_OTHER_CPU:
		if (bytes[3] < SELDOM)
			cpu_change(bytes[2]);
		break;
	case CALL_RUN_OF_FREES:
		for (unsigned i = 0; i < bytes[2] % SLOTS_NR; i++)
			shadow_free(&shadows[(bytes[1] + i) % SLOTS_NR], i % 2 != 0);
		break;
	case CALL_REFUSED:
		refused_ask(bytes[3]);
		break;
	default:
		block_take(shadow, call, bytes);
	}
}

size_t sequence_run(const uint8_t *bytes, size_t nr)
{
	size_t calls_nr = nr / SEQUENCE_CALL_BYTES;

	for (size_t i = 0; i < calls_nr; i++)
		call_run(bytes + i * SEQUENCE_CALL_BYTES);
	for (unsigned i = 0; i < SLOTS_NR; i++)
		shadow_free(&shadows[i], i % 2 != 0);
	return calls_nr;
}
