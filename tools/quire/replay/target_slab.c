/* SPDX-License-Identifier: MIT */
/*
 * target_slab.c - a replay of kmalloc() and of programs' malloc(): object caches, and quire_kvmalloc() above them
 *
 * The caches' sizes are 16 bytes apart up to 256, then eight to each power of two.
 */
#include "replay/object_target.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHES_NR 72u

struct slab_heap {
	struct quire *q;
	struct quire_cache *caches[CACHES_NR];
	_Atomic uint64_t large_nr, large_bytes; /* above the largest object */
};

/* 1..16 -> 0, 256 -> 15, 257..288 -> 16, 512 -> 23, QUIRE_OBJECT_MAX -> 71. */
static unsigned cache_index(size_t bytes)
{
	unsigned shift;

	if (bytes <= 256)
		return (unsigned)((bytes - 1) / 16);
	shift = 63 - (unsigned)__builtin_clzll(bytes - 1);
	return 16 + (shift - 8) * 8 + (unsigned)((bytes - 1 - ((size_t)1 << shift)) >> (shift - 3));
}

/* The largest size of that index. */
static size_t cache_bytes(unsigned index)
{
	unsigned shift = 8 + (index - 16) / 8;

	if (index < 16)
		return (index + 1) * 16;
	return ((size_t)1 << shift) + (((index - 16) % 8 + 1) << (shift - 3));
}

static int make_caches(struct slab_heap *slab)
{
	for (unsigned i = 0; i < CACHES_NR; i++) {
		struct quire_cache_options options =
			QUIRE_CACHE_OPTIONS_INIT(.name = "replay", .size = cache_bytes(i));
		int error = quire_cache_create(slab->q, &options, &slab->caches[i]);

		if (error != 0)
			return error;
	}
	return 0;
}

static int open_slab(const struct target_request *request, void **heap, char *error,
		     size_t error_bytes)
{
	struct quire_options options = QUIRE_OPTIONS_INIT();
	struct slab_heap *slab = calloc(1, sizeof(*slab));
	void *instance;
	int failed;

	if (slab == NULL) {
		snprintf(error, error_bytes, "no memory for a replay");
		return -1;
	}
	/* As for areas. */
	if (!request->threads) {
		options.slots = request->cpus_nr;
		options.rseq = QUIRE_OFF;
		options.worker = QUIRE_WORKER_OFF;
	}
	if (target_open_instance(request, &options, &instance, error, error_bytes) != 0) {
		free(slab);
		return -1;
	}
	slab->q = instance;
	failed = make_caches(slab);
	if (failed != 0) {
		snprintf(error, error_bytes, "cannot make caches: %s", strerror(-failed));
		quire_destroy(slab->q);
		free(slab);
		return -1;
	}
	*heap = slab;
	return 0;
}

static void close_slab(void *heap)
{
	struct slab_heap *slab = heap;

	quire_destroy(slab->q); /* with its caches */
	free(slab);
}

static void *alloc_object(void *heap, const struct plan_request *request)
{
	struct slab_heap *slab = heap;
	void *large;

	if (request->bytes <= QUIRE_OBJECT_MAX)
		return quire_cache_alloc(slab->caches[cache_index(request->bytes)], request->flags);
	large = quire_kvmalloc(slab->q, request->bytes, request->flags);
	if (large != NULL) {
		atomic_fetch_add(&slab->large_nr, 1);
		atomic_fetch_add(&slab->large_bytes, request->bytes);
	}
	return large;
}

static void free_object(void *heap, void *addr, const struct plan_request *request)
{
	struct slab_heap *slab = heap;

	if (request->bytes <= QUIRE_OBJECT_MAX) {
		quire_cache_free(slab->caches[cache_index(request->bytes)], addr);
		return;
	}
	quire_kvfree(slab->q, addr);
	atomic_fetch_sub(&slab->large_nr, 1);
	atomic_fetch_sub(&slab->large_bytes, request->bytes);
}

static int poll_instance(void *heap)
{
	struct slab_heap *slab = heap;

	return quire_poll(slab->q);
}

static void read_slab_stat(void *heap, struct object_stat *stat)
{
	struct slab_heap *slab = heap;

	*stat = (struct object_stat){ .slab = QUIRE_SLAB_STAT_INIT };
	quire_slab_stat_read(slab->q, &stat->slab);
	stat->large_bytes = atomic_load(&slab->large_bytes);
	stat->live_nr = stat->slab.used + atomic_load(&slab->large_nr);
}

static int verify_instance(void *heap)
{
	struct slab_heap *slab = heap;

	return quire_verify(slab->q);
}

const struct object_target object_target_slab = {
	.open = open_slab,
	.close = close_slab,
	.alloc = alloc_object,
	.free = free_object,
	.poll = poll_instance,
	.read_stat = read_slab_stat,
	.verify = verify_instance,
};
