/* SPDX-License-Identifier: MIT */
/*
 * rules.c - the invariants in words, by the number that quire_verify() returns
 *
 * The words are those of docs/invariants.md; tests/unit/base/base_rules_test.c compares them.
 */
#include <quire/quire.h>

#define NUMBERS_EACH 100u /* 100 + n, 200 + n, 300 + n, 400 + n */

static const char *const page_rules[] = {
	[1] = "online = buddy + cached (stacks, lists, depots, spares) + allocated + deferred, "
	      "in pages, in each zone",
	[2] = "the count of a CPU's lists is the sum over the lists of length << order, "
	      "whenever their lock is free",
	[3] = "after each release of the zone lock, no two free buddies that may merge are "
	      "separate",
	[4] = "the counts by order and row, and free_pages, agree with the lists",
	[5] = "a page is in one place, and the state byte of its head says which",
	[6] = "a free run is counted in the row of its block's tag",
	[7] = "after a free, the count is below high or a spill was made. So lists that are "
	      "switched off are empty, and others hold at most high_max, or high where a "
	      "lowered limit has just lowered high_max, and one refill",
	[8] = "lists end, and a spill of more pages than exist ends",
	[9] = "no stack, list, depot or spare holds a page of an isolated block; a page that "
	      "leaves a list goes to the row that its block has at that time",
	[10] = "a refused try of a lock changes nothing that a caller can see",
	[11] = "a run marked ZERO reads zero",
	[12] = "a drain allocates nothing, waits for nothing under a spin lock, and moves a "
	       "bounded number of runs in one hold",
};

static const char *const vmap_rules[] = {
	[1] = "ranges partition the span: no gap, no overlap; each is where its state says",
	[2] = "the trees: order, colours, the largest of each subtree; no two free neighbours "
	      "are unmerged",
	[3] = "the lowest address that fits is taken, as a linear scan would",
	[4] = "lazy_pages counts pages that are lazily freed or in a purge in flight; it is "
	      "never too low, and exact when no call is running",
	[5] = "an address is reused only after a flush that began after its memory was unmapped "
	      "and that reached every CPU",
	[6] = "the map names the range that begins at a page, and no other; a freed area is not "
	      "found",
	[7] = "pages of a block of small mappings are in use, free or dirty, and add up; it is "
	      "on its owner's list exactly as long as it has room",
	[8] = "when no call is running, no section is claimed, the count of ready sections is "
	      "correct, and uncounted is set if the advice of one is not counted yet",
	[9] = "the sum of backed pages equals the charge",
	[10] = "a refused call changes nothing: ranges, records, charges",
	[11] = "a refusal for space, memory or mappings means that no sequence of purges would "
	       "have helped",
	[12] = "a mapping shows the pages that were passed, in their order",
};

static const char *const percpu_rules[] = {
	[1] = "a chunk's counts of objects and of free granules are the sums over its pages, "
	      "and those agree with their maps",
	[2] = "an object's first granule has its boundary bit and its others have none; free "
	      "granules have none",
	[3] = "a page's longest run is never overstated; a page with a map has an object",
	[4] = "a chunk's masks by longest run agree with its pages; its run of free pages is "
	      "exact",
	[5] = "each map belongs to one page; maps are dense: as many as pages that need one; a "
	      "map's place is published to frees that take no lock, except for pages of 4-byte "
	      "objects",
	[6] = "a page's kind determines the unit of its map; objects of 4 bytes are only on "
	      "pages of that kind",
	[7] = "a page is in its chunk's mask of free pages if and only if it has no object",
	[8] = "a sidelined chunk has no empty page",
	[9] = "every object lies in populated pages",
	[10] = "empty_pages is the sum over the chunks that are not isolated",
	[11] = "populated_pages is the sum over all chunks, and enough maps are ready for them",
	[12] = "a chunk is on the list that matches its state and its largest hole",
	[13] = "a place on a stack is one object of that stack's size, marked, and on no other "
	       "stack",
	[14] = "the index agrees with each chunk's masks",
};

static const char *const slab_rules[] = {
	[1] = "a slab's count of free objects is the number of bits in its map, which has "
	      "none beyond the last object",
	[2] = "no word of a slab's map below its lowest one has a bit",
	[3] = "a slab is on the list that its objects and its flags call for",
	[4] = "lists end, and hold slabs of their class alone, each slab once",
	[5] = "the byte of each frame of a slab is its class, marked if the slab is emptying;"
	      " it is cleared before the slab's pages are freed",
	[6] = "a class's counts are the sums over its slabs",
	[7] = "no object in use touches a page of a slab whose memory went back while all its"
	      " objects were free",
	[8] = "what is on a sheaf, in a barn or in a quarantine is an object of its class that is"
	      " in use as far as its slab knows, and is there once",
};

static const struct {
	const char *const *texts;
	unsigned end;
} modules[] = {
	[1] = { page_rules, sizeof(page_rules) / sizeof(page_rules[0]) },
	[2] = { vmap_rules, sizeof(vmap_rules) / sizeof(vmap_rules[0]) },
	[3] = { percpu_rules, sizeof(percpu_rules) / sizeof(percpu_rules[0]) },
	[4] = { slab_rules, sizeof(slab_rules) / sizeof(slab_rules[0]) },
};

const char *quire_rule_text(int label)
{
	unsigned module = (unsigned)label / NUMBERS_EACH, n = (unsigned)label % NUMBERS_EACH;

	/* A negative label is a large number. */
	if (module >= sizeof(modules) / sizeof(modules[0]) || n >= modules[module].end ||
	    modules[module].texts[n] == NULL)
		return "no such rule";
	return modules[module].texts[n];
}
