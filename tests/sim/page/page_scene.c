/* SPDX-License-Identifier: MIT */
#include "sim/page/page_scene.h"

static struct page_scene *scene_of(struct sim *sim, const struct quire_options *options)
{
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));
	uint32_t frames, zones;

	check_u64_eq(quire_create(options, &scene->q), 0);
	zones = pages_of(scene->q)->zones_nr;
	frames = pages_of(scene->q)->blocks_nr << pages_of(scene->q)->pageblock_order;
	sim_name(scene->q, sizeof(*scene->q), "q");
	sim_name(pages_of(scene->q)->pcp, zones * sim_cpus(sim) * sizeof(struct pcp), "pcp");
	sim_name(pages_of(scene->q)->state, frames, "state");
	sim_name(pages_of(scene->q)->tag, pages_of(scene->q)->blocks_nr, "tag");
	sim_name(pages_of(scene->q)->page, frames * sizeof(struct page), "page");
	return scene;
}

static struct page_scene *scene_with(struct sim *sim, bool stacks, unsigned zones,
				     uint64_t limit_bytes, enum quire_worker worker)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .zones = zones,
				   .rseq = stacks ? QUIRE_ON : QUIRE_OFF, .worker = worker);

	return scene_of(sim, &options);
}

static struct page_scene *warm(struct page_scene *scene)
{
	/* Every CPU's lists have been used: first use has a scenario of its own. */
	quire_pcp_disable(scene->q);
	quire_pcp_enable(scene->q);
	for (unsigned i = 0; i < 8; i++)
		scene->page[i] = take(scene, 0, 0);
	return scene;
}

struct page_scene *page_scene_make_zones(struct sim *sim, bool stacks, unsigned zones,
					 uint64_t limit_bytes)
{
	return warm(scene_with(sim, stacks, zones, limit_bytes, QUIRE_WORKER_OFF));
}

struct page_scene *page_scene_make_worker(struct sim *sim)
{
	struct page_scene *scene = scene_with(sim, true, 1, UINT64_C(4) << 20, QUIRE_WORKER_THREAD);

	pages_of(scene->q)->worth_pages = 0; /* a single page is worth a worker */
	return warm(scene);
}

struct page_scene *page_scene_make_shared(struct sim *sim)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(4) << 20, .backing = QUIRE_BACKING_MEMFD,
				   .worker = QUIRE_WORKER_OFF);

	return warm(scene_of(sim, &options));
}

struct page_scene *page_scene_make_unused(struct sim *sim)
{
	return scene_with(sim, true, 1, UINT64_C(4) << 20, QUIRE_WORKER_OFF);
}

struct page_scene *page_scene_make_unused_wide(struct sim *sim)
{
	return scene_with(sim, true, 1, UINT64_C(12) << 20, QUIRE_WORKER_OFF);
}

struct page_scene *page_scene_make(struct sim *sim, bool stacks)
{
	return page_scene_make_zones(sim, stacks, 1, UINT64_C(4) << 20);
}

void *take(struct page_scene *scene, unsigned order, unsigned flags)
{
	void *addr = quire_alloc_pages(scene->q, order, flags);

	if (addr == NULL) {
		fetch_add_relaxed(&scene->refused, 1); /* read at the end */
		return NULL;
	}
	sim_own(addr, quire_page_bytes(scene->q) << order);
	fetch_add_relaxed(&scene->held_pages, 1u << order); /* read at the end */
	return addr;
}

void give(struct page_scene *scene, void *addr, unsigned order)
{
	if (addr == NULL)
		return;
	fetch_sub_relaxed(&scene->held_pages, 1u << order); /* read at the end */
	sim_disown(addr, quire_page_bytes(scene->q) << order);
	quire_free_pages(scene->q, addr, order);
}

void take_all_but(struct page_scene *scene, unsigned left)
{
	void *kept[64] = { NULL };
	unsigned i = 0;

	for (;; i++) {
		void *addr = take(scene, 0, 0);

		if (addr == NULL)
			break;
		kept[i % 64] = addr;
	}
	scene->refused = 0;
	SIM_CHECK(left <= 64 && i >= 64);
	for (i = 0; i < left; i++)
		give(scene, kept[i], 0);
}

void page_scene_check(struct page_scene *scene)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	check_u64_eq(quire_verify(scene->q), 0);
	quire_page_stat_read(scene->q, &stat);
	check_u64_eq(stat.allocated_pages, scene->held_pages);
}

uint32_t page_scene_strays(const struct page_scene *scene, const void *addr)
{
	const struct pages *p = pages_of(scene->q);
	uint32_t block = page_block(p, page_frame(p, addr));
	uint32_t nr = 0;

	for (uint32_t i = 0; i < block_pages(p); i++)
		nr += (p->state[block_frame(p, block) + i] & STATE_KIND) == STATE_CACHED;
	return nr;
}
