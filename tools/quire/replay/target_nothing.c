/* SPDX-License-Identifier: MIT */
/* target_nothing.c - allocators that do nothing, to measure the cost of the replay's own loop */
#include "replay/object_target.h"

static int open_nothing(const struct target_request *request, void **heap, char *error,
			size_t error_bytes)
{
	(void)request;
	(void)error;
	(void)error_bytes;
	*heap = NULL;
	return 0;
}

static void close_nothing(void *heap)
{
	(void)heap;
}

static void *alloc_nothing(void *heap, unsigned cpu, unsigned order, unsigned flags)
{
	static char somewhere;

	(void)heap;
	(void)cpu;
	(void)order;
	(void)flags;
	return &somewhere;
}

static void free_nothing(void *heap, unsigned cpu, void *addr, unsigned order)
{
	(void)heap;
	(void)cpu;
	(void)addr;
	(void)order;
}

static void free_batch_nothing(void *heap, unsigned cpu, size_t count, void **pages)
{
	(void)heap;
	(void)cpu;
	(void)count;
	(void)pages;
}

static void split_nothing(void *heap, void *addr, unsigned order, unsigned new_order)
{
	(void)heap;
	(void)addr;
	(void)order;
	(void)new_order;
}

static uint64_t page_number_nothing(void *heap, const void *addr)
{
	(void)heap;
	(void)addr;
	return 0;
}

static void read_stat_nothing(void *heap, struct quire_page_stat *stat)
{
	(void)heap;
	*stat = (struct quire_page_stat){ .struct_bytes = sizeof(*stat) };
}

static int verify_nothing(void *heap)
{
	(void)heap;
	return 0;
}

const struct target target_nothing = {
	.open = open_nothing,
	.close = close_nothing,
	.alloc = alloc_nothing,
	.free = free_nothing,
	.free_batch = free_batch_nothing,
	.split = split_nothing,
	.page_number = page_number_nothing,
	.read_stat = read_stat_nothing,
	.verify = verify_nothing,
};

/* ---- objects --------------------------------------------------------------------------------- */

static void *alloc_no_object(void *heap, const struct plan_request *request)
{
	(void)request;
	return alloc_nothing(heap, 0, 0, 0);
}

static void free_no_object(void *heap, void *addr, const struct plan_request *request)
{
	(void)request;
	(void)heap;
	(void)addr;
}

static int poll_nothing(void *heap)
{
	(void)heap;
	return -1;
}

static void read_no_stat(void *heap, struct object_stat *stat)
{
	(void)heap;
	*stat = (struct object_stat){ .live_nr = 0 };
}

const struct object_target object_target_nothing = {
	.open = open_nothing,
	.close = close_nothing,
	.alloc = alloc_no_object,
	.free = free_no_object,
	.poll = poll_nothing,
	.read_stat = read_no_stat,
	.verify = verify_nothing,
};
