/* SPDX-License-Identifier: MIT */
/* malloc/standin.c - slabs without sheaves, until src/slab has them */
#include "base/round.h"
#include "machine/mem.h"
#include "slab/class.h"
#include "slab/meta.h"
#include "slab/objects.h"
#include "slab/sheaf.h"
#include "slab/slab.h"

static struct slabs *the_slabs;

struct slabs *slabs_get(struct quire *q, int *error)
{
	struct slabs *s = the_slabs;

	if (s != NULL)
		return s;
	s = mem_map(round_up(sizeof(*s), mem_page_bytes()), "quire-slabs");
	*error = -12;
	if (s == NULL)
		return NULL;
	s->q = q;
	s->free_call = "free";
	s->barn_room = 64;
	if (slabs_meta_init(s) != 0)
		return NULL;
	stack_setup(&s->stacks.cpu, 0, false, false);
	*error = 0;
	return the_slabs = s;
}

void *sheaf_alloc_slow(struct slabs *s, unsigned class, unsigned flags, int *error)
{
	void *object;

	while ((object = objects_take_one(s, class, flags)) == NULL) {
		*error = objects_grow(s, class, flags);
		if (*error)
			return NULL;
	}
	return object;
}

void sheaf_free_slow(struct slabs *s, void *object, unsigned byte)
{
	(void)objects_give_one(s, byte & ~BYTE_EMPTYING, object, 0);
}

uint64_t sheaves_count(struct slabs *s, unsigned class)
{
	(void)s;
	(void)class;
	return 0;
}
