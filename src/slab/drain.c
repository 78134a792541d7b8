/* SPDX-License-Identifier: MIT */
/*
 * slab/drain.c - all slots' sheaves: their layout, draining, decay, and fork
 *
 * A drain closes all sheaves, which takes one fence, and then takes the door of each slot, batch by batch, to put
 * what its sheaves hold into slabs.  The CPUs that own them go on meanwhile: what they allocate comes from the barn
 * or a slab, and what they free goes there.  Any number of drains may run at once, since closes are counted
 * and objects are taken under the door.  The barn comes last, so it gets what frees put there while the sheaves
 * were closed.
 *
 * The worker's drains leave out what is in use: a sheaf with as many objects as at the last visit keeps half of what
 * it did, and after the second such visit nothing.  A sheaf that is popped and pushed in turns may seem to be idle;
 * then the next slow path lets it keep something again.
 */
#include "slab/sheaf.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/round.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lean.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "slab/objects.h"

/* Barns' room is committed with the instance's slabs: 8 MiB of addresses for 8 sheaves of each class. */
#define BARN_SHEAVES 8u
#define CALM_MAX     2u
#define KEEPS_LEAST  4u /* less is not worth a door */

/* ---- choosing ---- */

/* Chooses the sheaves that are idle, and notes what each holds.  Returns whether any is. */
static bool choose_idle_locked(struct slabs *s, struct slab_cpu *cpu)
{
	bool any = false;

	DCHECK(lock_is_held(&cpu->lock));
	for (unsigned class = 1; class < CLASSES_MAX; class ++) {
		struct sheaf *sheaf = &cpu->sheaf[class];
		unsigned held = sheaf_held(s, cpu, class);

		if (held != sheaf->seen || (held == 0 && sheaf->keeps == 0))
			sheaf->calm = 0;
		else if (sheaf->calm < CALM_MAX)
			sheaf->calm++;
		sheaf->seen = (uint16_t)held;
		any = any || sheaf->calm != 0;
	}
	return any;
}

static bool choose(struct slabs *s, struct slab_cpu *cpu, bool idle_only)
{
	lock_token token;
	bool chosen;

	if (!load_relaxed(&cpu->ready)) /* a hint: it holds nothing before */
		return false;
	if (!idle_only)
		return true;
	token = lock_acquire(&cpu->lock);
	chosen = choose_idle_locked(s, cpu);
	lock_release(&cpu->lock, token);
	return chosen;
}

static bool choose_any(struct slabs *s, bool idle_only)
{
	bool any = false;

	for (unsigned slot = 0; slot < s->lean->slots_open; slot++)
		any = choose(s, &s->cpu[slot], idle_only) || any;
	return any;
}

/* ---- taking ---- */

/* Puts up to a batch of a closed sheaf into slabs, so that @left stay.  Returns objects. */
static unsigned take_some_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class,
				 unsigned left)
{
	unsigned held = sheaf_held(s, cpu, class), n;

	DCHECK(lock_is_held(&cpu->lock));
	if (held <= left)
		return 0;
	n = held - left < SHEAF_MOVE_MAX ? held - left : SHEAF_MOVE_MAX;
	objects_give(s, class, sheaf_objects(s, cpu, class) + held - n, n, 0);
	sheaf_take_locked(s, cpu, class, n);
	return n;
}

/* What an idle sheaf keeps from now on. */
static unsigned idle_keeps_locked(const struct slab_cpu *cpu, unsigned class)
{
	unsigned keeps = cpu->sheaf[class].keeps / 2u;

	DCHECK(lock_is_held(&cpu->lock));
	return keeps < KEEPS_LEAST || cpu->sheaf[class].calm == CALM_MAX ? 0 : keeps;
}

/* A batch in each hold of the door. */
static size_t empty_sheaf(struct slabs *s, struct slab_cpu *cpu, unsigned class, bool idle_only)
{
	size_t objects = 0;
	unsigned keeps = 0, n;

	if (sheaf_held(s, cpu, class) == 0 && !load_relaxed(&cpu->warm))
		return 0; /* closed: nothing comes */
	do {
		lock_token token = lock_acquire(&cpu->lock);

		if (objects == 0) {
			keeps = idle_only ? idle_keeps_locked(cpu, class) : 0;
			if (keeps != cpu->sheaf[class].keeps)
				sheaf_set_keeps_locked(s, cpu, class, keeps);
		}
		n = take_some_locked(s, cpu, class, keeps);
		if (idle_only)
			cpu->sheaf[class].seen = (uint16_t)sheaf_held(s, cpu, class);
		lock_release(&cpu->lock, token);
		objects += n;
		lock_let_others_in(&cpu->lock);
	} while (n == SHEAF_MOVE_MAX);
	return objects;
}

static size_t empty_slot(struct slabs *s, struct slab_cpu *cpu, unsigned class, bool idle_only)
{
	unsigned first = class != 0 ? class : 1, end = class != 0 ? class + 1 : CLASSES_MAX;
	size_t objects = 0;

	for (; first < end; first++)
		/* Written by the worker's visits alone, one at a time. */
		if (!idle_only || cpu->sheaf[first].calm != 0)
			objects += empty_sheaf(s, cpu, first, idle_only);
	return objects;
}

static size_t drain_slots(struct slabs *s, unsigned class, bool idle_only)
{
	size_t objects = 0;

	if (!choose_any(s, idle_only))
		return 0;
	sheaves_close(s);
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++)
		if (load_relaxed(&s->cpu[slot].ready)) /* as in choose() */
			objects += empty_slot(s, &s->cpu[slot], class, idle_only);
	sheaves_open(s);
	fetch_add_relaxed(&s->drains, 1);
	return objects;
}

size_t sheaves_drain(struct slabs *s, unsigned class)
{
	size_t objects;

	sheaf_take_deferred(s);
	objects = drain_slots(s, class, false);
	if (class != 0)
		return objects + barn_drain(s, class);
	for (class = 1; class < CLASSES_MAX; class ++)
		objects += barn_drain(s, class);
	return objects;
}

/* A hint.  A sheaf that becomes warm meanwhile is not missed, since its slow path kicks the worker.  After a fork,
 * cold sheaves of the child may hold objects. */
static bool is_anything_left(struct slabs *s)
{
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++) {
		const struct slab_cpu *cpu = &s->cpu[slot];

		if (load_relaxed(&cpu->warm))
			return true;
		for (unsigned class = 1; load_relaxed(&cpu->ready) && class < CLASSES_MAX; class ++)
			/* Pairs with class.c's release: where its sheaves are. */
			if (load_acquire(&s->ready[class]) && sheaf_held(s, cpu, class) != 0)
				return true;
	}
	return false;
}

bool sheaves_decay(struct slabs *s)
{
	drain_slots(s, 0, true);
	return is_anything_left(s);
}

uint64_t sheaves_count(struct slabs *s, unsigned class)
{
	uint64_t objects = load_relaxed(&s->class[class].barn.nr); /* gauges */

	for (unsigned slot = 0; slot < s->lean->slots_open; slot++)
		if (load_relaxed(&s->cpu[slot].ready)) /* likewise */
			objects += sheaf_held(s, &s->cpu[slot], class);
	return objects;
}

/* ---- creation ---- */

void sheaves_class_init(struct slabs *s, unsigned class)
{
	struct barn *barn = &s->class[class].barn;

	lock_init(&barn->lock, RANK_SLAB_BARN);
	barn->object = s->barns + (size_t) class * s->barn_room;
}

void sheaves_class_end(struct slabs *s, unsigned class)
{
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++) {
		struct slab_cpu *cpu = &s->cpu[slot];
		lock_token token = lock_acquire(&cpu->lock);

		/* A free that came late found the sheaf drained, and let it keep something. */
		if (cpu->sheaf[class].keeps != 0)
			sheaf_set_keeps_locked(s, cpu, class, 0);
		lock_release(&cpu->lock, token);
	}
}

unsigned sheaves_barn_room(const struct quire *q)
{
	unsigned sheaves =
		q->cpus.all_slots_nr < BARN_SHEAVES ? q->cpus.all_slots_nr : BARN_SHEAVES;

	return SHEAF_ROOM_MAX * sheaves;
}

void sheaves_setup(struct slabs *s)
{
	s->lean = &s->own_lean;
	s->isolated = s->q->isolated_cpus;
	lock_init(&s->close_lock, RANK_SLAB_CLOSE);
	lean_setup(s->lean, s->q->options.slots, s->isolated != NULL,
		   s->q->options.rseq != QUIRE_OFF);
}

void sheaves_init(struct slabs *s)
{
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++) {
		s->cpu[slot].slot = (uint16_t)slot;
		lock_init(&s->cpu[slot].lock, RANK_SLAB_CPU);
	}
}

/* ---- fork ---- */

/* The fork is one of those that keep the sheaves closed. */
static void fork_close(struct slabs *s)
{
	s->close_kept = lock_acquire(&s->close_lock);
	s->closed_nr++;
	store_relaxed(&s->lean->slots_nr, 0u); /* the fence orders it */
	lean_fence(s->lean, s->isolated);
}

/* The others do not exist in the child. */
static void fork_open(struct slabs *s, bool child)
{
	s->closed_nr = child ? 0 : s->closed_nr - 1;
	if (s->closed_nr == 0)
		store_release(&s->lean->slots_nr, s->lean->slots_open); /* as in sheaves_open() */
	lock_release(&s->close_lock, s->close_kept);
}

void sheaves_fork_prepare(struct slabs *s)
{
	fork_close(s);
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++)
		s->cpu[slot].kept = lock_acquire_ordered(&s->cpu[slot].lock);
	for (unsigned class = 1; class < CLASSES_MAX; class ++) {
		struct barn *barn = &s->class[class].barn;

		if (barn->object == NULL)
			continue;
		barn->kept = lock_acquire_ordered(&barn->lock);
		barn->held = true; /* as in objects_fork_prepare() */
	}
}

/* In the child all sheaves are cold: there is no worker, so the first free must take the slow path and start it. */
void sheaves_fork_done(struct slabs *s, bool child)
{
	for (unsigned class = CLASSES_MAX; class -- != 1;) {
		struct barn *barn = &s->class[class].barn;

		if (!barn->held)
			continue;
		barn->held = false;
		lock_release(&barn->lock, barn->kept);
	}
	for (unsigned slot = s->lean->slots_open; slot-- != 0;) {
		if (child && s->cpu[slot].ready)
			sheaf_cool_locked(s, &s->cpu[slot]);
		lock_release(&s->cpu[slot].lock, s->cpu[slot].kept);
	}
	fork_open(s, child);
}
