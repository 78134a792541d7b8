/* SPDX-License-Identifier: MIT */
/*
 * model_test.c - random calls against a model of the heap
 *
 * The model knows of each block its address, size, alignment and pattern.  Every block that is freed or
 * resized must hold its pattern, no two blocks may overlap (the patterns tell), and each has room for what was
 * asked for.  QUIRE_MALLOC_MODEL_OPS sets how many calls there are, QUIRE_SEED which.
 */
#include <errno.h>
#include <malloc.h>

#include "quire_test.h"

#define OPS	  1000000u
#define BLOCKS_NR 4096u
#define HELD_MAX  MIB(256)

extern void free_sized(void *block, size_t bytes) __attribute__((weak));
extern void free_aligned_sized(void *block, size_t align, size_t bytes) __attribute__((weak));

struct block {
	unsigned char *at;
	size_t bytes, align; /* 0: not of an aligned call */
	unsigned char pattern;
};

static struct {
	struct block block[BLOCKS_NR];
	uint64_t random, wrong_nr, refused_nr;
	size_t held_bytes;
} model;

static uint64_t next_random(void)
{
	model.random = model.random * 6364136223846793005u + 1442695040888963407u;
	return model.random >> 29;
}

/* Mostly small; each octave up to 4 MiB has its share. */
static size_t some_bytes(void)
{
	unsigned octave = (unsigned)next_random() % 64;
	size_t most = octave < 8 ? (size_t)1 << (14 + octave) : (size_t)1 << (4 + octave % 8);

	return next_random() % (most + 1);
}

/* The ends and some bytes between. */
static size_t step_of(size_t bytes)
{
	return bytes > 4096 ? 509 : 1;
}

static void write_pattern(struct block *b)
{
	for (size_t i = 0; i < b->bytes; i += step_of(b->bytes))
		b->at[i] = (unsigned char)(b->pattern + i);
	if (b->bytes != 0)
		b->at[b->bytes - 1] = b->pattern;
}

static bool has_pattern(const struct block *b, size_t bytes)
{
	for (size_t i = 0; i + 1 < bytes; i += step_of(b->bytes))
		if (b->at[i] != (unsigned char)(b->pattern + i))
			return false;
	return bytes < b->bytes || bytes == 0 || b->at[bytes - 1] == b->pattern;
}

static bool is_zero(const unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != 0)
			return false;
	return true;
}

static void note(struct block *b, void *at, size_t bytes, size_t align)
{
	if (at == NULL) {
		model.refused_nr++;
		b->at = NULL;
		return;
	}
	*b = (struct block){
		.at = at, .bytes = bytes, .align = align, .pattern = (unsigned char)next_random()
	};
	model.wrong_nr += malloc_usable_size(at) < bytes;
	model.wrong_nr += (uintptr_t)at % (align != 0 ? align : 16) != 0;
	model.held_bytes += bytes;
	write_pattern(b);
}

static void allocate(struct block *b)
{
	size_t bytes = some_bytes(), align = (size_t)1 << next_random() % 14;
	void *at = NULL;

	switch (next_random() % 8) {
	case 0:
		at = calloc(1, bytes);
		model.wrong_nr += at != NULL && !is_zero(at, bytes);
		note(b, at, bytes, 0);
		return;
	case 1:
		note(b, aligned_alloc(align, bytes), bytes, align);
		return;
	case 2:
		align = align < sizeof(void *) ? sizeof(void *) : align;
		model.wrong_nr += posix_memalign(&at, align, bytes) != 0;
		note(b, at, bytes, align);
		return;
	default:
		note(b, malloc(bytes), bytes, 0);
	}
}

static void release(struct block *b)
{
	model.wrong_nr += !has_pattern(b, b->bytes);
	model.held_bytes -= b->bytes;
	if (free_sized != NULL && next_random() % 2 == 0) {
		if (b->align == 0)
			free_sized(b->at, b->bytes);
		else
			free_aligned_sized(b->at, b->align, b->bytes);
	} else {
		free(b->at);
	}
	b->at = NULL;
}

static void resize(struct block *b)
{
	size_t bytes = 1 + some_bytes(), both = bytes < b->bytes ? bytes : b->bytes;
	unsigned char *at = realloc(b->at, bytes);

	if (at == NULL) {
		model.refused_nr++;
		return;
	}
	b->at = at;
	model.wrong_nr += !has_pattern(b, both);
	model.held_bytes -= b->bytes;
	note(b, at, bytes, 0);
}

static void step(void)
{
	struct block *b = &model.block[next_random() % BLOCKS_NR];

	if (b->at == NULL) {
		if (model.held_bytes < HELD_MAX)
			allocate(b);
	} else if (next_random() % 4 == 0 && model.held_bytes < HELD_MAX) {
		resize(b);
	} else {
		release(b);
	}
}

static void the_heap_is_as_the_model_says(void **state)
{
	uint64_t ops = env_u64("QUIRE_MALLOC_MODEL_OPS", OPS), seed = env_u64("QUIRE_SEED", 1);

	(void)state;
	printf("QUIRE_SEED=%llu QUIRE_MALLOC_MODEL_OPS=%llu\n", (unsigned long long)seed,
	       (unsigned long long)ops);
	model.random = seed;
	for (uint64_t i = 0; i < ops; i++) {
		step();
		if (i % 100000 == 99999)
			malloc_trim(0);
	}
	for (unsigned i = 0; i < BLOCKS_NR; i++)
		if (model.block[i].at != NULL)
			release(&model.block[i]);
	assert_u64_eq(model.wrong_nr, 0);
	assert_u64_eq(model.refused_nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_heap_is_as_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
