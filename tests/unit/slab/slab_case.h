/* SPDX-License-Identifier: MIT */
/* slab_case.h - object caches' slabs without sheaves, for the tests of src/slab */
#ifndef SLAB_CASE_H
#define SLAB_CASE_H

#include "quire_test.h"

#include <errno.h>

#include <quire/page.h>
#include <quire/quire.h>

#include "base/round.h"
#include "machine/mem.h"
#include "page/pages.h"
#include "slab/class.h"
#include "slab/meta.h"
#include "slab/objects.h"
#include "slab/record.h"

static inline struct slabs *slabs_make(struct quire *q)
{
	struct slabs *s = mem_map(round_up(sizeof(*s), mem_page_bytes()), "test-slabs");

	assert_non_null(s);
	s->q = q;
	s->free_call = "free";
	s->barn_room = 64;
	s->lean = &s->own_lean;
	assert_int_equal(slabs_meta_init(s), 0);
	s->self_bytes = round_up(sizeof(*s), mem_page_bytes());
	return s;
}

static inline void slabs_end(struct slabs *s)
{
	slabs_meta_fini(s);
	mem_release(s, s->self_bytes);
}

/* The instance of a test, with slabs. */
struct slab_case {
	struct quire *q;
	struct slabs *s;
};

static inline struct slab_case case_begin(const struct quire_options *options)
{
	struct slab_case it;

	assert_int_equal(quire_create(options, &it.q), 0);
	it.s = slabs_make(it.q);
	return it;
}

static inline void case_end(struct slab_case *it)
{
	slabs_end(it->s);
	quire_destroy(it->q);
}

/* A plain class of its own. */
static inline unsigned case_class(struct slab_case *it, uint32_t size)
{
	int class;

	mutex_acquire(&it->s->mutex);
	class = class_get_locked(it->s, size, 16, CLASS_PLAIN, 0);
	mutex_release(&it->s->mutex);
	assert_true(class > 0);
	return (unsigned)class;
}

/* The record of an object's 64 KiB. */
static inline uint32_t record_of(const struct slabs *s, const void *object)
{
	return (uint32_t)((size_t)((const char *)object - s->base) >> SLAB_SHIFT);
}

/* All @n, with new slabs where there are none free. */
static inline void case_take(struct slab_case *it, unsigned class, void **objects, unsigned n)
{
	unsigned got = 0;

	while (got < n) {
		got += objects_take(it->s, class, objects + got, n - got, 0);
		if (got < n)
			assert_int_equal(objects_grow(it->s, class, 0), 0);
	}
}

/* Unbacks one class. */
static inline size_t case_unback(struct slab_case *it, unsigned class)
{
	uint64_t classes[CLASS_WORDS] = { 0 };

	classes[class / 64] = (uint64_t)1 << class % 64;
	return objects_unback(it->s, classes);
}

static inline void case_verify(struct slab_case *it, unsigned class)
{
	assert_int_equal(objects_verify(it->s, class), 0);
	assert_int_equal(quire_verify(it->q), 0);
}

#endif
