// SPDX-License-Identifier: MIT
/* areas.c - areas, kmalloc() and memory of any size */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include "expect.h"

static bool is_filled(const char *ptr, size_t bytes, char with)
{
	for (size_t i = 0; i < bytes; i++)
		if (ptr[i] != with)
			return false;
	return true;
}

static void areas_are_aligned_and_zeroed_as_asked(void)
{
	char *area = (char *)vzalloc(5 * PAGE_SIZE), *aligned;

	EXPECT(is_filled(area, 5 * PAGE_SIZE, 0));
	EXPECT(is_vmalloc_addr(area + PAGE_SIZE) && !is_vmalloc_addr(&area));
	aligned = (char *)__vmalloc_node(PAGE_SIZE, 1 << 20, GFP_KERNEL | __GFP_ZERO, NUMA_NO_NODE,
					 __builtin_return_address(0));
	EXPECT(aligned != NULL && IS_ALIGNED((uintptr_t)aligned, 1u << 20));
	EXPECT(__vmalloc_node(PAGE_SIZE, 1UL << 62, GFP_KERNEL, NUMA_NO_NODE, NULL) == NULL);
	vfree(aligned);
	memset(area, 1, 5 * PAGE_SIZE);
	area = (char *)vrealloc(area, 9 * PAGE_SIZE, GFP_KERNEL);
	EXPECT(is_filled(area, 5 * PAGE_SIZE, 1));
	EXPECT(vrealloc(area, 0, GFP_KERNEL | __GFP_NOFAIL) == NULL);
	EXPECT(!is_vmalloc_addr(area));
	vfree(NULL);
	area = (char *)vmalloc_huge(4UL << 20, GFP_KERNEL);
	EXPECT(IS_ALIGNED((uintptr_t)area, 2u << 20));
	vfree(area);
	EXPECT(vcalloc(SIZE_MAX / 2, 3) == NULL);
	area = (char *)vmalloc_user(PAGE_SIZE);
	EXPECT(is_filled(area, PAGE_SIZE, 0));
	vfree(area);
}

static void an_area_lies_in_its_bounds_with_huge_pages_or_without(void)
{
	char *area =
		(char *)__vmalloc_node_range(4UL << 20, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL,
					     PAGE_KERNEL, VM_NO_HUGE_VMAP, NUMA_NO_NODE, NULL);
	unsigned long start = (unsigned long)area;

	EXPECT(area != NULL);
	vfree(area);
	area = (char *)__vmalloc_node_range(PAGE_SIZE, PAGE_SIZE, start, start + (4UL << 20),
					    GFP_KERNEL | __GFP_ZERO, PAGE_KERNEL,
					    VM_ALLOW_HUGE_VMAP, NUMA_NO_NODE, NULL);
	EXPECT((unsigned long)area >= start && (unsigned long)area < start + (4UL << 20));
	EXPECT_EQ(*area, 0);
	vfree(area);
	EXPECT(__vmalloc_node_range(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL,
				    PAGE_KERNEL, VM_ALLOW_HUGE_VMAP | VM_NO_HUGE_VMAP, NUMA_NO_NODE,
				    NULL) == NULL);
	EXPECT(__vmalloc_node_range(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL,
				    PAGE_KERNEL_RO, 0, NUMA_NO_NODE, NULL) == NULL);
}

static void each_address_of_an_area_has_a_page(void)
{
	char *area = (char *)vmalloc(3 * PAGE_SIZE);

	EXPECT(page_address(vmalloc_to_page(area + 2 * PAGE_SIZE + 9)) == area + 2 * PAGE_SIZE);
	EXPECT_EQ(vmalloc_to_pfn(area + PAGE_SIZE), ((uintptr_t)area >> PAGE_SHIFT) + 1);
	EXPECT(vmalloc_to_page(&area) == NULL);
	vfree(area);
}

static void small_memory_is_aligned_and_grows(void)
{
	char *ptr = (char *)kzalloc(100, GFP_KERNEL);

	EXPECT(is_filled(ptr, 100, 0));
	EXPECT(ksize(ptr) >= 100);
	memset(ptr, 2, 100);
	ptr = (char *)krealloc(ptr, 5000, GFP_KERNEL);
	EXPECT(is_filled(ptr, 100, 2));
	kfree_sensitive(ptr);
	for (size_t size = 32; size <= KMALLOC_MAX_SIZE; size *= 2) {
		ptr = (char *)kmalloc(size, GFP_KERNEL);
		EXPECT(IS_ALIGNED((uintptr_t)ptr, size));
		kfree(ptr);
		ptr = (char *)kmalloc(size + size / 2, GFP_KERNEL);
		EXPECT(IS_ALIGNED((uintptr_t)ptr, size / 2));
		kfree(ptr);
	}
	EXPECT(kmalloc(0, GFP_KERNEL) == ZERO_SIZE_PTR);
	kfree(ZERO_SIZE_PTR);
	kfree(NULL);
	EXPECT(kmalloc(KMALLOC_MAX_SIZE + 1, GFP_KERNEL) == NULL);
	EXPECT(kcalloc(SIZE_MAX / 8, 16, GFP_KERNEL) == NULL);
	ptr = kstrdup("name", GFP_KERNEL);
	EXPECT(strcmp(ptr, "name") == 0);
	kfree(ptr);
}

/* Bytes that malloc() gave beyond those asked for count as the old ones: they are copied. */
static void what_grows_is_zeroed_beyond_its_old_size(void)
{
	char *used = (char *)kmalloc(104, GFP_KERNEL), *ptr;

	memset(used, 0xff, ksize(used));
	barrier(); /* or they are no stores: it is freed */
	kfree(used);
	ptr = (char *)kzalloc(100, GFP_KERNEL);
	memset(ptr, 2, 100);
	ptr = (char *)krealloc(ptr, 300, GFP_KERNEL | __GFP_ZERO);
	EXPECT(is_filled(ptr, 100, 2) && is_filled(ptr + 100, 200, 0));
	kfree(ptr);
}

static void memory_of_any_size_is_freed_by_one_call(void)
{
	char *small = (char *)kvcalloc(10, 10, GFP_KERNEL);
	char *large = (char *)kvzalloc(2 * KMALLOC_MAX_SIZE, GFP_KERNEL);

	EXPECT(!is_vmalloc_addr(small) && is_vmalloc_addr(large));
	EXPECT(is_filled(small, 100, 0) && is_filled(large, 2 * KMALLOC_MAX_SIZE, 0));
	memset(small, 3, 100);
	small = (char *)kvrealloc(small, KMALLOC_MAX_SIZE + 1, GFP_KERNEL);
	EXPECT(is_vmalloc_addr(small) && is_filled(small, 100, 3));
	small = (char *)kvrealloc(small, 2 * KMALLOC_MAX_SIZE, GFP_KERNEL);
	EXPECT(is_filled(small, 100, 3));
	kvfree_sensitive(small, 100);
	kvfree(large);
	kvfree(NULL);
	kvfree(vmalloc(1));
	large = (char *)vmalloc(1);
	EXPECT(kvrealloc(large, 0, GFP_KERNEL) == NULL && !is_vmalloc_addr(large));
	EXPECT(kvcalloc(SIZE_MAX / 2, 3, GFP_KERNEL) == NULL);
}

static void freed_memory_waits_for_readers(void)
{
	char *small = (char *)kmalloc(8, GFP_KERNEL), *large = (char *)vmalloc(PAGE_SIZE);

	rcu_read_lock();
	rcu_read_lock();
	*large = 4;
	kvfree_rcu(large, rcu);
	rcu_read_unlock();
	EXPECT_EQ(*large, 4);
	EXPECT(is_vmalloc_addr(large));
	rcu_read_unlock();
	EXPECT(!is_vmalloc_addr(large));
	kvfree_rcu(small);
}

static atomic_t entered, is_over;

/* Leaves its read section only after the other thread has entered one. */
static int relay(void *arg)
{
	(void)arg;
	while (!atomic_read(&is_over)) {
		int mine;

		rcu_read_lock();
		mine = atomic_inc_return(&entered);
		while (atomic_read(&entered) == mine && !atomic_read(&is_over))
			schedule();
		rcu_read_unlock();
	}
	return 0;
}

/* There is a reader at every moment: a grace period that waited for all at once would not end. */
static void later_readers_are_not_waited_for(void)
{
	struct task_struct *tasks[2];

	for (int i = 0; i < 2; i++)
		tasks[i] = kthread_run(relay, NULL, "relay/%d", i);
	while (atomic_read(&entered) < 10)
		schedule();
	synchronize_rcu();
	EXPECT(!atomic_read(&is_over));
	atomic_set(&is_over, 1);
	for (int i = 0; i < 2; i++)
		(void)kthread_stop(tasks[i]);
}

static DEFINE_SPINLOCK(spinlock);
static atomic_t is_reading;

static int lock_as_a_reader(void *arg)
{
	(void)arg;
	rcu_read_lock();
	atomic_set(&is_reading, 1);
	spin_lock(&spinlock);
	spin_unlock(&spinlock);
	rcu_read_unlock();
	return 0;
}

/* The reader waits for the lock of the thread that frees. */
static void a_lock_holder_frees_without_waiting(void)
{
	char *area = (char *)vmalloc(PAGE_SIZE);
	struct task_struct *task = kthread_create(lock_as_a_reader, NULL, "reader");

	BUG_ON(IS_ERR(task));
	spin_lock(&spinlock);
	(void)wake_up_process(task);
	while (!atomic_read(&is_reading))
		schedule();
	kvfree_rcu_mightsleep(area);
	EXPECT(is_vmalloc_addr(area));
	spin_unlock(&spinlock);
	EXPECT(!is_vmalloc_addr(area));
	(void)kthread_stop(task);
}

static int __init areas_init(void)
{
	areas_are_aligned_and_zeroed_as_asked();
	an_area_lies_in_its_bounds_with_huge_pages_or_without();
	each_address_of_an_area_has_a_page();
	small_memory_is_aligned_and_grows();
	what_grows_is_zeroed_beyond_its_old_size();
	memory_of_any_size_is_freed_by_one_call();
	freed_memory_waits_for_readers();
	later_readers_are_not_waited_for();
	a_lock_holder_frees_without_waiting();
	return 0;
}

module_init(areas_init);
