/* SPDX-License-Identifier: MIT */
/*
 * percpu/variable.c - variables with a copy on every CPU
 *
 * QUIRE_DEFINE_PER_CPU leaves a content and a pointer; its constructor comes here.  Room is taken
 * from the first chunk's static area, then from its reserved one, both populated since the first
 * chunk was made; then like any object.  A library that is closed frees its variables, so what was
 * reserved for libraries is there for the next one.
 */
#include "percpu/map.h"

/* Room between two pages of the first chunk; NULL if there is none. */
static char *from_area(struct percpu *pc, const struct request *request, enum kind kind)
{
	struct request here = *request;
	struct placed placed;
	uint32_t at = NONE;
	lock_token token = lock_acquire(&pc->lock);

	here.fours = false;
	here.kind = (uint8_t)kind;
	for (uint32_t i = 0; i < unit_pages(pc) && at == NONE; i++) {
		uint32_t first = i;

		while (i < unit_pages(pc) && pc->page[i].kind == kind)
			i++;
		if (i != first)
			at = map_find(pc, 0, first << pc->page_granules_shift,
				      i << pc->page_granules_shift, here.n, here.align);
	}
	if (at != NONE)
		area_take_locked(pc, 0, &here, at, &placed);
	percpu_unlock(pc, token);
	return at != NONE ? unit_addr(pc, 0, at << GRANULE_SHIFT) : NULL;
}

static char *allocate(struct quire *q, const struct quire_percpu_variable *variable)
{
	struct percpu *pc = q != NULL ? percpu_of(q, 0) : NULL;
	struct request request;
	char *ptr;

	if (pc == NULL ||
	    percpu_request_make(pc, variable->bytes, variable->align, 0, &request) != 0)
		return NULL;
	ptr = from_area(pc, &request, KIND_STATIC);
	if (ptr == NULL)
		ptr = from_area(pc, &request, KIND_RESERVED);
	if (ptr == NULL)
		ptr = quire_alloc_percpu(q, variable->bytes, variable->align, 0);
	return ptr;
}

void quire_percpu_define(const struct quire_percpu_variable *variable)
{
	struct quire *q = quire_default();
	char *ptr = allocate(q, variable);

	if (ptr == NULL)
		process_exit_conf("quire: no memory for a per-CPU variable");
	for (unsigned cpu = 0; cpu < quire_percpu_units(q); cpu++)
		memcpy(quire_per_cpu_ptr(ptr, cpu), variable->content, variable->bytes);
	*variable->pointer = ptr;
}

void quire_percpu_undefine(const struct quire_percpu_variable *variable)
{
	void *ptr = *variable->pointer;

	*variable->pointer = NULL;
	quire_free_percpu(quire_default(), ptr);
}
