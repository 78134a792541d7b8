/* SPDX-License-Identifier: MIT */
#include "sim/vmap/vmap_scene.h"

#define PAGE_SHIFT 12

/* As the first free since a drain does it. */
static void warm(struct vmap *v, unsigned slot)
{
	struct stacks_door *door = &v->cpu[slot].door;
	lock_token token = lock_acquire(&door->lock);

	for (unsigned class = 0; class < CLASSES_NR; class ++) {
		uint64_t keeps = v->lazy_max_pages / class_pages(class);

		stacks_set_keeps_locked(&v->stacks, door, class, keeps < 2 ? 2 : (unsigned)keeps);
	}
	lock_release(&door->lock, token);
}

struct vmap_scene *vmap_scene_make(struct sim *sim, struct quire_options options)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));

	options.limit_bytes = options.limit_bytes != 0 ? options.limit_bytes : UINT64_C(8) << 20;
	options.vmap_span_bytes = (uint64_t)SPAN_PAGES << PAGE_SHIFT;
	options.worker = QUIRE_WORKER_OFF;
	if (options.guard == QUIRE_GUARD_DEFAULT)
		options.guard = QUIRE_GUARD_OFF;
	options.thp = QUIRE_OFF;
	options.struct_bytes = sizeof(options);
	check_u64_eq(quire_create(&options, &scene->q), 0);
	/* Every CPU's stacks have been used, every section is committed, records are at hand. */
	vgive(scene, vtake(scene, SPAN_PAGES - 1, 0), SPAN_PAGES - 1);
	quire_vmap_purge(scene->q);
	scene->v = scene->q->vmap;
	cpus_close(scene->v);
	for (unsigned slot = 0; slot < scene->v->stacks.cpu.all_slots_nr; slot++)
		warm(scene->v, slot);
	cpus_open(scene->v);
	check_u64_eq(quire_verify(scene->q), 0);
	sim_name(scene->v, sizeof(*scene->v), "vmap");
	sim_name(scene->v->cpu, sim_cpus(sim) * sizeof(struct vmap_cpu), "vmap_cpu");
	sim_name(scene->v->map, SPAN_PAGES * sizeof(uint32_t), "vmap_map");
	return scene;
}

struct vmap_scene *vmap_scene_make_lazy(struct sim *sim)
{
	return vmap_scene_make(sim,
			       (struct quire_options){ .cache = QUIRE_OFF, .rseq = QUIRE_OFF });
}

struct vmap_scene *vmap_scene_make_cached(struct sim *sim)
{
	return vmap_scene_make(sim, (struct quire_options){ .rseq = QUIRE_ON });
}

char *vtake(struct vmap_scene *scene, uint32_t pages, unsigned flags)
{
	size_t bytes = (size_t)pages << PAGE_SHIFT;
	char *addr = quire_vmalloc(scene->q, bytes, flags);

	if (addr == NULL) {
		fetch_add_relaxed(&scene->refused, 1); /* read at the end */
		return NULL;
	}
	sim_own(addr, bytes);
	fetch_add_relaxed(&scene->held_areas, 1); /* read at the end */
	return addr;
}

char *vtake_at(struct vmap_scene *scene, uint32_t page, uint32_t pages, unsigned flags)
{
	char *base = scene->q->vmap->base;
	const struct quire_vmalloc_options here =
		QUIRE_VMALLOC_OPTIONS_INIT(.start = base + ((size_t)page << PAGE_SHIFT),
					   .end = base + ((size_t)(page + pages) << PAGE_SHIFT),
					   .flags = flags);
	char *addr = quire_vmalloc_with(scene->q, (size_t)pages << PAGE_SHIFT, &here);

	SIM_CHECK(addr == here.start);
	sim_own(addr, (size_t)pages << PAGE_SHIFT);
	fetch_add_relaxed(&scene->held_areas, 1); /* read at the end */
	return addr;
}

void vgive(struct vmap_scene *scene, char *addr, uint32_t pages)
{
	if (addr == NULL)
		return;
	fetch_sub_relaxed(&scene->held_areas, 1); /* read at the end */
	sim_disown(addr, (size_t)pages << PAGE_SHIFT);
	quire_vfree(scene->q, addr);
}

void vmap_scene_fill(struct vmap_scene *scene, unsigned nr, uint32_t pages)
{
	for (unsigned i = 0; i < nr; i++) {
		scene->pages[i] = pages;
		scene->area[i] = vtake(scene, pages, 0);
		SIM_CHECK(scene->area[i] != NULL);
	}
}

void vmap_scene_give(struct vmap_scene *scene, unsigned i)
{
	vgive(scene, scene->area[i], scene->pages[i]);
}

void vmap_scene_check(struct vmap_scene *scene)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	check_u64_eq(quire_verify(scene->q), 0);
	quire_vmap_stat_read(scene->q, &stat);
	check_u64_eq(stat.busy_areas, scene->held_areas);
	/* Nothing was lost: everything that no task holds is free again. */
	quire_vmap_purge(scene->q);
	check_u64_eq(quire_verify(scene->q), 0);
	quire_vmap_stat_read(scene->q, &stat);
	check_u64_eq(stat.lazy_bytes + stat.cached_bytes, 0);
	check_u64_eq(stat.free_bytes + stat.busy_bytes, stat.span_bytes);
}
