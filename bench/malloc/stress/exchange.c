/* SPDX-License-Identifier: MIT */
/* exchange.c - threads put batches of objects into a shared pool and free whatever batch they get back */
#include "malloc/stress/shape.h"

#define THREADS_NR 4u
#define BATCH_NR   120u
#define POOL_NR	   512u
#define ROUNDS_NR  70000u

struct batch {
	uint32_t mark;
	size_t sizes[BATCH_NR];
	char *objects[BATCH_NR];
};

static struct batch *pool[POOL_NR];

static struct batch *batch_make(uint64_t *random)
{
	struct batch *batch = shape_alloc(sizeof(*batch));

	batch->mark = (uint32_t)*random;
	for (unsigned i = 0; i < BATCH_NR; i++) {
		batch->sizes[i] = 8 + random_below(random, 192);
		batch->objects[i] = shape_alloc(batch->sizes[i]);
		shape_mark(batch->objects[i], batch->sizes[i], batch->mark + i);
	}
	return batch;
}

static void batch_free(struct batch *batch)
{
	if (!batch)
		return;
	for (unsigned i = 0; i < BATCH_NR; i++) {
		shape_check(batch->objects[i], batch->sizes[i], batch->mark + i);
		free(batch->objects[i]);
	}
	free(batch);
}

static void *thread_main(void *arg)
{
	uint64_t random = (uintptr_t)arg + 1;

	for (unsigned i = 0; i < ROUNDS_NR; i++) {
		struct batch **at = &pool[random_below(&random, POOL_NR)];

		batch_free(__atomic_exchange_n(at, batch_make(&random), __ATOMIC_ACQ_REL));
	}
	return NULL;
}

void shape_exchange(void)
{
	shape_start(THREADS_NR, thread_main);
	for (unsigned i = 0; i < POOL_NR; i++)
		batch_free(pool[i]);
}
