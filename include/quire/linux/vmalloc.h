/* SPDX-License-Identifier: MIT */
/*
 * linux/vmalloc.h - areas; those that map pages need an instance with backing:memfd
 *
 * A mapping of vmap() has a record, in a list: its pages, which vmalloc_to_page() finds, and with VM_MAP_PUT_PAGES the
 * caller's array of them, since vfree() then drops a reference of each page and frees the array.
 *
 * vmalloc_user() makes such a mapping of pages of its own, which remap_vmalloc_range() can map elsewhere; in an instance
 * without backing:memfd it returns an area, which that refuses.
 */
#ifndef QUIRE_LINUX_VMALLOC_H
#define QUIRE_LINUX_VMALLOC_H

#include <linux/mm_types.h>

#include <quire/vmap.h>
#include <sys/mman.h>

#define VM_ALLOC	   0x02u
#define VM_MAP		   0x04u
#define VM_USERMAP	   0x08u
#define VM_MAP_PUT_PAGES   0x200u
#define VM_ALLOW_HUGE_VMAP 0x400u
#define VM_NO_HUGE_VMAP	   0x800u

/* Bounds that are none. */
#define VMALLOC_START 0UL
#define VMALLOC_END   ULONG_MAX

/* As mprotect() takes it; how memory is cached is the system's business. */
typedef struct {
	unsigned long pgprot;
} pgprot_t;
#define pgprot_val(prot)	  ((prot).pgprot)
#define __pgprot(bits)		  ((pgprot_t){ (bits) })
#define PAGE_KERNEL		  __pgprot(PROT_READ | PROT_WRITE)
#define PAGE_KERNEL_RO		  __pgprot(PROT_READ)
#define PAGE_KERNEL_EXEC	  __pgprot(PROT_READ | PROT_WRITE | PROT_EXEC)
#define PAGE_KERNEL_ROX		  __pgprot(PROT_READ | PROT_EXEC)
#define pgprot_noncached(prot)	  (prot)
#define pgprot_writecombine(prot) (prot)

/* ---- mappings ---- */

struct quire_linux_mapping {
	struct quire_linux_mapping *next;
	char *addr;
	unsigned count;
	unsigned long flags;  /* VM_* */
	bool is_protected;    /* otherwise than quire_vmap() has it */
	struct page **owned;  /* the array that the caller has given away, or NULL */
	struct page *pages[]; /* by their own addresses */
};

/* Keys: (a) atomic; (l) under the lock. */
struct quire_linux_mappings {
	pthread_mutex_t lock;
	unsigned mappings_nr;		   /* (a); written under the lock */
	struct quire_linux_mapping *first; /* (l) */
};

extern struct quire_linux_mappings quire_linux_mappings;
QUIRE_LINUX_SHARED_ struct quire_linux_mappings quire_linux_mappings;

/* Puts the record of a mapping on the list, and counts it. */
static inline void quire_linux_put_mapping_(struct quire_linux_mapping *mapping)
{
	(void)pthread_mutex_lock(&quire_linux_mappings.lock);
	mapping->next = quire_linux_mappings.first;
	quire_linux_mappings.first = mapping;
	(void)__atomic_fetch_add(&quire_linux_mappings.mappings_nr, 1, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&quire_linux_mappings.lock);
}

/* Takes the record of the mapping that begins at @addr off the list; NULL: there is none. */
static inline struct quire_linux_mapping *quire_linux_take_mapping_(const void *addr)
{
	struct quire_linux_mapping **at, *mapping;

	/* Whoever has a mapping's address has seen it counted. */
	if (__atomic_load_n(&quire_linux_mappings.mappings_nr, __ATOMIC_RELAXED) == 0)
		return NULL;
	(void)pthread_mutex_lock(&quire_linux_mappings.lock);
	at = &quire_linux_mappings.first;
	while (*at != NULL && (*at)->addr != addr)
		at = &(*at)->next;
	mapping = *at;
	if (mapping != NULL) {
		*at = mapping->next;
		(void)__atomic_fetch_sub(&quire_linux_mappings.mappings_nr, 1, __ATOMIC_RELAXED);
	}
	(void)pthread_mutex_unlock(&quire_linux_mappings.lock);
	return mapping;
}

/* The page that a mapping with @flags has at @addr; NULL: no such mapping is there. */
static inline struct page *quire_linux_mapped_(const void *addr, unsigned long flags)
{
	struct page *page = NULL;

	if (__atomic_load_n(&quire_linux_mappings.mappings_nr, __ATOMIC_RELAXED) == 0)
		return NULL;
	(void)pthread_mutex_lock(&quire_linux_mappings.lock);
	for (struct quire_linux_mapping *mapping = quire_linux_mappings.first;
	     mapping != NULL && page == NULL; mapping = mapping->next) {
		size_t index = ((uintptr_t)addr - (uintptr_t)mapping->addr) >> PAGE_SHIFT;

		if (index < mapping->count && (mapping->flags & flags) == flags)
			page = mapping->pages[index];
	}
	(void)pthread_mutex_unlock(&quire_linux_mappings.lock);
	return page;
}

/* Other users of the addresses find them as quire_vmap() makes them. */
static inline void quire_linux_unmap_(struct quire_linux_mapping *mapping)
{
	if (mapping->is_protected)
		(void)mprotect(mapping->addr, mapping->count * PAGE_SIZE, PROT_READ | PROT_WRITE);
	quire_vunmap(quire_default(), mapping->addr);
}

/* @pages with VM_MAP_PUT_PAGES is of kmalloc() or vmalloc(), with a reference of each page for vfree() to drop. */
static inline void *vmap(struct page **pages, unsigned count, unsigned long flags, pgprot_t prot)
{
	struct quire_linux_mapping *mapping = (struct quire_linux_mapping *)malloc(
		sizeof(*mapping) + count * sizeof(mapping->pages[0]));

	if (mapping == NULL)
		return NULL;
	mapping->addr = (char *)quire_vmap(quire_default(), (void *const *)pages, count, 0);
	mapping->count = count;
	mapping->flags = flags;
	mapping->is_protected = pgprot_val(prot) != pgprot_val(PAGE_KERNEL);
	mapping->owned = flags & VM_MAP_PUT_PAGES ? pages : NULL;
	if (mapping->addr == NULL) {
		free(mapping);
		return NULL;
	}
	if (mapping->is_protected &&
	    mprotect(mapping->addr, count * PAGE_SIZE, (int)pgprot_val(prot)) != 0) {
		quire_linux_unmap_(mapping);
		free(mapping);
		return NULL;
	}
	memcpy(mapping->pages, pages, count * sizeof(pages[0]));
	quire_linux_put_mapping_(mapping);
	return mapping->addr;
}

static inline void kvfree(const void *ptr);

/* @gives_pages: drops what VM_MAP_PUT_PAGES gave.  False: there is no mapping of vmap() at @addr. */
static inline bool quire_linux_end_mapping_(const void *addr, bool gives_pages)
{
	struct quire_linux_mapping *mapping = addr == NULL ? NULL : quire_linux_take_mapping_(addr);

	if (mapping == NULL)
		return false;
	quire_linux_unmap_(mapping);
	if (gives_pages && mapping->owned != NULL) {
		for (unsigned i = 0; i < mapping->count; i++)
			put_page(mapping->pages[i]);
		kvfree(mapping->owned);
	}
	free(mapping);
	return true;
}

/* The pages stay their owners', with VM_MAP_PUT_PAGES too. */
static inline void vunmap(const void *addr)
{
	if (!quire_linux_end_mapping_(addr, false))
		quire_vunmap(quire_default(), (void *)(uintptr_t)addr);
}

static inline void vfree(const void *addr)
{
	if (!quire_linux_end_mapping_(addr, true))
		quire_vfree(quire_default(), (void *)(uintptr_t)addr);
}

/* ---- areas ---- */

/* @flags are Quire's, besides those of @gfp.  An @align of at most a page is the area's anyhow. */
static inline void *quire_linux_vmalloc_(size_t size, size_t align, gfp_t gfp, unsigned flags)
{
	if (align <= PAGE_SIZE)
		return QUIRE_LINUX_ALLOC_WITH_(gfp, quire_linux_flags_(gfp) | flags,
					       quire_vmalloc(quire_default(), size, quire_flags_));
	return QUIRE_LINUX_ALLOC_WITH_(
		gfp, quire_linux_flags_(gfp) | flags,
		quire_vmalloc_with(quire_default(), size,
				   &(struct quire_vmalloc_options)QUIRE_VMALLOC_OPTIONS_INIT(
						   .flags = quire_flags_, .align_bytes = align)));
}

/* The system places pages where they are first written, whatever the node. */
#define __vmalloc_node(size, align, gfp, node, caller) quire_linux_vmalloc_(size, align, gfp, 0)
#define __vmalloc(size, gfp)			       quire_linux_vmalloc_(size, 1, gfp, 0)
#define vmalloc(size)				       quire_linux_vmalloc_(size, 1, GFP_KERNEL, 0)
#define vzalloc(size)				       quire_linux_vmalloc_(size, 1, GFP_KERNEL | __GFP_ZERO, 0)
#define vmalloc_node(size, node)		       vmalloc(size)
#define vzalloc_node(size, node)		       vzalloc(size)
#define vmalloc_huge(size, gfp)			       quire_linux_vmalloc_(size, 1, gfp, QUIRE_HUGE)
#define vmalloc_huge_node(size, gfp, node)	       vmalloc_huge(size, gfp)
#define vmalloc_32(size)			       vmalloc(size)
#define vmalloc_32_user(size)			       vmalloc_user(size)

/* What Quire's flags say of huge pages. */
static inline unsigned quire_linux_huge_flags_(unsigned long vm_flags)
{
	return (vm_flags & VM_ALLOW_HUGE_VMAP ? QUIRE_HUGE : 0) |
	       (vm_flags & VM_NO_HUGE_VMAP ? QUIRE_NOHUGE : 0);
}

/* An area between @start and @end.  Of protections there is only PAGE_KERNEL. */
static inline void *__vmalloc_node_range(unsigned long size, unsigned long align,
					 unsigned long start, unsigned long end, gfp_t gfp,
					 pgprot_t prot, unsigned long vm_flags, int node,
					 const void *caller)
{
	unsigned flags = quire_linux_huge_flags_(vm_flags);
	struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = align, .start = (const void *)start,
					   .end = end == VMALLOC_END ? NULL : (const void *)end);

	(void)node;
	(void)caller;
	if (pgprot_val(prot) != pgprot_val(PAGE_KERNEL)) {
		errno = EINVAL;
		return NULL;
	}
	return QUIRE_LINUX_ALLOC_WITH_(gfp, quire_linux_flags_(gfp) | flags,
				       (options.flags = quire_flags_,
					quire_vmalloc_with(quire_default(), size, &options)));
}

/* ---- for the program's other mappings ---- */

/* Where the program has made room for pages: by mmap(), with any protection. */
struct vm_area_struct {
	unsigned long vm_start, vm_end;
	unsigned long vm_pgoff;
	unsigned long vm_flags;
};

/* Gives pages back that vmalloc_user() has no use for, and their array. */
static inline void quire_linux_drop_pages_(void **pages, size_t count)
{
	quire_free_pages_bulk(quire_default(), pages, count);
	free(pages);
}

static inline void *vmalloc_user(unsigned long size)
{
	size_t count = PAGE_ALIGN(size) >> PAGE_SHIFT;
	void **pages = (void **)calloc(count, sizeof(*pages)), *addr = NULL;
	bool is_shared = true;

	if (pages == NULL || count == 0 || count > UINT_MAX)
		goto out;
	if (quire_alloc_pages_bulk(quire_default(), pages, count, QUIRE_ZERO) == count) {
		addr = vmap((struct page **)pages, (unsigned)count,
			    VM_MAP | VM_USERMAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
		is_shared = addr != NULL || errno != ENOTSUP;
	}
out:
	if (addr == NULL && pages != NULL)
		quire_linux_drop_pages_(pages, count);
	return is_shared ? addr : vzalloc(size);
}

/*
 * Maps @size bytes of an area of vmalloc_user(), from the page @pgoff on, at @at in @vma: 0, -EINVAL if it is no such area or
 * has not so many pages, or -ENOMEM.  What is mapped holds no references, where the kernel's does: the
 * program unmaps it before it frees the area.
 */
static inline int remap_vmalloc_range_partial(struct vm_area_struct *vma, unsigned long at,
					      const void *addr, unsigned long pgoff,
					      unsigned long size)
{
	size_t count = PAGE_ALIGN(size) >> PAGE_SHIFT;

	if (!PAGE_ALIGNED(at) || !PAGE_ALIGNED(addr) || at < vma->vm_start ||
	    PAGE_ALIGN(size) > vma->vm_end - at)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		if (quire_linux_mapped_((const char *)addr + ((pgoff + i) << PAGE_SHIFT),
					VM_USERMAP) == NULL)
			return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		struct page *page = quire_linux_mapped_(
			(const char *)addr + ((pgoff + i) << PAGE_SHIFT), VM_USERMAP);

		/* Without a length, shared memory is mapped a second time. */
		if (mremap(page, 0, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   (void *)(at + (i << PAGE_SHIFT))) == MAP_FAILED)
			return -ENOMEM;
	}
	return 0;
}

/* All of @vma. */
static inline int remap_vmalloc_range(struct vm_area_struct *vma, void *addr, unsigned long pgoff)
{
	return remap_vmalloc_range_partial(vma, vma->vm_start, addr, pgoff,
					   vma->vm_end - vma->vm_start);
}

/* NULL if the product is too large for a size_t. */
static inline void *quire_linux_varray_(size_t count, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return quire_linux_vmalloc_(bytes, 1, gfp, 0);
}

#define vmalloc_array(count, size) quire_linux_varray_(count, size, GFP_KERNEL)
#define vcalloc(count, size)	   quire_linux_varray_(count, size, GFP_KERNEL | __GFP_ZERO)

#define vfree_atomic(addr) vfree(addr)

/* Without a size @addr is freed, and NULL returned. */
static inline void *vrealloc(const void *addr, size_t size, gfp_t gfp)
{
	if (size == 0) {
		vfree(addr);
		return NULL;
	}
	return QUIRE_LINUX_ALLOC_(
		gfp, quire_vrealloc(quire_default(), (void *)(uintptr_t)addr, size, quire_flags_));
}

static inline bool is_vmalloc_addr(const void *addr)
{
	return quire_vmalloc_size(quire_default(), addr) != 0;
}

#define is_vmalloc_or_module_addr(addr) is_vmalloc_addr(addr)

/* The page that vmap() was given.  An area's own is one to read and write; it has no references, and ends with its area. */
static inline struct page *vmalloc_to_page(const void *addr)
{
	struct page *mapped = quire_linux_mapped_(addr, 0);

	if (mapped != NULL)
		return mapped;
	return is_vmalloc_addr(addr) ? virt_to_page(addr) : NULL;
}

#define vmalloc_to_pfn(addr) page_to_pfn(vmalloc_to_page(addr))

static inline void *vm_map_ram(struct page **pages, unsigned count, int node)
{
	(void)node;
	return quire_vm_map_ram(quire_default(), (void *const *)pages, count, 0);
}

static inline void vm_unmap_ram(const void *addr, unsigned count)
{
	quire_vm_unmap_ram(quire_default(), (void *)(uintptr_t)addr, count);
}

static inline void vm_unmap_aliases(void)
{
	quire_vm_unmap_aliases(quire_default());
}

#include <linux/kvmalloc.h> /* kvfree() */

#endif
