/* SPDX-License-Identifier: MIT */
/*
 * vmap_ram_sim.c - aliases of pages: areas of them, and small mappings from blocks
 *
 * The instance has 4 MiB of frames and 4 MiB of addresses, so that a block is 128 pages and two
 * mappings of 64 pages fill it.  sim_frame_of() says where a CPU's access leads: an alias that
 * should be gone and is not shows there, as a frame or as a translation that a CPU still believes
 * in.
 */
#include <quire/page.h>

#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/mem.h"
#include "machine/sim/sim.h"
#include "vmap/cpu.h"
#include "vmap/purge.h"
#include "vmap/ram.h"
#include "vmap/vmap.h"

#define PLACE 64u

struct ram_scene {
	struct quire *q;
	struct vmap *v;
	void *page[PLACE]; /* frames */
	char *addr[2];	   /* mappings made before the tasks run */
	uint32_t turn;
};

static struct ram_scene *scene_make_with(struct sim *sim, enum quire_switch rseq)
{
	struct ram_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(4) << 20,
							  .vmap_span_bytes = UINT64_C(4) << 20,
							  .backing = QUIRE_BACKING_MEMFD,
							  .worker = QUIRE_WORKER_OFF, .rseq = rseq);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	check_u64_eq(quire_alloc_pages_bulk(scene->q, scene->page, PLACE, 0), PLACE);
	/* Everything has been used once: records, tables, every CPU's lock. */
	quire_vm_unmap_ram(scene->q, quire_vm_map_ram(scene->q, scene->page, 1, 0), 1);
	quire_vfree(scene->q, quire_vmalloc(scene->q, 4096, 0));
	quire_vm_unmap_aliases(scene->q);
	scene->v = scene->q->vmap;
	check_u64_eq(scene->v->ram->block_pages, 2 * PLACE);
	check_u64_eq(ram_blocks(scene->v), 0);
	return scene;
}

static struct ram_scene *scene_make(struct sim *sim)
{
	return scene_make_with(sim, QUIRE_DEFAULT);
}

/* Another span, of which nothing was used. */
static struct ram_scene *scene_of_span(struct sim *sim, uint64_t span_bytes)
{
	struct ram_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(4) << 20, .vmap_span_bytes = span_bytes,
				   .backing = QUIRE_BACKING_MEMFD, .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	check_u64_eq(quire_alloc_pages_bulk(scene->q, scene->page, PLACE, 0), PLACE);
	return scene;
}

static void check_end(struct ram_scene *scene, uint64_t blocks)
{
	check_u64_eq(quire_verify(scene->q), 0);
	quire_vm_unmap_aliases(scene->q);
	check_u64_eq(ram_blocks(scene->v), blocks);
	check_u64_eq(load_relaxed(&scene->v->lazy_areas), 0);
	if (blocks == 0)
		check_u64_eq(scene->v->mapped_frames, 0);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void touch(void *addr)
{
	store_relaxed((uint32_t *)addr, 7);
}

static void next_turn(struct ram_scene *scene, uint32_t turn)
{
	store_release(&scene->turn, turn); /* pairs with await() */
	sim_wake(&scene->turn);
}

static void await(struct ram_scene *scene, uint32_t turn)
{
	for (;;) {
		uint32_t now = load_acquire(&scene->turn); /* pairs with next_turn() */

		if (now >= turn)
			return;
		sim_wait(&scene->turn, now);
	}
}

/* ---- areas ---- */

static void maps_area(struct ram_scene *scene, unsigned cpu, void *page)
{
	char *addr = quire_vmap(scene->q, &page, 1, 0);

	SIM_CHECK(addr != NULL);
	sim_own(addr, 4096);
	touch(addr);
	SIM_CHECK(sim_frame_of(cpu, addr) == page);
	touch(addr);
	sim_disown(addr, 4096);
	quire_vunmap(scene->q, addr);
}

static void maps_and_purges(void *arg)
{
	struct ram_scene *scene = arg;

	maps_area(scene, 0, scene->page[0]);
	quire_vmap_purge(scene->q);
	maps_area(scene, 0, scene->page[1]);
}

static void maps_another(void *arg)
{
	struct ram_scene *scene = arg;

	maps_area(scene, 1, scene->page[2]);
	maps_area(scene, 1, scene->page[3]);
}

/* V5: when an address is allocated, no CPU has anything mapped there. */
SIM_TEST(vmap_address_is_reissued_after_its_unmapping, .events = SIM_MEMORY | SIM_ABORT)
{
	struct ram_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, maps_and_purges, scene);
	sim_cpu(sim, 1, maps_another, scene);
	sim_run(sim);
	check_end(scene, 0);
}

static void unmaps_area(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vunmap(scene->q, scene->addr[0]);
}

static void takes_areas(void *arg)
{
	struct ram_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		char *area = quire_vmalloc(scene->q, 3 * 4096, 0);

		SIM_CHECK(sim_frame_of(1, area) == area);
		touch(area);
		quire_vfree(scene->q, area);
		purge_rescue(scene->v, 8);
	}
}

/* Freed areas are kept for reuse, but never aliases of pages. */
SIM_TEST(vmalloc_never_gets_an_alias, .events = SIM_MEMORY | SIM_ABORT)
{
	struct ram_scene *scene = scene_make(sim);

	scene->addr[0] = quire_vmap(scene->q, scene->page, 3, 0);
	sim_cpu(sim, 0, unmaps_area, scene);
	sim_cpu(sim, 1, takes_areas, scene);
	sim_run(sim);
	check_end(scene, 0);
}

static void maps_if_it_can(void *arg)
{
	struct ram_scene *scene = arg;
	char *addr = quire_vmap(scene->q, scene->page, 2, 0);
	char *small = quire_vm_map_ram(scene->q, scene->page, 2, 0);

	if (addr != NULL)
		quire_vunmap(scene->q, addr);
	if (small != NULL)
		quire_vm_unmap_ram(scene->q, small, 2);
}

/* Any backing call is refused, in any step of the other CPU: no address and no block is lost. */
SIM_TEST(vmap_refused_leaves_nothing, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct ram_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, maps_if_it_can, scene);
	sim_cpu(sim, 1, maps_if_it_can, scene);
	sim_run(sim);
	check_end(scene, 0);
}

static void maps_first(void *arg)
{
	struct ram_scene *scene = arg;

	scene->addr[0] = quire_vmap(scene->q, scene->page, 1, 0);
	SIM_CHECK(scene->addr[0] != NULL);
}

static void purges_all(void *arg)
{
	quire_vmap_purge(((struct ram_scene *)arg)->q);
}

/* Five aliases were freed that are no neighbours, and a gather unmaps two: when the purge has ended none is lazy, nor mapped, but
 * for what CPU 0 maps meanwhile. */
SIM_TEST(aliases_in_full_gathers_are_all_unmapped, .batch_max = 2, .events = SIM_MEMORY,
	 .enters = { "frames_purge", "collect_frames", "keep_refused" })
{
	struct ram_scene *scene = scene_make(sim);
	char *addr[5];

	for (unsigned i = 0; i < 5; i++) {
		addr[i] = quire_vmap(scene->q, &scene->page[i], 1, 0);
		SIM_CHECK(addr[i] != NULL);
	}
	for (unsigned i = 0; i < 5; i++)
		quire_vunmap(scene->q, addr[i]);
	sim_cpu(sim, 0, maps_first, scene);
	sim_cpu(sim, 1, purges_all, scene);
	sim_run(sim);
	check_u64_eq(load_relaxed(&scene->v->lazy_areas), 0);
	for (unsigned i = 0; i < 5; i++)
		SIM_CHECK(addr[i] == scene->addr[0] || sim_frame_of(1, addr[i]) == addr[i]);
	quire_vunmap(scene->q, scene->addr[0]);
	check_end(scene, 0);
}

static void maps_what_is_no_page(void *arg)
{
	struct ram_scene *scene = arg;
	void *foreign = (void *)(uintptr_t)4096, *middle = (char *)scene->page[0] + 8;

	SIM_CHECK(quire_vmap(scene->q, &foreign, 1, 0) == NULL);
	SIM_CHECK(quire_vmap(scene->q, &middle, 1, 0) == NULL);
}

/* Only pages of the instance are mapped, and no address inside a page. */
SIM_TEST(vmap_of_no_page_is_refused, .cpus_nr = 1, .enters = { "page_is_allocated" })
{
	struct ram_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, maps_what_is_no_page, scene);
	sim_run(sim);
	check_end(scene, 0);
}

/* ---- mappings of the system's, of which there are only so many ---- */

/* Three runs of pages, since no page follows another. */
static void maps_one_page_thrice(void *arg)
{
	struct ram_scene *scene = arg;
	void *page[3] = { scene->page[0], scene->page[0], scene->page[0] };

	scene->addr[0] = quire_vmap(scene->q, page, 3, 0);
	SIM_CHECK(scene->addr[0] != NULL);
}

SIM_TEST(each_run_of_pages_counts_as_a_mapping, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "mapped_take_frames" })
{
	struct ram_scene *scene = scene_make(sim);
	struct mem_mappings_stat stat;

	sim_cpu(sim, 0, maps_one_page_thrice, scene);
	sim_run(sim);
	mem_mappings_read(&stat);
	check_u64_eq(stat.used[MAPPINGS_FRAMES], 3);
	quire_vunmap(scene->q, scene->addr[0]);
	check_end(scene, 0);
	mem_mappings_read(&stat);
	check_u64_eq(stat.used[MAPPINGS_FRAMES], 0);
}

static void maps_small(void *arg)
{
	struct ram_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		char *addr = quire_vm_map_ram(scene->q, scene->page, 8, 0);

		SIM_CHECK(addr != NULL);
		touch(addr);
		quire_vm_unmap_ram(scene->q, addr, 8);
	}
}

static void maps_an_area(void *arg)
{
	struct ram_scene *scene = arg;
	char *addr = quire_vmap(scene->q, scene->page, 8, 0);

	SIM_CHECK(addr != NULL);
	quire_vunmap(scene->q, addr);
}

/* V11: there are enough mappings for what is in use at one time.  Unmapped pages release theirs before a
 * call is refused, whether they are in a block in use, lazy, or in a purge in flight. */
SIM_TEST(mappings_in_flight_are_not_refused, .cpus_nr = 3, .events = SIM_MEMORY)
{
	struct ram_scene *scene = scene_make(sim);

	sim_limit_aliases(16);
	maps_an_area(scene);
	sim_cpu(sim, 0, maps_small, scene);
	sim_cpu(sim, 1, maps_an_area, scene);
	sim_cpu(sim, 2, purges_all, scene);
	sim_run(sim);
	check_end(scene, 0);
}

/* ---- blocks ---- */

/* Fills a block with two mappings. */
static void fill_block(struct ram_scene *scene)
{
	for (unsigned i = 0; i < 2; i++)
		scene->addr[i] = quire_vm_map_ram(scene->q, scene->page, PLACE, 0);
	check_u64_eq(ram_blocks(scene->v), 1);
	check_u64_eq(scene->v->cpu[0].room, 0);
}

static void uses_alias(void *arg)
{
	struct ram_scene *scene = arg;

	touch(scene->addr[0]);
	touch(scene->addr[1]);
	next_turn(scene, 1);
	await(scene, 2);
	SIM_CHECK(sim_frame_of(0, scene->addr[0]) == scene->addr[0]);
	touch(scene->addr[1]);
	SIM_CHECK(sim_frame_of(0, scene->addr[1]) == scene->page[0]);
}

static void unmaps_and_flushes(void *arg)
{
	struct ram_scene *scene = arg;

	await(scene, 1);
	touch(scene->addr[0]);
	quire_vm_unmap_ram(scene->q, scene->addr[0], PLACE);
	quire_vm_unmap_aliases(scene->q);
	SIM_CHECK(sim_frame_of(1, scene->addr[0]) == scene->addr[0]);
	next_turn(scene, 2);
}

/* R23: a full block is on no list, and what of it was unmapped is out of every CPU's reach. */
SIM_TEST(ram_full_block_is_flushed, .events = SIM_MEMORY)
{
	struct ram_scene *scene = scene_make(sim);

	fill_block(scene);
	sim_cpu(sim, 0, uses_alias, scene);
	sim_cpu(sim, 1, unmaps_and_flushes, scene);
	sim_run(sim);
	check_u64_eq(quire_verify(scene->q), 0);
	quire_vm_unmap_ram(scene->q, scene->addr[1], PLACE);
	check_end(scene, 0);
}

static void unmaps_first(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr[0], PLACE);
}

static void unmaps_second(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr[1], PLACE);
}

static void maps_again(void *arg)
{
	struct ram_scene *scene = arg;
	char *addr = quire_vm_map_ram(scene->q, scene->page, 2, 0);

	touch(addr);
	touch(addr + 4096);
	SIM_CHECK(sim_frame_of(0, addr) == scene->page[0]);
	SIM_CHECK(sim_frame_of(0, addr + 4096) == scene->page[1]);
	quire_vm_unmap_ram(scene->q, addr, 2);
}

static void unmaps_one(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr[0], 1);
}

static void flushes(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_aliases(scene->q);
}

/* Exactly one of the unmapping callers retires the block: the last one. */
SIM_TEST(ram_block_is_given_up_once, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_MEMORY)
{
	struct ram_scene *scene = scene_make(sim);

	fill_block(scene);
	sim_cpu(sim, 0, unmaps_first, scene);
	sim_cpu(sim, 1, unmaps_second, scene);
	sim_run(sim);
	check_u64_eq(load_relaxed(&scene->v->lazy_areas), 1);
	check_end(scene, 0);
}

/* A place begins where it is marked, and is marked before its pages count as handed out: who unmaps the place before it finds
 * its end, however late loads are. */
SIM_TEST(ram_unmap_beside_the_next_mapping, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "check_place", "take_locked" })
{
	struct ram_scene *scene = scene_make(sim);

	scene->addr[0] = quire_vm_map_ram(scene->q, scene->page, 1, 0);
	sim_cpu(sim, 0, maps_again, scene);
	sim_cpu(sim, 1, unmaps_one, scene);
	sim_run(sim);
	check_end(scene, 0);
}

/* What is unmapped while aliases are flushed is flushed the next time, not forgotten. */
SIM_TEST(ram_unmap_against_flush, .events = SIM_MEMORY)
{
	struct ram_scene *scene = scene_make(sim);

	fill_block(scene);
	touch(scene->addr[0]);
	sim_cpu(sim, 0, unmaps_first, scene);
	sim_cpu(sim, 1, flushes, scene);
	sim_run(sim);
	quire_vm_unmap_aliases(scene->q);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		SIM_CHECK(sim_frame_of(cpu, scene->addr[0]) == scene->addr[0]);
		SIM_CHECK(sim_frame_of(cpu, scene->addr[0] + 63 * 4096) ==
			  scene->addr[0] + 63 * 4096);
		SIM_CHECK(sim_frame_of(cpu, scene->addr[1]) == scene->page[0]);
	}
	quire_vm_unmap_ram(scene->q, scene->addr[1], PLACE);
	check_end(scene, 0);
}

static void purges(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vmap_purge(scene->q);
}

/* A block of CPU 0's that has room and no user: fragmented. */
static void make_fragmented(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, quire_vm_map_ram(scene->q, scene->page, 1, 0), 1);
}

static void purges_and_maps(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vmap_purge(scene->q);
	quire_vm_unmap_ram(scene->q, quire_vm_map_ram(scene->q, scene->page, 1, 0), 1);
}

static void unmaps_second_and_purges(void *arg)
{
	unmaps_second(arg);
	purges_and_maps(arg);
}

/* The record of a block that was given up is used for another: by then each who ended a mapping in it has finished with it.
 * Without sequences no fence of a drain's orders the two. */
SIM_TEST(ram_record_is_used_again_after_the_last_unmap, .events = SIM_MEMORY,
	 .enters = { "vmap/ram.c:give", "ram_retire", "from_new" })
{
	struct ram_scene *scene = scene_make_with(sim, QUIRE_OFF);

	fill_block(scene);
	sim_cpu(sim, 0, unmaps_first, scene);
	sim_cpu(sim, 1, unmaps_second_and_purges, scene);
	sim_run(sim);
	check_end(scene, 0);
}

/* The same where the purge gives the block up. */
SIM_TEST(ram_record_is_used_again_after_its_block_was_fragmented, .events = SIM_MEMORY,
	 .enters = { "retire_fragmented", "ram_retire", "from_new" })
{
	struct ram_scene *scene = scene_make_with(sim, QUIRE_OFF);

	scene->addr[0] = quire_vm_map_ram(scene->q, scene->page, 1, 0);
	sim_cpu(sim, 0, unmaps_one, scene);
	sim_cpu(sim, 1, purges_and_maps, scene);
	sim_run(sim);
	check_end(scene, 0);
}

/* R25: between the look at a block and its retirement its owner may hand out pages. */
SIM_TEST(ram_fragmented_block_against_its_owner, .events = SIM_MEMORY)
{
	struct ram_scene *scene = scene_make(sim);

	make_fragmented(scene);
	sim_cpu(sim, 0, maps_again, scene);
	sim_cpu(sim, 1, purges, scene);
	sim_run(sim);
	check_end(scene, 0);
}

/* R24: the list is the owner's that the block names, under the owner's lock. */
SIM_TEST(ram_fragmented_block_leaves_its_owners_list, .events = SIM_MEMORY)
{
	struct ram_scene *scene = scene_make(sim);

	make_fragmented(scene);
	sim_cpu(sim, 1, purges, scene);
	sim_cpu(sim, 0, make_fragmented, scene);
	sim_run(sim);
	check_end(scene, 0);
}

/* R26: a block that is found in the table has its owner set. */
SIM_TEST(ram_block_has_an_owner_when_it_is_seen, .events = SIM_MEMORY)
{
	struct ram_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, maps_again, scene);
	sim_cpu(sim, 1, flushes, scene);
	sim_run(sim);
	check_end(scene, 0);
}

static void maps_on_one(void *arg)
{
	struct ram_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		char *addr = quire_vm_map_ram(scene->q, &scene->page[8], 1, 0);

		sim_own(addr, 4096);
		touch(addr);
		sim_disown(addr, 4096);
		quire_vm_unmap_ram(scene->q, addr, 1);
	}
}

/* Tasks that migrate between the look-up of their CPU and its lock, a purge in between. */
SIM_TEST(ram_mapping_by_three, .cpus_nr = 3, .events = SIM_MEMORY | SIM_MIGRATE)
{
	struct ram_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, maps_on_one, scene);
	sim_cpu(sim, 1, maps_on_one, scene);
	sim_cpu(sim, 2, purges, scene);
	sim_run(sim);
	check_end(scene, 0);
}

/* A handler ends mappings while its CPU hands one out, under that CPU's lock. */
SIM_TEST(ram_handler_unmaps, .events = SIM_MEMORY)
{
	struct ram_scene *scene = scene_make(sim);

	fill_block(scene);
	sim_cpu(sim, 0, maps_again, scene);
	sim_cpu(sim, 1, purges, scene);
	sim_irq(sim, 0, unmaps_first, scene, 1);
	sim_run(sim);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void maps_and_unmaps(struct ram_scene *scene, size_t count)
{
	quire_vm_unmap_ram(scene->q, quire_vm_map_ram(scene->q, scene->page, count, 0), count);
}

/* ---- misuse ---- */

/* CPU 0 has a block with a place of 64 pages and one of four, and the rest of its pages was not handed out. */
static struct ram_scene *scene_of_two_places(struct sim *sim)
{
	struct ram_scene *scene = scene_make(sim);

	scene->addr[0] = quire_vm_map_ram(scene->q, scene->page, PLACE, 0);
	scene->addr[1] = quire_vm_map_ram(scene->q, scene->page, 4, 0);
	SIM_CHECK(scene->addr[1] == scene->addr[0] + PLACE * 4096);
	return scene;
}

static void misuses(struct sim *sim, struct ram_scene *scene, void (*body)(void *),
		    const char *words)
{
	sim_end_by_words("misuse", words);
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	SIM_CHECK(false);
}

static void unmaps_its_end(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr[1] + 2 * 4096, 2);
}

SIM_TEST(unmap_of_the_end_of_a_mapping_is_seen, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "check_place" })
{
	misuses(sim, scene_of_two_places(sim), unmaps_its_end, "the middle of a mapping");
}

static void unmaps_its_beginning(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr[1], 2);
}

SIM_TEST(unmap_of_the_beginning_of_a_mapping_is_seen, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "check_place" })
{
	misuses(sim, scene_of_two_places(sim), unmaps_its_beginning, "wrong count");
}

/* It would end where the block does. */
static void unmaps_what_was_not_handed_out(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr[0] + PLACE * 4096, PLACE);
}

SIM_TEST(unmap_of_what_was_not_handed_out_is_seen, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "check_place" })
{
	struct ram_scene *scene = scene_make(sim);

	scene->addr[0] = quire_vm_map_ram(scene->q, scene->page, PLACE, 0);
	misuses(sim, scene, unmaps_what_was_not_handed_out, "the middle of a mapping");
}

/* All 1,024 pages of the block were handed out; the last mapping is of 32, and the pages at the beginning were unmapped. */
static void unmaps_beyond_the_block(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr[0], PLACE);
	quire_vm_unmap_ram(scene->q, scene->addr[1], PLACE);
}

SIM_TEST(unmap_beyond_a_block_is_seen, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "check_place" })
{
	struct ram_scene *scene = scene_of_span(sim, UINT64_C(128) << 20);

	scene->addr[0] = quire_vm_map_ram(scene->q, scene->page, PLACE, 0);
	check_u64_eq(scene->q->vmap->ram->block_pages, RAM_BLOCK_MAX);
	for (unsigned i = 1; i < RAM_BLOCK_MAX / PLACE - 1; i++)
		maps_and_unmaps(scene, PLACE);
	maps_and_unmaps(scene, PLACE / 2);
	scene->addr[1] = quire_vm_map_ram(scene->q, scene->page, PLACE / 2, 0);
	SIM_CHECK(scene->addr[1] == scene->addr[0] + (RAM_BLOCK_MAX - PLACE / 2) * 4096);
	misuses(sim, scene, unmaps_beyond_the_block, "wrong count");
}

/* 16 TiB above a mapping: cut to 32 bits, the number of its page is that of the mapping. */
static void unmaps_a_foreign_one(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vm_unmap_ram(scene->q, scene->addr[1] + ((size_t)1 << 44), 4);
}

SIM_TEST(unmap_of_a_foreign_address_is_seen, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "quire_vm_unmap_ram" })
{
	misuses(sim, scene_of_two_places(sim), unmaps_a_foreign_one, "foreign pointer");
}

static void frees_an_alias(void *arg)
{
	struct ram_scene *scene = arg;

	quire_vfree(scene->q, scene->addr[0]);
}

SIM_TEST(vfree_of_an_alias_is_seen, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "vmap_check_free" })
{
	struct ram_scene *scene = scene_make(sim);

	scene->addr[0] = quire_vmap(scene->q, scene->page, 3, 0);
	misuses(sim, scene, frees_an_alias, "wrong kind of area");
}

/* Frames are the parent's alone. */
static void frees_in_a_child(void *arg)
{
	struct ram_scene *scene = arg;

	sim_fork_child();
	SIM_CHECK(scene->q->dead);
	quire_vunmap(scene->q, scene->addr[0]);
	quire_vm_unmap_ram(scene->q, scene->addr[1], 4);
	quire_vfree(scene->q, (char *)scene->page[0]);
	next_turn(scene, 1);
}

/* The calls of a child that does not have the instance do nothing, whatever they are given. */
SIM_TEST(frees_in_a_child_without_the_instance_do_nothing, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "vfree_odd", "quire_vunmap", "quire_vm_unmap_ram" })
{
	struct ram_scene *scene = scene_make(sim);

	scene->addr[0] = quire_vmap(scene->q, scene->page, 3, 0);
	scene->addr[1] = quire_vm_map_ram(scene->q, scene->page, 4, 0);
	sim_cpu(sim, 0, frees_in_a_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- blocks: their size, and which are given up ---- */

/* A block has a sixteenth of each CPU's share of the span, where that is within its bounds. */
SIM_TEST(ram_block_follows_the_span, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "pages_of_a_block" })
{
	struct ram_scene *scene = scene_of_span(sim, UINT64_C(64) << 20);

	sim_cpu(sim, 0, make_fragmented, scene);
	sim_run(sim);
	scene->v = scene->q->vmap;
	check_u64_eq(scene->v->ram->block_pages,
		     scene->v->span_pages / 16 / scene->v->stacks.cpu.all_slots_nr);
	check_end(scene, 0);
}

static void purges_fragmented(void *arg)
{
	struct ram_scene *scene = arg;

	mutex_acquire(&scene->v->purge_mutex);
	ram_purge_fragmented(scene->v, false);
	mutex_release(&scene->v->purge_mutex);
}

SIM_TEST(visit_leaves_a_block_with_much_room, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "ram_purge_fragmented" })
{
	struct ram_scene *scene = scene_make(sim);

	maps_and_unmaps(scene, PLACE);
	sim_cpu(sim, 0, purges_fragmented, scene);
	sim_run(sim);
	SIM_CHECK(scene->v->cpu[0].room != 0);
	check_end(scene, 0);
}

SIM_TEST(visit_gives_up_a_block_with_little_room, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "ram_purge_fragmented" })
{
	struct ram_scene *scene = scene_make(sim);

	maps_and_unmaps(scene, PLACE);
	maps_and_unmaps(scene, PLACE / 2);
	maps_and_unmaps(scene, PLACE / 4);
	sim_cpu(sim, 0, purges_fragmented, scene);
	sim_run(sim);
	check_u64_eq(scene->v->cpu[0].room, 0);
	check_end(scene, 0);
}
