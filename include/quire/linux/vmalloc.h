/* SPDX-License-Identifier: MIT */
/* linux/vmalloc.h - areas; those that map pages need an instance with backing:memfd */
#ifndef QUIRE_LINUX_VMALLOC_H
#define QUIRE_LINUX_VMALLOC_H

#include <linux/mm_types.h>

#include <quire/vmap.h>

#define VM_ALLOC	   0x02u
#define VM_MAP		   0x04u
#define VM_ALLOW_HUGE_VMAP 0x400u

/* The one protection that a mapping has. */
typedef struct {
	unsigned bits;
} pgprot_t;
#define PAGE_KERNEL ((pgprot_t){ 0 })

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
#define vmalloc_user(size)			       vzalloc(size) /* all memory is the program's */
#define vmalloc_32(size)			       vmalloc(size)
#define vmalloc_32_user(size)			       vzalloc(size)

static inline void *quire_linux_varray_(size_t count, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return quire_linux_vmalloc_(bytes, 1, gfp, 0);
}

#define vmalloc_array(count, size) quire_linux_varray_(count, size, GFP_KERNEL)
#define vcalloc(count, size)	   quire_linux_varray_(count, size, GFP_KERNEL | __GFP_ZERO)

static inline void vfree(const void *addr)
{
	quire_vfree(quire_default(), (void *)(uintptr_t)addr);
}

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

/* A page to read and write; it has no references, and does not outlive its area. */
static inline struct page *vmalloc_to_page(const void *addr)
{
	return is_vmalloc_addr(addr) ? virt_to_page(addr) : NULL;
}

#define vmalloc_to_pfn(addr) page_to_pfn(vmalloc_to_page(addr))

static inline void *vmap(struct page **pages, unsigned count, unsigned long flags, pgprot_t prot)
{
	(void)flags;
	(void)prot;
	return quire_vmap(quire_default(), (void *const *)pages, count, 0);
}

static inline void vunmap(const void *addr)
{
	quire_vunmap(quire_default(), (void *)(uintptr_t)addr);
}

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

#endif
