/* SPDX-License-Identifier: MIT */
/*
 * slab/class.c - which classes there are, and how their slabs are cut
 *
 * Sizes.  A class's objects are a multiple of 16 bytes apart, and of the alignment.  Slabs begin at multiples of their own size,
 * so every object is aligned as its size is, and two plain caches whose sizes come out equal can
 * share a class whatever alignment each asked for.
 *
 * Slabs are 64 KiB, or 256 KiB if 64 KiB would hold fewer than FEW_OBJECTS, or lose more than 1 / LOSS_SHARE to what
 * is left over at their end.  With pages of 4 KiB that is order 4 or 6.  An object of 1 KiB or less never loses
 * that much, so slabs of 256 KiB have at most 255 objects.
 *
 * The number of the object at an offset is offset / size, computed as offset * r >> 32 with r = 2^32 / size, rounded
 * up.  Write r * size = 2^32 + e with 0 <= e < size.  Then offset * r / 2^32 = offset / size + offset * e /
 * (size * 2^32), and the floor is right as long as the second term does not reach the next integer.  Offset and size
 * are multiples of 16, so at least 16 / size is missing to it: offset * e < 16 * 2^32 suffices.  Offset is below
 * 2^18 and e below 2^15, so the product is below 2^33.  tests/unit/slab/slab_class_test.c tries all
 * sizes and offsets.
 */
#include "slab/class.h"

#include "base/check.h"
#include "base/errno.h"
#include "base/round.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "slab/hardened.h"
#include "slab/objects.h"
#include "slab/record.h"
#include "slab/sheaf.h"

/* A refill takes 4 objects at least (sheaf.c): a slab serves two of them. */
#define FEW_OBJECTS 8u
#define LOSS_SHARE  64u
#define LARGE_SHIFT 18u /* of slabs of 256 KiB */
/* A slab of 64 KiB, or a quarter of one of 256: a program that uses 60 classes a little keeps 4 MiB. */
#define SPARE_BYTES (1u << SLAB_SHIFT)

/* What a sheaf keeps without ever having been full, and at most: measured with bursts of 64-byte objects, with objects that
 * one CPU allocates and another frees, and with 200 threads in turn.  16 objects of 4 KiB would be carried from CPU to CPU
 * eight at a time. */
#define SHEAF_FIRST_BYTES      ((size_t)64 << 10)
#define SHEAF_FIRST_OBJECTS    64u
#define SHEAF_FIRST_BYTES_MOST ((size_t)256 << 10)
#define SHEAF_MOST_BYTES       ((size_t)4 << 20)

static uint16_t sheaf_keeps(size_t bytes, uint32_t size)
{
	size_t n = bytes / size;

	return (uint16_t)(n < SHEAF_ROOM_MAX ? n : SHEAF_ROOM_MAX);
}

static uint16_t sheaf_first(uint32_t size)
{
	size_t bytes = (size_t)SHEAF_FIRST_OBJECTS * size;

	if (bytes < SHEAF_FIRST_BYTES)
		bytes = SHEAF_FIRST_BYTES;
	return sheaf_keeps(bytes < SHEAF_FIRST_BYTES_MOST ? bytes : SHEAF_FIRST_BYTES_MOST, size);
}

static unsigned slab_shift(uint32_t size)
{
	uint32_t small = 1u << SLAB_SHIFT;

	return small / size < FEW_OBJECTS || small % size > small / LOSS_SHARE ? LARGE_SHIFT
									       : SLAB_SHIFT;
}

uint32_t class_slab_bytes(uint32_t size)
{
	return 1u << slab_shift(size);
}

uint32_t class_cost(uint32_t size)
{
	uint32_t bytes = class_slab_bytes(size);

	return bytes / (bytes / size);
}

void class_cut(const struct slabs *s, struct slab_class *c, uint32_t size)
{
	unsigned shift = slab_shift(size);

	CHECK_VALUES(size != 0 && size % 16 == 0 && size <= OBJECT_BYTES_MAX, size, 0);
	c->size = size;
	c->order = (uint8_t)(shift - s->page_shift);
	c->per_slab = ((1u << shift) - (uint32_t)hardened_guard_bytes(s)) / size;
	c->reciprocal = (uint32_t)((((uint64_t)1 << 32) + size - 1) / size);
	c->spare = SPARE_BYTES / size;
	c->bin_scale = (BINS_NR << BIN_SHIFT) / c->per_slab;
	c->sheaf_first = sheaf_first(size);
	c->sheaf_most = sheaf_keeps(SHEAF_MOST_BYTES, size);
	CHECK_VALUES(c->per_slab >= 2 && c->per_slab <= MAP_WORDS * 64, c->per_slab, size);
}

/* For good: whoever looks at all classes may still be at the lock of one that has ended. */
static void begin_locked(struct slabs *s, unsigned class)
{
	DCHECK(mutex_is_held(&s->mutex));
	struct slab_class *c = &s->class[class];

	lock_init(&c->lock, RANK_SLAB);
	c->place = s->places_nr++;
	sheaves_class_init(s, class);
	for (unsigned list = 0; list < SLAB_LISTS_NR; list++)
		c->head[list] = SLAB_NONE;
}

/* Makes an unused class, which has no slabs and whose sheaves and barn are empty. */
static void set_up_locked(struct slabs *s, unsigned class, uint32_t size)
{
	DCHECK(mutex_is_held(&s->mutex));
	struct slab_class *c = &s->class[class];
	uint64_t bit = (uint64_t)1 << class % 64;

	if ((s->begun[class / 64] & bit) == 0) {
		s->begun[class / 64] |= bit;
		begin_locked(s, class);
	}
	class_cut(s, c, size);
}

int class_make(struct slabs *s, unsigned class, uint32_t size)
{
	struct slab_class *c = &s->class[class];

	CHECK_VALUES(class != 0 && class < CLASSES_MAX, class, size);
	/* A signal handler may have interrupted the holder. */
	if (!lock_nested())
		mutex_acquire(&s->mutex);
	else if (!mutex_try(&s->mutex))
		return -EAGAIN;
	CHECK_VALUES(!s->ready[class] || c->size == size, c->size, size);
	if (!s->ready[class]) {
		set_up_locked(s, class, size);
		c->caches_nr = 1;
		c->construct = s->prepare;
		c->construct_arg = c;
		c->kind = s->prepare != NULL ? CLASS_CHECKED : CLASS_PLAIN;
		store_release(&s->ready[class], true);
	}
	mutex_release(&s->mutex);
	return 0;
}

void class_reserve(struct slabs *s, unsigned n)
{
	mutex_acquire(&s->mutex);
	s->numbered = (uint8_t)n;
	mutex_release(&s->mutex);
}

/* ---- classes of caches ---- */

static bool is_shared(const struct slabs *s, unsigned class, uint32_t size, unsigned page_flags)
{
	const struct slab_class *c = &s->class[class];

	return s->ready[class] && c->kind == CLASS_PLAIN && c->size == size &&
	       c->page_flags == page_flags;
}

/* The number of a class that may be shared, or else the highest unused one that is not malloc's; 0: there
 * is none. */
static unsigned find_locked(const struct slabs *s, uint32_t size, enum class_kind kind,
			    unsigned page_flags)
{
	DCHECK(mutex_is_held(&s->mutex));
	unsigned unused = 0;

	for (unsigned i = 1; i < CLASSES_MAX; i++) {
		if (kind == CLASS_PLAIN && is_shared(s, i, size, page_flags))
			return i;
		if (!s->ready[i] && i > s->numbered)
			unused = i;
	}
	return unused;
}

int class_get_locked(struct slabs *s, size_t size, size_t align, enum class_kind kind,
		     unsigned page_flags)
{
	DCHECK(mutex_is_held(&s->mutex));
	size_t unit = align > 16 ? align : 16;
	struct slab_class *c;
	unsigned class;

	if (size == 0 || size > OBJECT_BYTES_MAX || (align & (align - 1)) != 0 ||
	    align > (size_t)1 << s->page_shift)
		return -EINVAL;
	size = round_up(size, unit);
	if (size > OBJECT_BYTES_MAX)
		return -EINVAL;
	class = find_locked(s, (uint32_t)size, kind, page_flags);
	if (class == 0)
		return -ENOSPC;
	c = &s->class[class];
	if (!s->ready[class]) {
		set_up_locked(s, class, (uint32_t)size);
		c->kind = (uint8_t)kind;
		c->page_flags = (uint8_t)page_flags;
		store_release(&s->ready[class],
			      true); /* pairs with class_make()'s load, and with forks */
	}
	c->caches_nr++;
	return (int)class;
}

void class_put_locked(struct slabs *s, unsigned class)
{
	DCHECK(mutex_is_held(&s->mutex));
	struct slab_class *c = &s->class[class];

	CHECK_VALUES(s->ready[class] && c->caches_nr != 0, class, c->caches_nr);
	if (--c->caches_nr != 0)
		return;
	/* A slab that is held is on no list. */
	mutex_acquire(&s->unback_mutex);
	objects_shrink(s, class);
	mutex_release(&s->unback_mutex);
	CHECK_VALUES(c->slabs_nr == 0, class, c->slabs_nr);
	store_relaxed(&s->ready[class], false); /* who finds it so leaves the class alone */
	c->construct = NULL;
	c->construct_arg = NULL;
}
