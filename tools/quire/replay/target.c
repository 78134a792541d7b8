/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quire/quire.h>

#include "page/alloc.h"
#include "page/free.h"
#include "page/layout.h"
#include "replay/target.h"

/*
 * One thread that acts for all CPUs must give the same figures on every machine and at every time:
 * as many CPUs as were recorded, lists and no sequences, and nothing done by a clock.  Threads run
 * as a program would: with the defaults.
 */
static struct quire_options options_for(const struct target_request *request)
{
	struct quire_options options = QUIRE_OPTIONS_INIT();

	if (request->threads)
		return options;
	options.slots = request->cpus_nr;
	options.rseq = QUIRE_OFF;
	options.report = QUIRE_OFF;
	options.worker = QUIRE_WORKER_OFF;
	return options;
}

int target_open_instance(const struct target_request *request, struct quire_options *options,
			 void **heap, char *error, size_t error_bytes)
{
	struct quire *q;
	int result;

	if (request->conf != NULL &&
	    quire_options_parse(request->conf, options, error, error_bytes) != 0)
		return -1;
	result = quire_create(options, &q);
	if (result != 0) {
		snprintf(error, error_bytes, "cannot make an instance: %s", strerror(-result));
		return -1;
	}
	if (!request->threads && quire_slots(q) < request->cpus_nr) {
		snprintf(error, error_bytes, "the instance has %u slots, the recording %u CPUs",
			 quire_slots(q), request->cpus_nr);
		quire_destroy(q);
		return -1;
	}
	*heap = q;
	return 0;
}

static int open_instance(const struct target_request *request, void **heap, char *error,
			 size_t error_bytes)
{
	struct quire_options options = options_for(request);

	return target_open_instance(request, &options, heap, error, error_bytes);
}

static void close_instance(void *heap)
{
	quire_destroy(heap);
}

static void *alloc_on(void *heap, unsigned cpu, unsigned order, unsigned flags)
{
	return page_alloc_on(heap, cpu, order, flags);
}

static void free_on(void *heap, unsigned cpu, void *addr, unsigned order)
{
	page_free_on(heap, cpu, addr, order);
}

static void free_batch_on(void *heap, unsigned cpu, size_t count, void **pages)
{
	page_free_bulk_on(heap, cpu, count, pages);
}

static void *alloc_here(void *heap, unsigned cpu, unsigned order, unsigned flags)
{
	(void)cpu;
	return quire_alloc_pages(heap, order, flags);
}

static void free_here(void *heap, unsigned cpu, void *addr, unsigned order)
{
	(void)cpu;
	quire_free_pages(heap, addr, order);
}

static void free_batch_here(void *heap, unsigned cpu, size_t count, void **pages)
{
	(void)cpu;
	quire_free_pages_bulk(heap, pages, count);
}

static void split_block(void *heap, void *addr, unsigned order, unsigned new_order)
{
	if (new_order == 0)
		quire_split_pages(heap, addr, order);
	else
		page_split_to(heap, addr, order, new_order);
}

static uint64_t frame_number(void *heap, const void *addr)
{
	return page_frame(heap, addr);
}

static void read_instance_stat(void *heap, struct quire_page_stat *stat)
{
	stat->struct_bytes = sizeof(*stat);
	quire_page_stat_read(heap, stat);
}

static int verify_instance(void *heap)
{
	return quire_verify(heap);
}

const struct target target_by_number = {
	.open = open_instance,
	.close = close_instance,
	.alloc = alloc_on,
	.free = free_on,
	.free_batch = free_batch_on,
	.split = split_block,
	.page_number = frame_number,
	.read_stat = read_instance_stat,
	.verify = verify_instance,
};

const struct target target_public = {
	.open = open_instance,
	.close = close_instance,
	.alloc = alloc_here,
	.free = free_here,
	.free_batch = free_batch_here,
	.split = split_block,
	.page_number = frame_number,
	.read_stat = read_instance_stat,
	.verify = verify_instance,
};
