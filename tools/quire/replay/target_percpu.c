/* SPDX-License-Identifier: MIT */
/* target_percpu.c - a replay of per-CPU objects: quire_alloc_percpu() and quire_free_percpu() */
#include "replay/object_target.h"

static int open_percpu(const struct target_request *request, void **heap, char *error,
		       size_t error_bytes)
{
	struct quire_options options = QUIRE_OPTIONS_INIT();

	/* As many units as were recorded, since a page is populated on all of them.  With threads,
	 * every CPU that they may run on has a unit. */
	if (!request->threads) {
		options.slots = request->cpus_nr;
		options.units = request->cpus_nr;
		options.rseq = QUIRE_OFF;
		options.worker = QUIRE_WORKER_OFF;
	}
	return target_open_instance(request, &options, heap, error, error_bytes);
}

static void close_percpu(void *heap)
{
	quire_destroy(heap);
}

static void *alloc_object(void *heap, const struct plan_request *request)
{
	return quire_alloc_percpu(heap, request->bytes, request->align_bytes, request->flags);
}

static void free_object(void *heap, void *addr, const struct plan_request *request)
{
	(void)request;
	quire_free_percpu(heap, addr);
}

static int poll_instance(void *heap)
{
	return quire_poll(heap);
}

static void read_percpu_stat(void *heap, struct object_stat *stat)
{
	*stat = (struct object_stat){ .live_nr = 0 };
	stat->percpu.struct_bytes = sizeof(stat->percpu);
	quire_percpu_stat_read(heap, &stat->percpu);
	stat->live_nr = stat->percpu.objects;
}

static int verify_instance(void *heap)
{
	return quire_verify(heap);
}

static unsigned units_of(void *heap)
{
	return quire_percpu_units(heap);
}

const struct object_target object_target_percpu = {
	.stride_bytes = QUIRE_PERCPU_STRIDE,
	.is_zeroed = true,
	.open = open_percpu,
	.close = close_percpu,
	.alloc = alloc_object,
	.free = free_object,
	.poll = poll_instance,
	.read_stat = read_percpu_stat,
	.verify = verify_instance,
	.copies = units_of,
};
