/* SPDX-License-Identifier: MIT */
#include "sim/slab/slab_scene.h"

static unsigned make_class(struct slab_scene *scene)
{
	int class;

	mutex_acquire(&scene->s->mutex);
	class = class_get_locked(scene->s, SCENE_SIZE, 16, CLASS_CONSTRUCTED, 0);
	mutex_release(&scene->s->mutex);
	SIM_CHECK(class > 0);
	scene->s->class[class].kind = CLASS_PLAIN; /* or their pages stay */
	return (unsigned)class;
}

struct slab_scene *slab_scene_make(struct sim *sim, uint64_t limit_bytes)
{
	struct slab_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	scene->s = sim_zalloc(sim, sizeof(*scene->s));
	scene->s->q = scene->q;
	scene->s->free_call = "free";
	scene->s->barn_room = 16;
	scene->s->lean = &scene->s->own_lean;
	check_u64_eq(slabs_meta_init(scene->s), 0);
	scene->taken = sim_zalloc(sim, scene->s->span_bytes >> 12);
	scene->class = make_class(scene);
	scene->other = make_class(scene);
	sim_name(scene->s, sizeof(*scene->s), "slabs");
	sim_name(scene->s->byte, scene->s->span_bytes >> 12, "byte");
	sim_name(scene->s->records, slabs_records(scene->s) * (size_t)RECORD_BYTES, "records");
	return scene;
}

/* What a free reads. */
static unsigned class_of(const struct slabs *s, const void *object)
{
	size_t offset = (size_t)((const char *)object - s->base);

	return load_relaxed(&s->byte[offset >> s->page_shift]) &
	       ~BYTE_EMPTYING; /* as fast.h does */
}

static uint8_t *note_of(const struct slab_scene *scene, const void *object)
{
	return &scene->taken[(size_t)((const char *)object - scene->s->base) >> 12];
}

void *slab_take(struct slab_scene *scene, unsigned class, unsigned flags)
{
	struct slabs *s = scene->s;
	void *object = objects_take_one(s, class, flags);

	while (object == NULL) {
		if (objects_grow(s, class, flags) != 0) {
			fetch_add_relaxed(&scene->refused, 1); /* read at the end */
			return NULL;
		}
		object = objects_take_one(s, class, flags);
	}
	/* No other task can have it: whoever had it has cleared the note before. */
	check_u64_eq(exchange_acq_rel(note_of(scene, object), 1), 0);
	check_u64_eq(class_of(s, object), class);
	((uint32_t *)object)[1] = (uint32_t)(uintptr_t)object;
	fetch_add_relaxed(&scene->held, 1); /* read at the end */
	return object;
}

void slab_give(struct slab_scene *scene, unsigned class, void *object, unsigned flags)
{
	struct slabs *s = scene->s;

	check_u64_eq(((uint32_t *)object)[1], (uint32_t)(uintptr_t)object);
	check_u64_eq(class_of(s, object), class);
	check_u64_eq(exchange_acq_rel(note_of(scene, object), 0), 1); /* with slab_take() */
	fetch_sub_relaxed(&scene->held, 1);			      /* read at the end */
	SIM_CHECK(objects_give_one(s, class, object, flags));
}

void slab_scene_fill(struct slab_scene *scene, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		scene->object[i] = slab_take(scene, scene->class, 0);
	check_u64_eq(scene->refused, 0);
}

/* By what describes them (meta.c). */
static uint64_t slabs_in_steps(const struct slabs *s)
{
	uint64_t n = 0;

	for (uint32_t record = 0; record < slabs_records(s); record += STEP_RECORDS)
		n += s->step_slabs[record / STEP_RECORDS];
	return n;
}

void slab_scene_check(struct slab_scene *scene)
{
	struct objects_count one, other;

	check_u64_eq(objects_verify(scene->s, scene->class), 0);
	check_u64_eq(objects_verify(scene->s, scene->other), 0);
	check_u64_eq(quire_verify(scene->q), 0);
	check_u64_eq(slabs_in_steps(scene->s), scene->s->class[scene->class].slabs_nr +
						       scene->s->class[scene->other].slabs_nr);
	objects_count(scene->s, scene->class, &one);
	objects_count(scene->s, scene->other, &other);
	check_u64_eq(one.objects - one.free + other.objects - other.free, scene->held);
}
