/* SPDX-License-Identifier: MIT */
/* page/request.h - what an allocation of pages asks for, and what an attempt may do */
#ifndef PAGE_REQUEST_H
#define PAGE_REQUEST_H

#include <stdbool.h>

#include "page/state.h"

struct pages;

/* page_request_make() fills it in once.  A function that grants an attempt more, or less, changes a copy. */
struct page_request {
	unsigned order;
	unsigned type; /* enum migratetype */
	/* Where the search begins: the zone that the flags name, or the CPU's own.  What rmqueue_direct()
	 * calls is given each zone to try as an argument, and that one counts there. */
	unsigned zone;
	bool zone_only; /* the flags name it, so no other zone may serve the request */
	bool may_steal; /* from blocks of other types: set when the zone cannot grow */
	unsigned flags; /* QUIRE_NOLOCK is added in a handler that interrupted a holder of locks */
};

/* Returns 0, -EOWNERDEAD, or -EINVAL for an order or flags that do not exist. */
int page_request_make(struct pages *p, struct page_request *request, unsigned order,
		      unsigned flags);

/* The stack that serves a request, as the sequences name it. */
static inline unsigned page_request_class(const struct page_request *request)
{
	return STACK_CLASS(request->order, request->zone << TAG_ZONE_SHIFT | request->type);
}

#endif
