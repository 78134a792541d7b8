/* SPDX-License-Identifier: MIT */
/*
 * shape.h - programs in the shapes in which allocators have been compared for decades
 *
 * Each shape is a program of our own, with fixed seeds and a fixed amount of work: about a second or two.
 * What it writes to objects is checked, so a library that mixes objects up is refused instead of
 * praised.
 */
#ifndef BENCH_MALLOC_STRESS_SHAPE_H
#define BENCH_MALLOC_STRESS_SHAPE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "harness/random.h"

#define SHAPE_THREADS 2u

struct shape {
	const char *name;
	void (*run)(void);
};

void shape_larson(void);
void shape_producer(void);
void shape_small(void);
void shape_scratch(void);
void shape_thrash(void);
void shape_exchange(void);
void shape_ladder(void);
void shape_sizes(void);
void shape_threads(void);
void shape_queue(void);
void shape_tree(void);
void shape_strings(void);

/* Ends the process: the sample is refused. */
_Noreturn void shape_refuse(const char *why);
/* @main(0) .. @main(@nr - 1), the index in the pointer, on threads of their own; waits for them. */
void shape_start(unsigned nr, void *(*main)(void *index));

static inline void *shape_alloc(size_t bytes)
{
	void *object = malloc(bytes);

	if (!object)
		shape_refuse("an allocation was refused");
	return object;
}

/* An object's first bytes say whose it is; @bytes is at least 8. */
static inline void shape_mark(void *object, size_t bytes, uint32_t mark)
{
	unsigned char *at = object;

	*(uint32_t *)object = mark;
	at[bytes - 1] = (unsigned char)mark;
}

static inline void shape_check(const void *object, size_t bytes, uint32_t mark)
{
	const unsigned char *at = object;

	if (*(const uint32_t *)object != mark || at[bytes - 1] != (unsigned char)mark)
		shape_refuse("an object is not what was written");
}

/* A queue of at most SLOTS pointers from one thread to another; both spin, with a pause. */
#define SHAPE_SLOTS 4096u

struct shape_queue {
	uint64_t put_nr __attribute__((aligned(128)));
	uint64_t taken_nr __attribute__((aligned(128)));
	void *slots[SHAPE_SLOTS] __attribute__((aligned(128)));
};

void shape_put(struct shape_queue *queue, void *object);
void *shape_take(struct shape_queue *queue);

#endif
