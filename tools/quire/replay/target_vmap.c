/* SPDX-License-Identifier: MIT */
/* target_vmap.c - a replay of areas: quire_vmalloc() and quire_vfree() */
#include "replay/object_target.h"

#include <quire/page.h>

static int open_vmap(const struct target_request *request, void **heap, char *error,
		     size_t error_bytes)
{
	struct quire_options options = QUIRE_OPTIONS_INIT();

	/* As for pages, but the clock is the recording's, and work that is due by it is done. */
	if (!request->threads) {
		options.slots = request->cpus_nr;
		options.rseq = QUIRE_OFF;
		options.worker = QUIRE_WORKER_OFF;
	}
	return target_open_instance(request, &options, heap, error, error_bytes);
}

static void close_vmap(void *heap)
{
	quire_destroy(heap);
}

static void *alloc_area(void *heap, const struct plan_request *request)
{
	struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = request->align_bytes,
					   .flags = request->flags);

	if (request->align_bytes <= quire_page_bytes(heap))
		return quire_vmalloc(heap, request->bytes, request->flags);
	return quire_vmalloc_with(heap, request->bytes, &options);
}

static void free_area(void *heap, void *addr, const struct plan_request *request)
{
	(void)request;
	quire_vfree(heap, addr);
}

static int poll_instance(void *heap)
{
	return quire_poll(heap);
}

static void read_vmap_stat(void *heap, struct object_stat *stat)
{
	*stat = (struct object_stat){ .live_nr = 0 };
	stat->vmap.struct_bytes = sizeof(stat->vmap);
	quire_vmap_stat_read(heap, &stat->vmap);
	stat->live_nr = stat->vmap.busy_areas;
}

static int verify_instance(void *heap)
{
	return quire_verify(heap);
}

const struct object_target object_target_vmap = {
	.open = open_vmap,
	.close = close_vmap,
	.alloc = alloc_area,
	.free = free_area,
	.poll = poll_instance,
	.read_stat = read_vmap_stat,
	.verify = verify_instance,
};
