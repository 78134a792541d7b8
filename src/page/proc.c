/* SPDX-License-Identifier: MIT */
/*
 * page/proc.c - texts in the shapes of /proc/buddyinfo, /proc/pagetypeinfo and /proc/zoneinfo
 *
 * Readers and scripts for Linux's files work with these.  A zone appears as a node whose pages
 * are all "Normal".  Emptying blocks count under their own type.
 */
#include <quire/page.h>

#include "base/mem.h"
#include "base/text.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/block.h"
#include "page/depot.h"
#include "page/layout.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/zone.h"

static const char *const type_names[] = { "Unmovable", "Movable", "Reclaimable", "HighAtomic",
					  "Isolate" };
#define TYPE_NAMES_NR (sizeof(type_names) / sizeof(type_names[0]))

/* A copy of the counters, so that no text is built under the zone lock. */
struct zone_counts {
	uint32_t nr_free[QUIRE_ORDERS][ROWS_NR];
	uint64_t online_pages, free_pages, isolated_pages, zero_pages;
};

static struct zone_counts zone_copy(struct zone *zone)
{
	lock_token token = lock_acquire(&zone->lock);
	struct zone_counts copy = { .online_pages = zone->online_pages,
				    .free_pages = zone->free_pages,
				    .isolated_pages = zone->isolated_pages,
				    .zero_pages = zone->zero_pages };

	memcpy(copy.nr_free, zone->nr_free, sizeof(copy.nr_free));
	lock_release(&zone->lock, token);
	return copy;
}

static uint32_t free_runs(const struct zone_counts *zone, unsigned order, unsigned name)
{
	if (name >= TYPES_NR)
		return zone->nr_free[order][name == TYPES_NR ? ROW_HIGHATOMIC : ROW_ISOLATE];
	return zone->nr_free[order][ROW_TYPE + name] + zone->nr_free[order][ROW_EMPTYING + name];
}

static void put_node(struct text *text, unsigned zone)
{
	text_put(text, "Node ");
	text_put_u64(text, zone);
	text_put(text, ", zone   Normal ");
}

size_t quire_text_buddyinfo(const struct quire *q, char *buffer, size_t bytes)
{
	struct pages *p = pages_of(worker_exclude_begin(q));
	struct text text;

	text_init(&text, buffer, bytes);
	for (unsigned i = 0; i < p->zones_nr; i++) {
		struct zone_counts counts = zone_copy(&p->zone[i]);

		put_node(&text, i);
		for (unsigned order = 0; order < QUIRE_ORDERS; order++) {
			uint64_t runs = 0;

			for (unsigned row = 0; row < ROWS_NR; row++)
				runs += counts.nr_free[order][row];
			text_put_u64_width(&text, runs, 6);
			text_put(&text, " ");
		}
		text_put(&text, "\n");
	}
	worker_exclude_end(&p->q);
	return text.bytes;
}

static void put_type_row(struct text *text, unsigned zone, const struct zone_counts *counts,
			 unsigned name)
{
	text_put(text, "Node ");
	text_put_u64_width(text, zone, 4);
	text_put(text, ", zone   Normal, type ");
	text_put_width(text, type_names[name], 12);
	for (unsigned order = 0; order < QUIRE_ORDERS; order++) {
		text_put_u64_width(text, free_runs(counts, order, name), 6);
		text_put(text, " ");
	}
	text_put(text, "\n");
}

static unsigned tag_name(uint8_t tag)
{
	if (tag & TAG_ISOLATE)
		return 4;
	return tag & TAG_HIGHATOMIC ? 3 : tag & TAG_TYPE;
}

static void put_block_counts(struct text *text, struct pages *p, const struct zone *zone)
{
	uint64_t blocks[TYPE_NAMES_NR] = { 0 };

	for (uint32_t b = 0; b < load_relaxed(&zone->blocks_touched); b++)
		/* Pairs with block_set_tag_locked(): a count for people may be a moment old. */
		blocks[tag_name(load_relaxed(&p->tag[zone->block_first + b]))]++;
	text_put(text, "Node ");
	text_put_u64(text, zone->index);
	text_put(text, ", zone   Normal ");
	for (unsigned name = 0; name < TYPE_NAMES_NR; name++) {
		text_put_u64_width(text, blocks[name], 12);
		text_put(text, " ");
	}
	text_put(text, "\n");
}

size_t quire_text_pagetypeinfo(const struct quire *q, char *buffer, size_t bytes)
{
	struct pages *p = pages_of(worker_exclude_begin(q));
	struct text text;

	text_init(&text, buffer, bytes);
	text_put(&text, "Page block order: ");
	text_put_u64(&text, p->pageblock_order);
	text_put(&text, "\nPages per block:  ");
	text_put_u64(&text, block_pages(p));
	text_put(&text, "\n\nFree pages count per migrate type at order ");
	for (unsigned order = 0; order < QUIRE_ORDERS; order++)
		text_put_u64_width(&text, order, 7);
	text_put(&text, "\n");
	for (unsigned i = 0; i < p->zones_nr; i++) {
		struct zone_counts counts = zone_copy(&p->zone[i]);

		for (unsigned name = 0; name < TYPE_NAMES_NR; name++)
			put_type_row(&text, i, &counts, name);
	}
	text_put(&text, "\nNumber of blocks type ");
	for (unsigned name = 0; name < TYPE_NAMES_NR; name++) {
		text_put(&text, "    ");
		text_put_width(&text, type_names[name], 9);
	}
	text_put(&text, "\n");
	for (unsigned i = 0; i < p->zones_nr; i++)
		put_block_counts(&text, p, &p->zone[i]);
	worker_exclude_end(&p->q);
	return text.bytes;
}

static void put_line(struct text *text, const char *name, uint64_t value)
{
	text_put(text, "        ");
	text_put_width(text, name, 12);
	text_put(text, " ");
	text_put_u64(text, value);
	text_put(text, "\n");
}

static void put_pagesets(struct text *text, struct pages *p, unsigned zone)
{
	text_put(text, "  pagesets\n");
	for (unsigned slot = 0; slot < p->stacks.cpu.all_slots_nr; slot++) {
		const struct pcp *pcp = page_pcp(p, zone, slot);

		/* Hints, as in stat.c. */
		if (!load_relaxed(&pcp->door.ready))
			continue;
		text_put(text, "    cpu: ");
		text_put_u64(text, slot);
		text_put(text, "\n              count: ");
		text_put_u64(text, load_relaxed(&pcp->count));
		text_put(text, "\n              high:  ");
		text_put_u64(text, load_relaxed(&pcp->high));
		text_put(text, "\n              batch: ");
		text_put_u64(text, load_relaxed(&pcp->batch));
		text_put(text, "\n              stack: ");
		text_put_u64(text, pcp_stacks_pages(p, pcp));
		text_put(text, "\n");
	}
}

/* Linux has no such lines, so they follow everything that its readers look for. */
static void put_mappings(struct text *text)
{
	struct mem_mappings_stat mappings;
	uint64_t used = 0, refused = 0;

	mem_mappings_read(&mappings);
	for (unsigned i = 0; i < MAPPINGS_KINDS_NR; i++) {
		used += mappings.used[i];
		refused += mappings.refused[i];
	}
	text_put(text, "Process\n");
	put_line(text, "mappings", used);
	put_line(text, "mappings_max", mappings.max);
	put_line(text, "mappings_refused", refused);
}

size_t quire_text_zoneinfo(const struct quire *q, char *buffer, size_t bytes)
{
	struct pages *p = pages_of(worker_exclude_begin(q));
	struct text text;

	text_init(&text, buffer, bytes);
	for (unsigned i = 0; i < p->zones_nr; i++) {
		struct zone_counts counts = zone_copy(&p->zone[i]);
		const struct zone *zone = &p->zone[i]; /* its constants */

		text_put(&text, "Node ");
		text_put_u64(&text, i);
		text_put(&text, ", zone   Normal\n  pages free     ");
		text_put_u64(&text, counts.free_pages);
		text_put(&text, "\n");
		put_line(&text, "min", load_relaxed(&zone->mark_min));
		put_line(&text, "low", load_relaxed(&zone->mark_low));
		put_line(&text, "high", load_relaxed(&zone->mark_high));
		put_line(&text, "spanned", (uint64_t)zone->blocks_nr << p->pageblock_order);
		put_line(&text, "present", counts.online_pages);
		put_line(&text, "managed", load_relaxed(&zone->managed_pages));
		put_line(&text, "reported", counts.zero_pages);
		put_line(&text, "isolated", counts.isolated_pages);
		put_line(&text, "depot", depot_pages(&zone->depot));
		put_pagesets(&text, p, i);
	}
	put_mappings(&text);
	worker_exclude_end(&p->q);
	return text.bytes;
}
