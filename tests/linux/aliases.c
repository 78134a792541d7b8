// SPDX-License-Identifier: MIT
/* aliases.c - pages mapped again, in an instance with backing:memfd */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <fcntl.h>
#include <unistd.h>

#include "expect.h"

static uint64_t allocated_pages(void)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	BUG_ON(quire_page_stat_read(quire_default(), &stat) != 0);
	return stat.allocated_pages;
}

/* Whether the system may write there: read() fails where it may not, and ends nobody. */
static bool is_writable(void *addr)
{
	int fd = open("/dev/zero", O_RDONLY);
	bool is_written = read(fd, addr, 1) == 1;

	BUG_ON(fd < 0);
	(void)close(fd);
	return is_written;
}

static void a_mapping_is_protected_as_asked(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	char *alias = (char *)vmap(&page, 1, VM_MAP, PAGE_KERNEL_RO);

	*(char *)page_address(page) = 7;
	EXPECT(alias != NULL && *alias == 7 && !is_writable(alias));
	EXPECT(vmalloc_to_page(alias + 9) == page);
	vunmap(alias);
	vm_unmap_aliases();
	alias = (char *)vmap(&page, 1, VM_MAP, PAGE_KERNEL); /* where the other was */
	EXPECT(is_writable(alias));
	vfree(alias);
	EXPECT(vmalloc_to_page(alias) != page);
	__free_page(page);
}

/* vfree() takes pages and array, vunmap() neither. */
static void pages_that_were_given_go_with_the_mapping(void)
{
	uint64_t before = allocated_pages();
	struct page **pages = (struct page **)kmalloc_array(3, sizeof(*pages), GFP_KERNEL), *kept;
	char *alias;

	BUG_ON(pages == NULL ||
	       alloc_pages_bulk(GFP_KERNEL, 2, memset(pages, 0, 3 * sizeof(*pages))) != 2);
	pages[2] = pages[0];
	get_page(pages[2]);
	kept = pages[1];
	get_page(kept);
	alias = (char *)vmap(pages, 3, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	BUG_ON(alias == NULL);
	vunmap(alias);
	EXPECT_EQ(allocated_pages(), before + 2);
	alias = (char *)vmap(pages, 3, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	BUG_ON(alias == NULL);
	vfree(alias);
	EXPECT_EQ(allocated_pages(), before + 1);
	EXPECT_EQ(page_ref_count(kept), 1);
	__free_page(kept);
	EXPECT_EQ(allocated_pages(), before);
	EXPECT(vmap(NULL, 0, VM_MAP, PAGE_KERNEL) == NULL);
}

static bool is_mapped_as(struct vm_area_struct *vma, const char *area, unsigned long pgoff)
{
	const char *seen = (const char *)vma->vm_start;

	for (unsigned long at = 0; at < vma->vm_end - vma->vm_start; at += PAGE_SIZE)
		if (seen[at] != area[at + pgoff * PAGE_SIZE])
			return false;
	return true;
}

static void an_area_for_users_is_mapped_elsewhere(void)
{
	uint64_t before = allocated_pages();
	char *area = (char *)vmalloc_user(5 * PAGE_SIZE - 9), *plain = (char *)vmalloc(PAGE_SIZE);
	char *room =
		(char *)mmap(NULL, 3 * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vm_area_struct vma = { .vm_start = (unsigned long)room,
				      .vm_end = (unsigned long)room + 3 * PAGE_SIZE };

	BUG_ON(area == NULL || room == MAP_FAILED);
	EXPECT_EQ(allocated_pages(), before + 5);
	EXPECT(is_vmalloc_addr(area));
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(area[i * (int)PAGE_SIZE], 0);
		area[i * (int)PAGE_SIZE] = (char)(i + 1);
	}
	EXPECT_EQ(remap_vmalloc_range(&vma, area, 3), -EINVAL);
	EXPECT_EQ(remap_vmalloc_range(&vma, plain, 0), -EINVAL);
	EXPECT_EQ(remap_vmalloc_range_partial(&vma, vma.vm_start, area, 0, 4 * PAGE_SIZE), -EINVAL);
	EXPECT_EQ(remap_vmalloc_range(&vma, area, 2), 0);
	EXPECT(is_mapped_as(&vma, area, 2));
	room[PAGE_SIZE] = 77;
	EXPECT_EQ(area[3 * PAGE_SIZE], 77);
	EXPECT_EQ(remap_vmalloc_range_partial(&vma, vma.vm_start + PAGE_SIZE, area, 0, PAGE_SIZE),
		  0);
	EXPECT_EQ(room[PAGE_SIZE], 1);
	EXPECT_EQ(munmap(room, 3 * PAGE_SIZE), 0);
	vfree(plain);
	vfree(area);
	EXPECT_EQ(allocated_pages(), before);
	EXPECT(vmalloc_user(0) == NULL);
}

static int __init aliases_init(void)
{
	struct page *pages[3] = { alloc_page(GFP_KERNEL), alloc_page(GFP_KERNEL), NULL };
	char *alias;

	BUG_ON(pages[0] == NULL || pages[1] == NULL);
	pages[2] = pages[0];
	alias = (char *)vmap(pages, 3, VM_MAP, PAGE_KERNEL);
	BUG_ON(alias == NULL);
	alias[2 * PAGE_SIZE] = 5;
	EXPECT_EQ(*(char *)page_address(pages[0]), 5);
	vunmap(alias);
	alias = (char *)vm_map_ram(pages, 2, NUMA_NO_NODE);
	EXPECT_EQ(*alias, 5);
	vm_unmap_ram(alias, 2);
	vm_unmap_aliases();
	__free_page(pages[0]);
	__free_page(pages[1]);
	a_mapping_is_protected_as_asked();
	pages_that_were_given_go_with_the_mapping();
	an_area_for_users_is_mapped_elsewhere();
	return 0;
}

module_init(aliases_init);
