/* SPDX-License-Identifier: MIT */
/*
 * percpu/variable.c - variables with a copy on every CPU
 *
 * QUIRE_DEFINE_PER_CPU defines an initial content and a pointer; its constructor calls this file.
 * The variable is placed in the first chunk's static area, then in its reserved area, both of
 * which are populated from the start; if both are full, it is placed like any object.
 *
 * Each variable has a record: the place of its pointer, and the value stored there.  There is no
 * destructor, since a destructor cannot tell exit() from dlclose(), and at exit threads still use
 * their counters.  Instead, the next definition after a library was unloaded, or a call that
 * returns memory, checks for each record whether the pointer is still in a loaded object and
 * still has the value.  If not, the library is gone (a new one at the same address starts with a
 * NULL pointer), and the variable's room is freed.  So the reserved area is available for the
 * next library.
 *
 * When an instance is destroyed its variables move to the new default instance, with the content
 * of each CPU's copy: they belong to the program, not to the owner of the instance.
 *
 * Records are in pages of their own, under alloc_mutex.  The loader is queried only with no lock
 * held (process.h), and by one thread at a time, so that a record that was removed and reused
 * meanwhile is not mistaken for the old one.
 */
#include "percpu/variable.h"

#include "base/sized.h"
#include "percpu/alloc.h"
#include "percpu/map.h"
#include "percpu/object.h"

struct variable {
	void **pointer; /* NULL: no variable */
	void *ptr;	/* the value that it was set to */
	size_t bytes, align;
	uint64_t serial;	    /* unique, even if the record is reused */
	bool in_object;		    /* the pointer was in a loaded object */
	struct variable *next_free; /* while there is no variable */
};

/* Pages are added at the front, and never removed until the instance ends. */
struct variable_page {
	struct variable_page *next;
	struct variable variable[];
};

/* A walk through all records, which may drop the mutex between two steps. */
struct walk {
	struct variable_page *page;
	size_t index;
};

static size_t variables_a_page(void)
{
	return (mem_page_bytes() - sizeof(struct variable_page)) / sizeof(struct variable);
}

/* Takes room in one of the first chunk's areas; NULL if there is none. */
static char *from_area(struct percpu *pc, const struct percpu_request *request, enum kind kind,
		       struct placed *placed)
{
	struct percpu_request here = *request;
	uint32_t granule = NONE;
	lock_token token = lock_acquire(&pc->lock);

	here.fours = false;
	here.kind = (uint8_t)kind;
	for (uint32_t page = 0; page < unit_pages(pc) && granule == NONE; page++) {
		uint32_t first = page;

		while (page < unit_pages(pc) && pc->page[page].kind == kind)
			page++;
		if (page != first)
			granule = map_find(pc, page_granule(pc, first), page_granule(pc, page),
					   here.n, here.align);
	}
	if (granule != NONE) {
		object_put_locked(pc, place_of_granule(granule), &here, placed);
		pc->stat.allocs++;
	}
	percpu_unlock(pc, token);
	return granule != NONE ? place_ptr(pc, placed->place) : NULL;
}

static char *allocate(struct quire *q, const struct quire_percpu_variable *variable)
{
	const struct quire_percpu_request asked = { .bytes = variable->bytes,
						    .align = variable->align };
	struct percpu *pc = q != NULL ? percpu_of(q, 0) : NULL;
	struct percpu_request request;
	struct placed placed;
	char *ptr;

	if (pc == NULL)
		return NULL;
	if (percpu_request_make(pc, &asked, &request) != 0)
		process_exit_conf(
			"quire: a per-CPU variable of a size or alignment that no object has");
	ptr = from_area(pc, &request, KIND_STATIC, &placed);
	if (ptr == NULL)
		ptr = from_area(pc, &request, KIND_RESERVED, &placed);
	if (ptr == NULL)
		ptr = quire_alloc_percpu(q, variable->bytes, variable->align, 0);
	return ptr;
}

void *quire_alloc_reserved_percpu(struct quire *q, size_t bytes, size_t align)
{
	const struct quire_percpu_request asked = { .bytes = bytes, .align = align };
	struct percpu *pc = percpu_of(q, 0);
	struct percpu_request request;
	struct placed placed;
	char *ptr = NULL;
	int error = -ENOMEM;

	if (pc != NULL)
		error = percpu_request_make(pc, &asked, &request);
	if (!error) {
		request.fours = false; /* pages of the area have no half granules */
		ptr = from_area(pc, &request, KIND_RESERVED, &placed);
		if (ptr == NULL)
			error = -ENOSPC;
	}
	if (error)
		process_set_errno(-error);
	else
		percpu_zero_placed(pc, &request, &placed);
	return ptr;
}

/* ---- records ---- */

/* The next record with a variable; NULL after the last.  Requires alloc_mutex. */
static struct variable *walk_next(struct walk *walk)
{
	for (; walk->page != NULL; walk->page = walk->page->next, walk->index = 0) {
		while (walk->index < variables_a_page()) {
			struct variable *record = &walk->page->variable[walk->index++];

			if (record->pointer != NULL)
				return record;
		}
	}
	return NULL;
}

static void record_put_locked(struct percpu *pc, struct variable *record)
{
	CHECK(mutex_is_held(&pc->alloc_mutex));
	*record = (struct variable){ .next_free = pc->variables.free };
	pc->variables.free = record;
}

static int records_grow_locked(struct percpu *pc)
{
	size_t bytes = mem_page_bytes();
	struct variable_page *page = mem_reserve(bytes, bytes, "quire-percpu");

	CHECK(mutex_is_held(&pc->alloc_mutex));
	if (page == NULL)
		return -ENOMEM;
	if (mem_commit(page, bytes) != 0) {
		mem_release(page, bytes);
		return -ENOMEM;
	}
	page->next = pc->variables.pages;
	pc->variables.pages = page;
	for (size_t i = 0; i < variables_a_page(); i++)
		record_put_locked(pc, &page->variable[i]);
	return 0;
}

static int record_add(struct percpu *pc, const struct variable *variable)
{
	int error = 0;

	mutex_acquire(&pc->alloc_mutex);
	if (pc->variables.free == NULL)
		error = records_grow_locked(pc);
	if (!error) {
		struct variable *record = pc->variables.free;

		pc->variables.free = record->next_free;
		*record = *variable;
		record->serial = pc->variables.serial++;
	}
	mutex_release(&pc->alloc_mutex);
	return error;
}

void variables_fini(struct percpu *pc)
{
	while (pc->variables.pages != NULL) {
		struct variable_page *page = pc->variables.pages;

		pc->variables.pages = page->next;
		mem_release(page, mem_page_bytes());
	}
}

/* ---- after a library was unloaded ---- */

static bool is_gone(const struct variable *variable)
{
	return variable->in_object && !process_is_loaded(variable->pointer, variable->ptr);
}

static struct walk walk_begin(struct percpu *pc)
{
	struct walk walk;

	mutex_acquire(&pc->alloc_mutex);
	walk = (struct walk){ .page = pc->variables.pages };
	mutex_release(&pc->alloc_mutex);
	return walk;
}

/* Copies the next record; false after the last. */
static bool walk_read(struct percpu *pc, struct walk *walk, struct variable *variable)
{
	struct variable *record;

	mutex_acquire(&pc->alloc_mutex);
	record = walk_next(walk);
	if (record != NULL)
		*variable = *record;
	mutex_release(&pc->alloc_mutex);
	return record != NULL;
}

/* Takes a variable's record; false if the variable was undefined meanwhile, and the record may have
 * been reused. */
static bool record_take(struct percpu *pc, struct variable *record, uint64_t serial)
{
	bool taken;

	mutex_acquire(&pc->alloc_mutex);
	taken = record->pointer != NULL && record->serial == serial;
	if (taken)
		record_put_locked(pc, record);
	mutex_release(&pc->alloc_mutex);
	return taken;
}

static void free_gone(struct percpu *pc)
{
	struct walk walk = walk_begin(pc);
	struct variable variable;

	while (walk_read(pc, &walk, &variable)) {
		if (!is_gone(&variable))
			continue;
		if (record_take(pc, &walk.page->variable[walk.index - 1], variable.serial))
			quire_free_percpu(pc->q, variable.ptr);
	}
}

void variables_collect(struct percpu *pc)
{
	uint64_t unloaded_nr = process_unloaded_nr();
	bool mine;

	mutex_acquire(&pc->alloc_mutex);
	mine = pc->variables.unloaded_nr != unloaded_nr && !pc->variables.collecting;
	if (mine)
		pc->variables.collecting = true;
	mutex_release(&pc->alloc_mutex);
	if (!mine)
		return;
	free_gone(pc);
	mutex_acquire(&pc->alloc_mutex);
	/* Only now: a child that was forked meanwhile must examine the records again. */
	pc->variables.unloaded_nr = unloaded_nr;
	pc->variables.collecting = false;
	mutex_release(&pc->alloc_mutex);
}

/* ---- definition ---- */

static _Noreturn void exit_without_memory(void)
{
	process_exit_conf("quire: no memory for a per-CPU variable");
}

/* Initialises each CPU's copy from its own content, @stride apart, or from CPU 0's content for CPUs
 * from @units on. */
static void define(const struct quire_percpu_variable *variable, size_t stride, unsigned units)
{
	struct quire *q = quire_default();
	struct variable record = { .pointer = variable->pointer,
				   .bytes = variable->bytes,
				   .align = variable->align };
	struct percpu *pc = q != NULL ? percpu_of(q, 0) : NULL;

	if (pc != NULL)
		variables_collect(pc);
	record.ptr = allocate(q, variable);
	record.in_object = process_is_loaded(variable->pointer, *variable->pointer);
	if (record.ptr == NULL)
		exit_without_memory();
	for (unsigned cpu = 0; cpu < quire_percpu_units(q); cpu++)
		memcpy(quire_per_cpu_ptr(record.ptr, cpu),
		       (const char *)variable->content + (cpu < units ? cpu : 0) * stride,
		       variable->bytes);
	/* Set the pointer before the record: a record whose pointer has another value is taken for
	 * one of a library that is gone. */
	*variable->pointer = record.ptr;
	if (record_add(percpu_of(q, 0), &record) != 0)
		exit_without_memory();
}

/* The fields that this version knows; the program may be of another version. */
static struct quire_percpu_variable known_part(const struct quire_percpu_variable *theirs)
{
	struct quire_percpu_variable known;

	if (sized_read(&known, sizeof(known), theirs) != 0 || known.flags != 0)
		process_exit_conf("quire: a per-CPU variable that this version does not know");
	return known;
}

void quire_percpu_define(const struct quire_percpu_variable *variable)
{
	const struct quire_percpu_variable known = known_part(variable);

	define(&known, 0, 1);
}

void quire_percpu_undefine(const struct quire_percpu_variable *variable)
{
	const struct quire_percpu_variable known = known_part(variable);
	void *ptr = *known.pointer;
	struct percpu *pc = ptr != NULL ? percpu_of(quire_default(), 0) : NULL;
	struct variable *record;
	struct walk walk;

	if (pc == NULL)
		return;
	mutex_acquire(&pc->alloc_mutex);
	walk = (struct walk){ .page = pc->variables.pages };
	do
		record = walk_next(&walk);
	while (record != NULL && record->pointer != known.pointer);
	if (record != NULL)
		record_put_locked(pc, record);
	mutex_release(&pc->alloc_mutex);
	*known.pointer = NULL;
	quire_free_percpu(pc->q, ptr);
}

static void move(const struct variable *old, unsigned units)
{
	const struct quire_percpu_variable variable = {
		.struct_bytes = sizeof(variable),
		.pointer = old->pointer,
		.content = old->ptr,
		.bytes = old->bytes,
		.align = old->align,
	};

	define(&variable, QUIRE_PERCPU_STRIDE, units);
}

void variables_move(struct percpu *pc)
{
	struct walk walk = walk_begin(pc);
	struct variable old = { .pointer = NULL };

	while (walk_read(pc, &walk, &old)) {
		if (!is_gone(&old))
			move(&old, pc->units);
	}
}
