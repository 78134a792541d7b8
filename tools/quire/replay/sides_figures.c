/* SPDX-License-Identifier: MIT */
#include "replay/sides.h"

#include <stddef.h>

static double time_of(const struct outcome *outcome)
{
	return outcome->ns_per_operation;
}

/* ---- pages ------------------------------------------------------------------------------------ */

static double share(uint64_t part, uint64_t whole)
{
	return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static double buddy_allocs(const struct outcome *outcome)
{
	struct served served = outcome_served_allocs(outcome);

	return share(served.buddy, served.total);
}

static double buddy_frees(const struct outcome *outcome)
{
	struct served served = outcome_served_frees(outcome);

	return share(served.buddy, served.total);
}

static double refills(const struct outcome *outcome)
{
	return (double)outcome->checked.stat.refills;
}

static double spills(const struct outcome *outcome)
{
	return (double)outcome->checked.stat.spills;
}

static double steals(const struct outcome *outcome)
{
	return (double)outcome->checked.stat.fallback_steals;
}

static const struct side_figure page_figures[] = {
	{ "ns per operation", time_of },
	{ "zone lock, per 1,000 operations", outcome_zone_locks_per_1000 },
	{ "allocations from the buddy, %", buddy_allocs },
	{ "frees to the buddy, %", buddy_frees },
	{ "refills of lists", refills },
	{ "spills of lists", spills },
	{ "pages of another type's blocks", steals },
	{ NULL, NULL },
};

static double blocks_pinned(const struct outcome *outcome, uint32_t mark)
{
	return (double)outcome->checked.marks[mark].occupancy.blocks_pinned;
}

static double blocks_mixed(const struct outcome *outcome, uint32_t mark)
{
	return (double)outcome->checked.marks[mark].occupancy.blocks_mixed;
}

static double cached_pages(const struct outcome *outcome, uint32_t mark)
{
	return (double)outcome->checked.marks[mark].stat.cached_pages;
}

static const struct side_mark_figure page_mark_figures[] = {
	{ "2 MiB blocks with live pages", blocks_pinned },
	{ "of these, of mixed types", blocks_mixed },
	{ "pages on lists", cached_pages },
	{ NULL, NULL },
};

/* ---- areas ------------------------------------------------------------------------------------ */

static double purges(const struct outcome *outcome)
{
	return (double)outcome->checked.objects.vmap.purges;
}

static double area_flushes(const struct outcome *outcome)
{
	return (double)outcome->checked.objects.vmap.flushes;
}

static double reused(const struct outcome *outcome)
{
	return (double)outcome_served_without_call(&outcome->checked.objects.vmap);
}

static const struct side_figure vmap_figures[] = {
	{ "ns per operation", time_of },
	{ "purges", purges },
	{ "flushes", area_flushes },
	{ "allocations without a system call", reused },
	{ NULL, NULL },
};

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

static double kept_mib(const struct outcome *outcome, uint32_t mark)
{
	return mib(outcome->checked.marks[mark].objects.vmap.cached_bytes);
}

static double lazy_mib(const struct outcome *outcome, uint32_t mark)
{
	return mib(outcome->checked.marks[mark].objects.vmap.lazy_bytes);
}

static double free_ranges(const struct outcome *outcome, uint32_t mark)
{
	return (double)outcome->checked.marks[mark].objects.vmap.free_ranges;
}

static const struct side_mark_figure vmap_mark_figures[] = {
	{ "kept for reuse, MiB", kept_mib },
	{ "lazy, MiB", lazy_mib },
	{ "free ranges", free_ranges },
	{ NULL, NULL },
};

/* ---- per-CPU objects -------------------------------------------------------------------------- */

static double object_flushes(const struct outcome *outcome)
{
	return (double)outcome->checked.objects.percpu.flushes;
}

static double pages_populated(const struct outcome *outcome)
{
	return (double)outcome->checked.objects.percpu.pages_populated;
}

static double refusals(const struct outcome *outcome)
{
	return (double)outcome->checked.objects.percpu.refusals;
}

static const struct side_figure percpu_figures[] = {
	{ "ns per operation", time_of },
	{ "flushes", object_flushes },
	{ "pages populated", pages_populated },
	{ "refusals", refusals },
	{ NULL, NULL },
};

static double populated_kB(const struct outcome *outcome, uint32_t mark)
{
	return (double)outcome->checked.marks[mark].objects.percpu.populated_kB;
}

static double chunks(const struct outcome *outcome, uint32_t mark)
{
	return (double)outcome->checked.marks[mark].objects.percpu.chunks;
}

static const struct side_mark_figure percpu_mark_figures[] = {
	{ "populated, kB", populated_kB },
	{ "chunks", chunks },
	{ NULL, NULL },
};

/* ---- slab objects ------------------------------------------------------------------------------- */

static double sheaf_refills(const struct outcome *outcome)
{
	return (double)outcome->checked.objects.slab.refills;
}

static double sheaf_spills(const struct outcome *outcome)
{
	return (double)outcome->checked.objects.slab.spills;
}

static const struct side_figure slab_figures[] = {
	{ "ns per operation", time_of },
	{ "sheaves refilled", sheaf_refills },
	{ "sheaves spilled", sheaf_spills },
	{ NULL, NULL },
};

static double slabs_mib(const struct outcome *outcome, uint32_t mark)
{
	return mib(outcome->checked.marks[mark].objects.slab.slab_bytes);
}

static double slabs_free_mib(const struct outcome *outcome, uint32_t mark)
{
	return mib(outcome->checked.marks[mark].objects.slab.free_bytes);
}

static const struct side_mark_figure slab_mark_figures[] = {
	{ "slabs, MiB", slabs_mib },
	{ "free in slabs, MiB", slabs_free_mib },
	{ NULL, NULL },
};

/* ---- by kind ---------------------------------------------------------------------------------- */

const struct side_figure *side_figures(enum katr_kind kind)
{
	static const struct side_figure *const figures[KATR_KINDS_NR] = {
		[KATR_PAGE] = page_figures,
		[KATR_PERCPU] = percpu_figures,
		[KATR_VMAP] = vmap_figures,
		[KATR_SLAB] = slab_figures,
	};

	return figures[kind];
}

const struct side_mark_figure *side_mark_figures(enum katr_kind kind)
{
	static const struct side_mark_figure *const figures[KATR_KINDS_NR] = {
		[KATR_PAGE] = page_mark_figures,
		[KATR_PERCPU] = percpu_mark_figures,
		[KATR_VMAP] = vmap_mark_figures,
		[KATR_SLAB] = slab_mark_figures,
	};

	return figures[kind];
}
