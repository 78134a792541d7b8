/* SPDX-License-Identifier: MIT */
/* vmap_moves_sim.c - areas that move or grow, and memory of any size, beside others that free and purge */
#include <quire/page.h>

#include "sim/vmap/vmap_scene.h"
#include "vmap/ram.h"

#define PAGE ((size_t)1 << 12)

static void write_word(char *addr, size_t at, uint64_t word)
{
	store_relaxed((uint64_t *)(void *)(addr + at), word);
}

static uint64_t word_at(const char *addr, size_t at)
{
	return load_relaxed((const uint64_t *)(const void *)(addr + at));
}

static void dirties_and_gives(void *arg)
{
	struct vmap_scene *scene = arg;

	for (unsigned i = 1; i < 3; i++) {
		for (uint32_t page = 0; page < scene->pages[i]; page++)
			write_word(scene->area[i], page * PAGE, UINT64_MAX);
		vmap_scene_give(scene, i);
	}
	quire_vmap_purge(scene->q);
}

static void grows(void *arg)
{
	struct vmap_scene *scene = arg;
	char *old = scene->area[0], *addr;

	write_word(old, 0, 7);
	write_word(old, 4 * PAGE - 8, 8);
	sim_disown(old, 4 * PAGE);
	addr = quire_vrealloc(scene->q, old, 9 * PAGE, QUIRE_ZERO);
	SIM_CHECK(addr != NULL);
	sim_own(addr, 9 * PAGE);
	check_u64_eq(word_at(addr, 0), 7);
	check_u64_eq(word_at(addr, 4 * PAGE - 8), 8);
	for (unsigned page = 4; page < 9; page++)
		check_u64_eq(word_at(addr, page * PAGE), 0);
	sim_disown(addr, 9 * PAGE);
	addr = quire_vrealloc(scene->q, addr, 3 * PAGE, QUIRE_ZERO);
	check_u64_eq(word_at(addr, 0), 7);
	sim_own(addr, 3 * PAGE);
	scene->area[0] = addr;
	scene->pages[0] = 3;
}

/* What is added reads zero, whether the area grows over what its neighbour left there or moves to what others used, and what
 * it had is there. */
static void grows_beside_frees(struct sim *sim, enum quire_switch cache)
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .rseq = cache, .cache = cache });

	vmap_scene_fill(scene, 4, 4);
	sim_cpu(sim, 0, grows, scene);
	sim_cpu(sim, 1, dirties_and_gives, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

SIM_TEST(vrealloc_with_zero_beside_frees, .events = SIM_ABORT | SIM_MEMORY,
	 .enters = { "vmap/realloc.c:resize", "clear_from", "grow_in_place", "grow_after_merge",
		     "vmap/realloc.c:move", "take_content" })
{
	grows_beside_frees(sim, QUIRE_ON);
}

SIM_TEST(vrealloc_with_zero_beside_lazy_frees, .events = SIM_MEMORY,
	 .enters = { "vmap/realloc.c:resize", "take_content" })
{
	grows_beside_frees(sim, QUIRE_OFF);
}

static void takes_of_any_size(void *arg)
{
	struct vmap_scene *scene = arg;
	char *small = quire_kvmalloc(scene->q, 3 * PAGE, 0);
	char *large = quire_kvmalloc(scene->q, 20 * PAGE, 0);
	char *zero = quire_vzalloc(scene->q, 4 * PAGE, 0);

	SIM_CHECK(small != NULL && large != NULL && zero != NULL);
	sim_own(small, 3 * PAGE);
	sim_own(large, 20 * PAGE);
	sim_own(zero, 4 * PAGE);
	for (unsigned page = 0; page < 4; page++)
		check_u64_eq(word_at(zero, page * PAGE), 0);
	sim_disown(small, 3 * PAGE);
	sim_disown(large, 20 * PAGE);
	sim_disown(zero, 4 * PAGE);
	quire_kvfree(scene->q, small);
	quire_kvfree(scene->q, large);
	quire_kvfree(scene->q, zero);
}

/* Runs of pages and areas by one call, which knows them apart when they are freed. */
SIM_TEST(kvmalloc_beside_frees, .events = SIM_ABORT | SIM_MEMORY,
	 .enters = { "quire_kvmalloc", "quire_kvfree", "quire_vzalloc" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 3, 4);
	sim_cpu(sim, 0, takes_of_any_size, scene);
	sim_cpu(sim, 1, dirties_and_gives, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

static void lists_areas(void *arg)
{
	struct vmap_scene *scene = arg;
	static char text[4096];

	SIM_CHECK(quire_text_vmallocinfo(scene->q, text, sizeof(text)) > 0);
}

/* A list of areas is taken while they come and go: it may be of any moment, and disturbs nobody. */
SIM_TEST(vmallocinfo_beside_alloc_and_free, .events = SIM_ABORT | SIM_MEMORY,
	 .enters = { "quire_text_vmallocinfo", "put_area" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 4, 4);
	sim_cpu(sim, 0, grows, scene);
	sim_cpu(sim, 1, lists_areas, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static unsigned listed_lines(struct vmap_scene *scene)
{
	static char text[4096];
	unsigned lines = 0;

	SIM_CHECK(quire_text_vmallocinfo(scene->q, text, sizeof(text)) > 0);
	for (const char *at = text; *at != 0; at++)
		lines += *at == '\n';
	return lines;
}

static void counts_lines(void *arg)
{
	struct vmap_scene *scene = arg;

	check_u64_eq(listed_lines(scene), scene->turn);
}

static void gives_the_end(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_disown(scene->area[0], 8 * PAGE);
	SIM_CHECK(quire_vrealloc(scene->q, scene->area[0], 2 * PAGE, 0) == scene->area[0]);
	sim_own(scene->area[0], 2 * PAGE);
	scene->pages[0] = 2;
}

/* The end that a shrinking area gives up is never listed as an area. */
SIM_TEST(given_end_of_an_area_is_not_listed, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "give_tail", "put_area" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 8);
	scene->turn = listed_lines(scene);
	sim_cpu(sim, 0, gives_the_end, scene);
	sim_cpu(sim, 1, counts_lines, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* ---- first use, and refusals, of aliases ---------------------------------------------------------- */

struct alias_scene {
	struct quire *q;
	void *page[2];
	char *addr;
	uint32_t refused; /* atomic */
};

static struct alias_scene *alias_scene_make(struct sim *sim)
{
	struct alias_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(4) << 20,
				   .vmap_span_bytes = UINT64_C(4) << 20,
				   .backing = QUIRE_BACKING_MEMFD, .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	check_u64_eq(quire_alloc_pages_bulk(scene->q, scene->page, 2, 0), 2);
	quire_vfree(scene->q, quire_vmalloc(scene->q, PAGE, 0));
	return scene;
}

static void alias_scene_check(struct alias_scene *scene)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	check_u64_eq(quire_verify(scene->q), 0);
	quire_vm_unmap_aliases(scene->q);
	quire_vmap_purge(scene->q);
	quire_vmap_stat_read(scene->q, &stat);
	check_u64_eq(stat.busy_areas, 0);
	check_u64_eq(stat.lazy_bytes, 0);
	check_u64_eq(scene->q->vmap->mapped_frames, 0);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void maps_small(void *arg)
{
	struct alias_scene *scene = arg;
	char *addr = quire_vm_map_ram(scene->q, scene->page, 1, 0);

	SIM_CHECK(addr != NULL);
	write_word(addr, 0, 7);
	quire_vm_unmap_ram(scene->q, addr, 1);
}

static void maps_small_atomically(void *arg)
{
	struct alias_scene *scene = arg;
	char *addr;

	sim_forbid_wait(true);
	addr = quire_vm_map_ram(scene->q, &scene->page[1], 1, QUIRE_ATOMIC);
	if (addr != NULL)
		quire_vm_unmap_ram(scene->q, addr, 1);
	sim_forbid_wait(false);
}

/* Two make what small mappings need at once: there is one of it, and both are served by it.  Another would stay behind when the
 * instance goes. */
SIM_TEST(first_small_mappings_by_two, .events = SIM_MEMORY,
	 .enters = { "vmap/ram.c:get", "vmap/ram.c:make" })
{
	size_t reserved = sim_reserved_bytes();
	struct alias_scene *scene = alias_scene_make(sim);

	sim_cpu(sim, 0, maps_small, scene);
	sim_cpu(sim, 1, maps_small, scene);
	sim_run(sim);
	alias_scene_check(scene);
	for (unsigned i = 0; i < 2; i++)
		quire_free_pages(scene->q, scene->page[i], 0);
	quire_destroy(scene->q);
	check_u64_eq(sim_reserved_bytes(), reserved);
}

/* Who may not wait does not wait for the other's making. */
SIM_TEST(first_small_mapping_beside_one_that_may_not_wait, .events = SIM_MEMORY,
	 .enters = { "vmap/ram.c:get", "vmap/ram.c:make" })
{
	struct alias_scene *scene = alias_scene_make(sim);

	sim_cpu(sim, 0, maps_small, scene);
	sim_cpu(sim, 1, maps_small_atomically, scene);
	sim_run(sim);
	alias_scene_check(scene);
}

static void purges(void *arg)
{
	quire_vmap_purge(((struct alias_scene *)arg)->q);
}

/* A purge gives back what of it is unused, if it is there. */
SIM_TEST(first_small_mapping_beside_a_purge, .events = SIM_MEMORY,
	 .enters = { "vmap/ram.c:make", "ram_shrink" })
{
	struct alias_scene *scene = alias_scene_make(sim);

	sim_cpu(sim, 0, maps_small, scene);
	sim_cpu(sim, 1, purges, scene);
	sim_run(sim);
	alias_scene_check(scene);
}

static void unmaps_alone(void *arg)
{
	struct alias_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr, 1);
}

/* A mapping that is in no block is ended while another makes what blocks need. */
SIM_TEST(mapping_of_its_own_ends_beside_the_first_small_one, .events = SIM_MEMORY,
	 .enters = { "ram_at", "vmap/ram.c:make" })
{
	struct alias_scene *scene = alias_scene_make(sim);

	scene->addr = quire_vm_map_ram(scene->q, &scene->page[1], 1, QUIRE_NOLOCK);
	SIM_CHECK(scene->addr != NULL);
	sim_cpu(sim, 0, maps_small, scene);
	sim_cpu(sim, 1, unmaps_alone, scene);
	sim_run(sim);
	alias_scene_check(scene);
}

static void maps_area(void *arg)
{
	struct alias_scene *scene = arg;
	char *addr = quire_vmap(scene->q, scene->page, 2, 0);

	if (addr == NULL) {
		fetch_add_relaxed(&scene->refused, 1); /* read at the end */
		return;
	}
	write_word(addr, PAGE, 7);
	quire_vunmap(scene->q, addr);
}

static void maps_area_atomically(void *arg)
{
	struct alias_scene *scene = arg;
	char *addr;

	sim_forbid_wait(true);
	addr = quire_vmap(scene->q, scene->page, 2, QUIRE_ATOMIC);
	if (addr != NULL)
		quire_vunmap(scene->q, addr);
	sim_forbid_wait(false);
}

/* The system refuses a mapping, once it has begun perhaps: nothing stays mapped, though others purge meanwhile. */
SIM_TEST(vmap_refused_beside_a_purge, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 3,
	 .enters = { "give_refused", "frames_give", "unmap_partly" })
{
	struct alias_scene *scene = alias_scene_make(sim);

	sim_cpu(sim, 0, maps_area, scene);
	sim_cpu(sim, 1, maps_area_atomically, scene);
	sim_run(sim);
	alias_scene_check(scene);
}

static void maps_small_in_a_handler(void *arg)
{
	struct alias_scene *scene = arg;
	char *addr = quire_vm_map_ram(scene->q, &scene->page[1], 1, QUIRE_NOLOCK);

	if (addr != NULL)
		quire_vm_unmap_ram(scene->q, addr, 1);
}

/* A mapping outside of all blocks is refused its guard: when its addresses are purged, they end no block. */
SIM_TEST(mapping_refused_its_guard_is_in_no_block, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_REFUSE, .refusals = 2,
	 .enters = { "put_aside", "retire_blocks" })
{
	struct alias_scene *scene = alias_scene_make(sim);

	scene->addr = quire_vm_map_ram(scene->q, scene->page, 1, 0);
	SIM_CHECK(scene->addr != NULL);
	sim_cpu(sim, 0, maps_small_in_a_handler, scene);
	sim_run(sim);
	quire_vmap_purge(scene->q);
	quire_vm_unmap_ram(scene->q, scene->addr, 1);
	alias_scene_check(scene);
}

static void unmaps_area(void *arg)
{
	struct alias_scene *scene = arg;

	quire_vunmap(scene->q, scene->page[1]);
}

/* What is mapped holds mappings, of which the process has few: a visit is to give them back. */
SIM_TEST(vunmap_calls_the_worker, .cpus_nr = 1, .enters = { "frames_give" })
{
	struct alias_scene *scene = alias_scene_make(sim);

	scene->page[1] = quire_vmap(scene->q, scene->page, 1, 0);
	SIM_CHECK(scene->page[1] != NULL);
	scene->q->work.due_ns = WORK_IDLE;
	scene->q->vmap->kicked = false;
	sim_cpu(sim, 0, unmaps_area, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
	alias_scene_check(scene);
}
