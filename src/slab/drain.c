/* SPDX-License-Identifier: MIT */
/*
 * slab/drain.c - all slots' sheaves: their layout, draining, decay, and fork
 *
 * A drain closes the doors of all slots, fences once, and then takes each door again, batch by batch, to put
 * what its sheaves hold into slabs.  The CPUs that own them go on meanwhile: what they allocate comes from the barn
 * or a slab, and what they free goes there.  Any number of drains may run at once, since closes are counted
 * and entries are taken under the door.  The barn comes last, so it gets what frees put there while the sheaves
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
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/stack.h"
#include "slab/objects.h"

/* What the sheaves of a CPU keep at most, together: 8 MiB of objects. */
#define SHEAVES_BYTES ((size_t)8 << 20)
/* Barns' entries are committed with the instance's slabs: 4 MiB for 8 sheaves of each class. */
#define BARN_SHEAVES  8u
#define CALM_MAX      2u
#define KEEPS_LEAST   4u /* less is not worth a door */

_Static_assert(SLOTS_MAX % 64 == 0, "a bit for each slot");

/* The doors that one drain has closed.  Doors become ready meanwhile. */
struct drained {
	uint64_t closed[SLOTS_MAX / 64];
};

static struct slab_cpu *slot_cpu(struct slabs *s, unsigned slot)
{
	return &s->cpu[slot];
}

/* ---- closing and opening ---- */

/* Chooses the sheaves that are idle, and notes what each holds.  Returns whether any is. */
static bool choose_idle_locked(struct slabs *s, struct slab_cpu *cpu)
{
	bool any = false;

	DCHECK(lock_is_held(&cpu->door.lock));
	for (unsigned class = 1; class < CLASSES_MAX; class ++) {
		unsigned held = stacks_held(&s->stacks, &cpu->door, class);
		unsigned keeps = stacks_keeps_locked(&s->stacks, &cpu->door, class);
		struct sheaf *sheaf = &cpu->sheaf[class];

		if (held != sheaf->seen || (held == 0 && keeps == 0))
			sheaf->calm = 0;
		else if (sheaf->calm < CALM_MAX)
			sheaf->calm++;
		sheaf->seen = (uint16_t)held;
		any = any || sheaf->calm != 0;
	}
	return any;
}

static bool close_door(struct slabs *s, unsigned slot, bool idle_only)
{
	struct slab_cpu *cpu = slot_cpu(s, slot);
	lock_token token = lock_acquire(&cpu->door.lock);
	bool chosen = cpu->door.ready;

	if (chosen && idle_only)
		chosen = choose_idle_locked(s, cpu);
	if (chosen) {
		cpu->draining_nr++;
		stacks_close_locked(&s->stacks, &cpu->door);
	}
	lock_release(&cpu->door.lock, token);
	return chosen;
}

static bool close_doors(struct slabs *s, struct drained *drained, bool idle_only)
{
	bool any = false;

	for (unsigned slot = 0; slot < s->stacks.cpu.slots_nr; slot++) {
		uint64_t bit = (uint64_t)1 << slot % 64;

		if (slot % 64 == 0)
			drained->closed[slot / 64] = 0;
		if (load_relaxed(&slot_cpu(s, slot)->door.ready) && /* a hint: holds nothing else */
		    close_door(s, slot, idle_only)) {
			drained->closed[slot / 64] |= bit;
			any = true;
		}
	}
	if (any)
		stacks_fence_all(&s->stacks);
	return any;
}

static void open_door(struct slabs *s, unsigned slot)
{
	struct slab_cpu *cpu = slot_cpu(s, slot);
	lock_token token = lock_acquire(&cpu->door.lock);

	cpu->draining_nr--;
	stacks_open_locked(&s->stacks, &cpu->door);
	lock_release(&cpu->door.lock, token);
}

/* ---- taking ---- */

/* Puts up to a batch of a closed and fenced sheaf into slabs, so that @left stay.  Returns objects. */
static unsigned take_some_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class,
				 unsigned left)
{
	unsigned held = stacks_held(&s->stacks, &cpu->door, class);
	const uint32_t *entries;
	unsigned n;

	DCHECK(lock_is_held(&cpu->door.lock));
	if (held <= left)
		return 0;
	n = held - left < SHEAF_MOVE_MAX ? held - left : SHEAF_MOVE_MAX;
	n = stacks_take_locked(&s->stacks, &cpu->door, class, n, &entries);
	objects_give(s, class, entries, n, 0);
	return n;
}

/* What an idle sheaf keeps from now on. */
static unsigned idle_keeps_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class)
{
	unsigned keeps = stacks_keeps_locked(&s->stacks, &cpu->door, class) / 2;

	DCHECK(lock_is_held(&cpu->door.lock));
	return keeps < KEEPS_LEAST || cpu->sheaf[class].calm == CALM_MAX ? 0 : keeps;
}

/* A batch in each hold of the door. */
static size_t empty_sheaf(struct slabs *s, struct slab_cpu *cpu, unsigned class, bool idle_only)
{
	size_t objects = 0;
	unsigned keeps = 0, n;

	if (stacks_held(&s->stacks, &cpu->door, class) == 0 && !load_relaxed(&cpu->door.warm))
		return 0; /* closed and fenced: nothing comes */
	do {
		lock_token token = lock_acquire(&cpu->door.lock);

		if (objects == 0) {
			keeps = idle_only ? idle_keeps_locked(s, cpu, class) : 0;
			stacks_set_keeps_locked(&s->stacks, &cpu->door, class, keeps);
		}
		n = take_some_locked(s, cpu, class, keeps);
		if (idle_only)
			cpu->sheaf[class].seen =
				(uint16_t)stacks_held(&s->stacks, &cpu->door, class);
		lock_release(&cpu->door.lock, token);
		objects += n;
		lock_let_others_in(&cpu->door.lock);
	} while (n == SHEAF_MOVE_MAX);
	return objects;
}

static size_t empty_slot(struct slabs *s, unsigned slot, unsigned class, bool idle_only)
{
	struct slab_cpu *cpu = slot_cpu(s, slot);
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
	struct drained drained;
	size_t objects = 0;

	if (!close_doors(s, &drained, idle_only))
		return 0;
	for (unsigned slot = 0; slot < s->stacks.cpu.slots_nr; slot++) {
		if ((drained.closed[slot / 64] >> slot % 64 & 1) == 0)
			continue;
		objects += empty_slot(s, slot, class, idle_only);
		open_door(s, slot);
	}
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
	for (unsigned slot = 0; slot < s->stacks.cpu.slots_nr; slot++) {
		const struct stacks_door *door = &slot_cpu(s, slot)->door;

		if (load_relaxed(&door->warm))
			return true;
		for (unsigned class = 1; class < CLASSES_MAX; class ++)
			if (stacks_held(&s->stacks, door, class) != 0)
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

	for (unsigned slot = 0; slot < s->stacks.cpu.slots_nr; slot++)
		objects += stacks_held(&s->stacks, &slot_cpu(s, slot)->door, class);
	return objects;
}

/* ---- creation ---- */

/* Nothing of the class is on sheaves or in the barn, and no thread knows it. */
void sheaves_class_init(struct slabs *s, unsigned class)
{
	struct slab_class *c = &s->class[class];

	s->sheaf_class[class].weight = (uint16_t)(c->size >> ENTRY_SHIFT);
	lock_init(&c->barn.lock, RANK_SLAB_BARN);
	c->barn.nr = 0;
	c->barn.entry = s->barns + (size_t) class * s->barn_room;
}

static void set_classes(struct slabs *s)
{
	s->stacks.isolated = s->q->isolated_cpus;
	s->stacks.class = s->sheaf_class;
	s->stacks.classes_nr = CLASSES_MAX;
	s->stacks.cap = (uint32_t)(SHEAVES_BYTES >> ENTRY_SHIFT);
	for (unsigned class = 0; class < CLASSES_MAX; class ++)
		s->sheaf_class[class] =
			(struct stacks_class){ .header = (uint16_t) class,
					       .room = class != 0 ? SHEAF_ROOM_MAX : 0 };
	stacks_lay_out(&s->stacks, CLASSES_MAX);
}

unsigned sheaves_barn_room(const struct quire *q)
{
	unsigned sheaves =
		q->cpus.all_slots_nr < BARN_SHEAVES ? q->cpus.all_slots_nr : BARN_SHEAVES;

	return SHEAF_ROOM_MAX * sheaves;
}

static int reserve(struct slabs *s)
{
	/* One more: never nothing. */
	s->cpu = stacks_reserve(&s->stacks, (s->stacks.cpu.slots_nr + 1) * sizeof(struct slab_cpu),
				"quire-sheaves", &s->cpu_bytes);
	return s->cpu != NULL ? 0 : -ENOMEM;
}

/* Many CPUs' sheaves may be more addresses than there are: then barns alone. */
int sheaves_init(struct slabs *s)
{
	int error;

	s->stacks.cpu = s->q->cpus;
	s->stacks.cpu.stride_shift = SLAB_STRIDE_SHIFT;
	set_classes(s);
	error = reserve(s);
	if (error && s->stacks.cpu.slots_nr != 0) {
		s->stacks.cpu.slots_nr = 0;
		error = reserve(s);
	}
	for (unsigned slot = 0; !error && slot < s->stacks.cpu.slots_nr; slot++)
		stacks_door_init(&s->cpu[slot].door, RANK_SLAB_CPU, slot, 0, CLASSES_MAX);
	return error;
}

void sheaves_fini(struct slabs *s)
{
	mem_release(s->cpu, s->cpu_bytes);
}

/* ---- fork ---- */

/* Pages fence for all whose slots are numbered as theirs. */
void sheaves_fork_prepare(struct slabs *s)
{
	for (unsigned slot = 0; slot < s->stacks.cpu.slots_nr; slot++)
		stacks_fork_prepare(&s->stacks, &s->cpu[slot].door);
	for (unsigned class = 1; class < CLASSES_MAX; class ++) {
		struct barn *barn = &s->class[class].barn;

		if (barn->entry == NULL)
			continue;
		barn->kept = lock_acquire_ordered(&barn->lock);
		barn->held = true; /* as in objects_fork_prepare() */
	}
}

void sheaves_fork_done(struct slabs *s, bool child)
{
	for (unsigned class = CLASSES_MAX; class -- != 1;)
		if (s->class[class].barn.held)
			lock_release(&s->class[class].barn.lock, s->class[class].barn.kept);
	for (unsigned slot = s->stacks.cpu.slots_nr; slot-- != 0;) {
		struct slab_cpu *cpu = &s->cpu[slot];

		if (child) {
			stacks_fork_drop_closers_locked(&cpu->door, cpu->draining_nr);
			cpu->draining_nr = 0;
		}
		stacks_fork_done(&s->stacks, &cpu->door, child);
	}
}
