// SPDX-License-Identifier: MIT
/* caches.c - object caches */
#include <linux/module.h>
#include <linux/slab.h>

#include "expect.h"

static bool leaks;
module_param(leaks, bool, 0444);

struct inode {
	long number;
	char rest[120];
};

static void set_number(void *object)
{
	((struct inode *)object)->number = 77;
}

static void objects_are_constructed_and_stay_so(void)
{
	struct kmem_cache *cache = kmem_cache_create("inodes", sizeof(struct inode), 0,
						     SLAB_HWCACHE_ALIGN | SLAB_PANIC, set_number);
	struct inode *inode = (struct inode *)kmem_cache_alloc(cache, GFP_KERNEL);

	EXPECT_EQ(kmem_cache_size(cache), sizeof(struct inode));
	EXPECT_EQ(inode->number, 77);
	kmem_cache_free(cache, inode);
	inode = (struct inode *)kmem_cache_alloc(cache, GFP_ATOMIC);
	EXPECT_EQ(inode->number, 77);
	kmem_cache_free(cache, inode);
	EXPECT_EQ(kmem_cache_shrink(cache), 0);
	kmem_cache_destroy(cache);
}

static void many_objects_come_at_once(void)
{
	struct kmem_cache *cache = KMEM_CACHE(inode, SLAB_POISON | SLAB_RED_ZONE);
	void *objects[50];
	struct inode *inode;

	EXPECT_EQ(
		kmem_cache_alloc_bulk(cache, GFP_KERNEL | __GFP_ZERO, ARRAY_SIZE(objects), objects),
		50);
	EXPECT_EQ(((struct inode *)objects[49])->rest[119], 0);
	kmem_cache_free_bulk(cache, ARRAY_SIZE(objects), objects);
	inode = (struct inode *)kmem_cache_zalloc(cache, GFP_KERNEL);
	EXPECT_EQ(inode->number, 0);
	kmem_cache_free(cache, inode);
	kmem_cache_destroy(cache);
	EXPECT(kmem_cache_create("too large", QUIRE_OBJECT_MAX + 1, 0, 0, NULL) == NULL);
}

static void a_reader_keeps_what_is_freed(void)
{
	struct kmem_cache *cache = KMEM_CACHE(inode, SLAB_TYPESAFE_BY_RCU);
	struct inode *inode = (struct inode *)kmem_cache_alloc(cache, GFP_KERNEL), *other;

	inode->number = 9;
	rcu_read_lock();
	kmem_cache_free(cache, inode);
	other = (struct inode *)kmem_cache_alloc(cache, GFP_KERNEL);
	other->number = 10;
	EXPECT_EQ(inode->number, 9);
	rcu_read_unlock();
	kmem_cache_free(cache, other);
	kmem_cache_destroy(cache);
}

static void what_is_in_use_is_a_warning(void)
{
	struct kmem_cache *cache = KMEM_CACHE(inode, SLAB_NO_MERGE);

	if (leaks)
		pr_info("leaks %p\n", kmem_cache_alloc(cache, GFP_KERNEL));
	kmem_cache_destroy(cache);
}

static int __init caches_init(void)
{
	objects_are_constructed_and_stay_so();
	many_objects_come_at_once();
	a_reader_keeps_what_is_freed();
	what_is_in_use_is_a_warning();
	return 0;
}

module_init(caches_init);
