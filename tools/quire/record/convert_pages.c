/* SPDX-License-Identifier: MIT */
/*
 * convert_pages.c - pages: each free finds its block by page frame
 *
 * A free may be of a part of a block, which the kernel had split without an event.  The block is then
 * halved, and the half with the part halved again, until the part is a block of its own.  A part
 * that is freed later cannot reach over one that was freed before, so it lies in one of these halves
 * whatever its length: no free has to be known in advance.
 */
#include "record/kernel_convert.h"

#include <errno.h>

/* The longest that the format knows. */
static bool is_valid(uint64_t pfn, uint64_t order)
{
	return order <= KATR_ORDER_MAX &&
	       pfn < OCCUPANCY_PAGES_MAX - ((uint64_t)1 << KATR_ORDER_MAX) &&
	       (pfn & (((uint64_t)1 << order) - 1)) == 0;
}

static uint64_t bytes_of(const struct kernel_convert *convert, unsigned order)
{
	return (uint64_t)1 << (convert->writer->page_shift + order);
}

static void end_block(struct kernel_convert *convert, const struct kernel_event *event,
		      struct page_block block, bool is_inferred)
{
	bool is_batched = event->is_batched && !is_inferred;

	katr_write_free(convert->writer, kernel_convert_moment(convert, event),
			is_batched ? KATR_FREE_BATCHED : KATR_FREE, is_inferred, block.id);
	page_map_remove(&convert->pages, block);
	live_counts_free(&convert->counts[KATR_PAGE], bytes_of(convert, block.order), is_inferred);
}

/* Ends all blocks that have one of the pages: true if there were any. */
static bool end_blocks(struct kernel_convert *convert, const struct kernel_event *event,
		       uint64_t pfn, unsigned order)
{
	uint64_t end = pfn + ((uint64_t)1 << order);
	struct page_block block;
	bool any = false;

	while (pfn < end) {
		if (page_map_find(&convert->pages, pfn, &block)) {
			end_block(convert, event, block, true);
			pfn = block.pfn + ((uint64_t)1 << block.order);
			any = true;
		} else {
			pfn++;
		}
	}
	return any;
}

static void add_block(struct kernel_convert *convert, struct page_block block)
{
	if (page_map_add(&convert->pages, block) != 0)
		kernel_convert_fail(convert, -ENOMEM);
}

static void take_alloc(struct kernel_convert *convert, const struct kernel_event *event)
{
	uint64_t pfn = event->values[PAGE_PFN], order = event->values[PAGE_ORDER];
	uint64_t type = event->values[PAGE_MIGRATETYPE];
	struct katr_moment at = kernel_convert_moment(convert, event);
	struct kernel_cpu *cpu = &convert->cpus[at.cpu];
	uint64_t values[] = { order, event->values[PAGE_GFP] & UINT32_MAX,
			      type < KATR_MIGRATETYPES_NR ? type : KATR_MIGRATETYPES_NR - 1 };
	bool has_failed = pfn == UINT64_MAX;
	uint64_t placement;
	uint32_t class_index;

	if (order > KATR_ORDER_MAX || (!has_failed && !is_valid(pfn, order))) {
		convert->mismatches_nr++;
		return;
	}
	kernel_convert_context(convert, event);
	class_index = katr_writer_class(convert->writer, KATR_PAGE, values, 3);
	if (has_failed) {
		katr_write_fail(convert->writer, at, class_index);
		convert->counts[KATR_PAGE].fails_nr++;
		return;
	}
	end_blocks(convert, event, pfn, (unsigned)order);
	placement = katr_zigzag((int64_t)(pfn - cpu->last_pfn));
	cpu->last_pfn = pfn;
	add_block(convert,
		  (struct page_block){ .pfn = pfn,
				       .order = (unsigned)order,
				       .id = katr_write_alloc(convert->writer, at, class_index,
							      &placement, 1) });
	live_counts_alloc(&convert->counts[KATR_PAGE], bytes_of(convert, (unsigned)order));
}

/* The half of the block that has the page; the other half lives on. */
static struct page_block halve(struct kernel_convert *convert, const struct kernel_event *event,
			       struct page_block block, uint64_t pfn)
{
	unsigned order = block.order - 1;
	uint32_t first = katr_write_split(convert->writer, kernel_convert_moment(convert, event),
					  block.id, block.order, order);
	struct page_block low = { .pfn = block.pfn, .id = first, .order = order };
	struct page_block high = { .pfn = block.pfn + ((uint64_t)1 << order),
				   .id = first + 1,
				   .order = order };

	page_map_remove(&convert->pages, block);
	add_block(convert, low);
	add_block(convert, high);
	convert->counts[KATR_PAGE].live_nr++; /* one of them is freed at once: no peak */
	convert->splits_nr++;
	return pfn < high.pfn ? low : high;
}

static void take_free(struct kernel_convert *convert, const struct kernel_event *event)
{
	uint64_t pfn = event->values[PAGE_PFN], order = event->values[PAGE_ORDER];
	struct page_block block;

	if (!is_valid(pfn, order)) {
		convert->mismatches_nr++;
		return;
	}
	if (!page_map_find(&convert->pages, pfn, &block) || block.order < order) {
		kernel_convert_context(convert, event);
		/* Its allocation was not seen, but parts of it were given out: their frees are missing. */
		if (order > 0 && end_blocks(convert, event, pfn, (unsigned)order))
			convert->mismatches_nr++;
		else if (!kernel_convert_is_own(convert, event))
			convert->counts[KATR_PAGE].unpaired_nr++;
		return;
	}
	kernel_convert_context(convert, event);
	convert->partial_frees_nr += block.order > order;
	while (block.order > order)
		block = halve(convert, event, block, pfn);
	end_block(convert, event, block, false);
}

static void take_fallback(struct kernel_convert *convert, const struct kernel_event *event)
{
	/* A block of this order is a page block or more: taking it whole mixes nothing. */
	const unsigned whole_order = 9;

	convert->counters[COUNT_FALLBACK]++;
	convert->counters[COUNT_FALLBACK_FRAGMENTING] +=
		event->values[FALLBACK_FROM_ORDER] < whole_order;
	convert->counters[COUNT_FALLBACK_STEALS] += event->values[FALLBACK_OWNS] != 0;
	katr_write_kernel_event(convert->writer, kernel_convert_moment(convert, event), 4,
				event->values, 5);
}

void kernel_convert_page(struct kernel_convert *convert, const struct kernel_event *event)
{
	switch (event->op) {
	case KERNEL_PAGE_ALLOC:
		if (kernel_convert_is_own(convert, event))
			convert->own_nr++;
		else
			take_alloc(convert, event);
		break;
	case KERNEL_PAGE_FREE:
		take_free(convert, event);
		break;
	case KERNEL_PAGE_TAKEN:
		convert->counters[event->values[TAKEN_REFILL] != 0 ? COUNT_TAKEN_LISTS
								   : COUNT_TAKEN_OTHER]++;
		break;
	case KERNEL_PAGE_GIVEN:
		convert->counters[COUNT_GIVEN]++;
		break;
	default:
		take_fallback(convert, event);
	}
}
