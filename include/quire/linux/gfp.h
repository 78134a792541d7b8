/* SPDX-License-Identifier: MIT */
/*
 * linux/gfp.h - blocks of pages
 *
 * A node is the instance's (the option zones).  It is preferred: if it has nothing at hand, another one serves, unless
 * __GFP_THISNODE is given.
 */
#ifndef QUIRE_LINUX_GFP_H
#define QUIRE_LINUX_GFP_H

#include <linux/gfp_types.h>
#include <linux/mm_types.h>

static inline struct page *alloc_pages(gfp_t gfp, unsigned order)
{
	return (struct page *)QUIRE_LINUX_ALLOC_WITH_(
		gfp, quire_linux_page_flags_(gfp),
		quire_alloc_pages(quire_default(), order, quire_flags_));
}

static inline struct page *alloc_pages_node(int node, gfp_t gfp, unsigned order)
{
	unsigned flags = quire_linux_page_flags_(gfp) | QUIRE_NODE(node);
	struct page *page;

	if (node == NUMA_NO_NODE)
		return alloc_pages(gfp, order);
	if (gfp & __GFP_THISNODE)
		return (struct page *)QUIRE_LINUX_ALLOC_WITH_(
			gfp, flags, quire_alloc_pages(quire_default(), order, quire_flags_));
	page = (struct page *)quire_alloc_pages(quire_default(), order,
						flags | QUIRE_NOWAIT | QUIRE_NORETRY);
	return page != NULL ? page : alloc_pages(gfp, order);
}

#define __alloc_pages_node(node, gfp, order)   alloc_pages_node(node, gfp, order)
#define __alloc_pages(gfp, order, node, nodes) alloc_pages_node(node, gfp, order)
#define alloc_page(gfp)			       alloc_pages(gfp, 0)
#define __get_free_pages(gfp, order)	       ((unsigned long)alloc_pages(gfp, order))
#define __get_free_page(gfp)		       __get_free_pages(gfp, 0)
#define get_zeroed_page(gfp)		       __get_free_pages((gfp) | __GFP_ZERO, 0)

static inline void __free_pages(struct page *page, unsigned order)
{
	if (put_page_testzero(page))
		quire_free_pages(quire_default(), page, order);
}

static inline void free_pages(unsigned long addr, unsigned order)
{
	if (addr != 0)
		__free_pages(virt_to_page((void *)addr), order);
}

#define __free_page(page) __free_pages(page, 0)
#define free_page(addr)	  free_pages(addr, 0)

static inline void split_page(struct page *page, unsigned order)
{
	quire_split_pages(quire_default(), page, order);
}

static inline void *alloc_pages_exact(size_t size, gfp_t gfp)
{
	return QUIRE_LINUX_ALLOC_WITH_(
		gfp, quire_linux_page_flags_(gfp),
		quire_alloc_pages_exact(quire_default(), size, quire_flags_));
}

static inline void free_pages_exact(void *addr, size_t size)
{
	quire_free_pages_exact(quire_default(), addr, size);
}

/* A type of pages, as alloc_contig_range() is told one: pages keep their pageblock's. */
enum migratetype {
	MIGRATE_UNMOVABLE,
	MIGRATE_MOVABLE,
	MIGRATE_RECLAIMABLE,
	MIGRATE_CMA,
};

/* The pages of frames [start, end), if they are free: nothing is moved out of the way. */
static inline int alloc_contig_range(unsigned long start, unsigned long end, unsigned type,
				     gfp_t gfp)
{
	(void)type;
	return quire_alloc_contig_range(quire_default(), pfn_to_page(start),
					(end - start) << PAGE_SHIFT,
					quire_linux_is_zeroed_(gfp) ? QUIRE_ZERO : 0);
}

/* Any pages that are neighbours, up to the largest block. */
static inline struct page *alloc_contig_pages(unsigned long count, gfp_t gfp, int node,
					      const void *nodes)
{
	(void)node;
	(void)nodes;
	return (struct page *)alloc_pages_exact(count << PAGE_SHIFT, gfp);
}

static inline void free_contig_range(unsigned long pfn, unsigned long count)
{
	for (unsigned long end = pfn + count; pfn < end; pfn++)
		if (put_page_testzero(pfn_to_page(pfn)))
			quire_free_contig_range(quire_default(), pfn_to_page(pfn), PAGE_SIZE);
}

/* Entries that are filled, in the whole array: later ones than a refused one too. */
static inline unsigned long alloc_pages_bulk(gfp_t gfp, unsigned long count, struct page **pages)
{
	return quire_alloc_pages_bulk(quire_default(), (void **)pages, count,
				      quire_linux_page_flags_(gfp));
}

#define alloc_pages_bulk_array(gfp, count, pages) alloc_pages_bulk(gfp, count, pages)

static inline void release_pages(struct page **pages, int count)
{
	for (int i = 0; i < count; i++)
		put_page(pages[i]);
}

static inline void drain_all_pages(void *zone)
{
	(void)zone;
	(void)quire_drain_all(quire_default());
}

#endif
