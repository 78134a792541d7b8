/* SPDX-License-Identifier: MIT */
/*
 * slab/cpu.c - one slot's sheaves: where they are, what they keep, and closing all of them
 *
 * A slot's region (machine/lean.h) has a small and a large place for each class:
 *
 *   words                what
 *   256                  headers, by frame byte: 1 .. CLASSES_MAX - 1 are used
 *   32 for each class    a sentinel and 31 objects, in the order in which classes are first made: eight share the
 *                        headers' page, and then sixteen a page
 *   1,025 for each       a sentinel and 1,024 objects
 *
 * A sheaf begins in its small place, so a program that uses two dozen sizes a little touches two pages for its
 * sheaves.  When it is to keep more than 31 objects it moves, at a moment when it is empty: that is one sequence, and
 * no other CPU is interrupted.  It stays in the large place; the worker takes its objects, and what was
 * written there is at most two pages.  In which place a sheaf is follows from its top.
 *
 * What a sheaf keeps is written by the door's holder alone, also while sequences are under way: they read it, and one
 * that had read the old value pushes one object more than the new one permits.
 *
 * Closing is for all slots at once.  Threads that keep the sheaves closed are counted; each fences, since the first one
 * may not have done so yet.
 */
#include "slab/sheaf.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lean.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/page.h"

/* What the sheaves of a CPU keep at most, together: 8 MiB of objects. */
#define SHEAVES_UNITS ((8u << 20) >> ENTRY_SHIFT)

#define SMALL_WORDS (SHEAF_SMALL_ROOM + 1)
#define LARGE_WORDS (SHEAF_ROOM_MAX + 1)
#define SMALL_FIRST LEAN_CLASSES_NR
#define LARGE_FIRST (SMALL_FIRST + (CLASSES_MAX - 1) * SMALL_WORDS)

_Static_assert((LARGE_FIRST + (CLASSES_MAX - 1) * LARGE_WORDS) * sizeof(void *) <= LEAN_STRIDE,
	       "a region has all places");
_Static_assert(CLASSES_MAX <= BYTE_EMPTYING, "a byte names a class");

static uint32_t small_sentinel(const struct slabs *s, unsigned class)
{
	return SMALL_FIRST + s->class[class].place * SMALL_WORDS;
}

static uint32_t large_sentinel(unsigned class)
{
	return LARGE_FIRST + (class - 1) * LARGE_WORDS;
}

/* Of the place that @top is in. */
static uint32_t sentinel_of(const struct slabs *s, unsigned class, uint32_t top)
{
	return top < LARGE_FIRST ? small_sentinel(s, class) : large_sentinel(class);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static struct lean_header *header_of(const struct slabs *s, const struct slab_cpu *cpu,
				     unsigned class)
{
	return lean_header(s->lean, cpu->slot, class);
}

/* ---- the door ---- */

static bool is_isolated(const struct slabs *s, unsigned slot)
{
	return s->isolated != NULL && (s->isolated[slot / 64] >> slot % 64 & 1) != 0;
}

/* Commits the slot's region at its first use, under the door: the one system call that is made there. */
static bool begin_locked(struct slabs *s, struct slab_cpu *cpu)
{
	DCHECK(lock_is_held(&cpu->lock));
	if (mem_commit_apart(lean_words(s->lean, cpu->slot), LEAN_STRIDE) != 0)
		return false;
	store_relaxed(&cpu->ready, true); /* read as a hint */
	fence_seq_cst();		  /* before slabs_kick() looks; pairs with slabs_tick()'s */
	return true;
}

struct slab_cpu *sheaf_cpu_try(struct slabs *s, unsigned flags, lock_token *token)
{
	unsigned slot = lean_slot(s->lean);
	struct slab_cpu *cpu;

	if (slot >= s->lean->slots_open || is_isolated(s, slot))
		return NULL;
	cpu = &s->cpu[slot];
	if (!lock_try(&cpu->lock, token))
		return NULL;
	if (LIKELY(cpu->ready) || ((flags & QUIRE_NOLOCK) == 0 && begin_locked(s, cpu)))
		return cpu;
	lock_release(&cpu->lock, *token);
	return NULL;
}

/* ---- one sheaf ---- */

unsigned sheaf_held(const struct slabs *s, const struct slab_cpu *cpu, unsigned class)
{
	uint32_t top = load_relaxed(&header_of(s, cpu, class)->top); /* pairs with the commits */

	return top == 0 ? 0 : top - sentinel_of(s, class, top);
}

void **sheaf_objects(const struct slabs *s, const struct slab_cpu *cpu, unsigned class)
{
	uint32_t top = load_relaxed(&header_of(s, cpu, class)->top); /* closed: ours */

	return lean_words(s->lean, cpu->slot) + sentinel_of(s, class, top) + 1;
}

/* The header's first value: until then it refuses.  Only on its own CPU, where no push can have read a part of it.
 * False: the thread was moved, or the set is closed; another call will do it. */
static bool begin_sheaf_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class)
{
	uint32_t sentinel = small_sentinel(s, class);

	DCHECK(lock_is_held(&cpu->lock));
	if (LIKELY(load_relaxed(&header_of(s, cpu, class)->top) != 0)) /* for good */
		return true;
	return lean_replace(s->lean, cpu->slot, class, (struct lean_header){ 0 },
			    (struct lean_header){ .top = sentinel, .high = sentinel });
}

static void write_keeps_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class,
			       uint32_t keeps)
{
	struct lean_header *header = header_of(s, cpu, class);
	uint32_t top = load_relaxed(&header->top); /* in the same place whatever sequences do */

	DCHECK(lock_is_held(&cpu->lock));
	if (top < LARGE_FIRST)
		store_relaxed(&header->high,
			      small_sentinel(s, class) + smaller(keeps, SHEAF_SMALL_ROOM));
	else
		store_relaxed(&header->high, large_sentinel(class) + keeps);
}

void sheaf_set_keeps_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class, unsigned n)
{
	const struct slab_class *c = &s->class[class];
	struct sheaf *sheaf = &cpu->sheaf[class];
	uint32_t units = c->size >> ENTRY_SHIFT;
	uint32_t others = cpu->keeps_units - sheaf->keeps * units;

	DCHECK(lock_is_held(&cpu->lock));
	n = smaller(smaller(n, c->sheaf_most), (SHEAVES_UNITS - others) / units);
	if (!begin_sheaf_locked(s, cpu, class))
		return;
	cpu->keeps_units = others + n * units;
	sheaf->keeps = (uint16_t)n;
	store_relaxed(&cpu->warm, cpu->keeps_units != 0); /* read as a hint */
	write_keeps_locked(s, cpu, class, n);
}

bool sheaf_is_cramped_locked(const struct slabs *s, const struct slab_cpu *cpu, unsigned class)
{
	DCHECK(lock_is_held(&cpu->lock));
	return cpu->sheaf[class].keeps > SHEAF_SMALL_ROOM &&
	       load_relaxed(&header_of(s, cpu, class)->top) < LARGE_FIRST; /* as above */
}

void sheaf_move_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class)
{
	uint32_t small = small_sentinel(s, class), large = large_sentinel(class);

	DCHECK(lock_is_held(&cpu->lock));
	if (sheaf_is_cramped_locked(s, cpu, class))
		lean_replace(s->lean, cpu->slot, class,
			     (struct lean_header){ .top = small, .high = small + SHEAF_SMALL_ROOM },
			     (struct lean_header){ .top = large,
						   .high = large + cpu->sheaf[class].keeps });
}

void sheaf_take_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class, unsigned n)
{
	struct lean_header *header = header_of(s, cpu, class);

	DCHECK(lock_is_held(&cpu->lock));
	/* The closer's, but sheaf_held() may look. */
	store_relaxed(&header->top, load_relaxed(&header->top) - n);
}

void sheaf_cool_locked(struct slabs *s, struct slab_cpu *cpu)
{
	DCHECK(lock_is_held(&cpu->lock));
	for (unsigned class = 1; class < CLASSES_MAX; class ++)
		if (cpu->sheaf[class].keeps != 0)
			sheaf_set_keeps_locked(s, cpu, class, 0);
}

/* ---- all ---- */

void sheaves_close(struct slabs *s)
{
	lock_token token = lock_acquire(&s->close_lock);

	s->closed_nr++;
	store_relaxed(&s->lean->slots_nr, 0u); /* the fence orders it */
	lock_release(&s->close_lock, token);
	lean_fence(s->lean, s->isolated);
}

void sheaves_open(struct slabs *s)
{
	lock_token token = lock_acquire(&s->close_lock);

	/* Pairs with the sequences: whichever finds the sheaves open finds what was done while they were closed. */
	if (--s->closed_nr == 0)
		store_release(&s->lean->slots_nr, s->lean->slots_open);
	lock_release(&s->close_lock, token);
}
