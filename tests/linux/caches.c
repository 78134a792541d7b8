// SPDX-License-Identifier: MIT
/* caches.c - object caches */
#include <linux/module.h>
#include <linux/slab.h>

#include "expect.h"

static bool leaks, stores;
module_param(leaks, bool, 0444);
module_param(stores, bool, 0444);

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

static void a_cache_is_made_by_either_form(void)
{
	struct kmem_cache_args args = { .align = 64, .ctor = set_number };
	const struct kmem_cache_args *same = &args;
	struct kmem_cache *caches[] = {
		kmem_cache_create("args", sizeof(struct inode), &args, SLAB_NO_USER_FLAGS),
		kmem_cache_create("const args", sizeof(struct inode), same, 0),
		kmem_cache_create("align", sizeof(struct inode), 64, 0, set_number),
		kmem_cache_create("no args", sizeof(struct inode), NULL, 0),
	};

	for (size_t i = 0; i < ARRAY_SIZE(caches); i++) {
		struct inode *inode = (struct inode *)kmem_cache_alloc(caches[i], GFP_KERNEL);

		EXPECT(i == 3 || IS_ALIGNED((uintptr_t)inode, 64u));
		EXPECT(i == 3 || inode->number == 77);
		kmem_cache_free(caches[i], inode);
		kmem_cache_destroy(caches[i]);
	}
}

static void users_of_objects_are_stored_and_forgotten(void)
{
	struct kmem_cache *cache = KMEM_CACHE(inode, SLAB_STORE_USER | SLAB_TYPESAFE_BY_RCU);
	void *objects[40], *one = kmem_cache_alloc(cache, GFP_KERNEL);

	EXPECT_EQ(kmem_cache_alloc_bulk(cache, GFP_KERNEL, ARRAY_SIZE(objects), objects), 40);
	EXPECT(*quire_linux_user_of_(cache->users, one) != NULL);
	EXPECT((*quire_linux_user_of_(cache->users, objects[39]))->calls_nr > 1);
	kmem_cache_free_bulk(cache, ARRAY_SIZE(objects), objects);
	kmem_cache_free(cache, one);
	EXPECT(*quire_linux_user_of_(cache->users, one) == NULL);
	EXPECT(*quire_linux_user_of_(cache->users, objects[39]) == NULL);
	kmem_cache_destroy(cache);
}

static void what_is_in_use_is_a_warning(void)
{
	struct kmem_cache *cache =
		KMEM_CACHE(inode, SLAB_NO_MERGE | (stores ? SLAB_STORE_USER : 0));

	if (leaks)
		pr_info("leaks %p\n", kmem_cache_alloc(cache, GFP_KERNEL));
	kmem_cache_destroy(cache);
}

static int __init caches_init(void)
{
	objects_are_constructed_and_stay_so();
	many_objects_come_at_once();
	a_reader_keeps_what_is_freed();
	a_cache_is_made_by_either_form();
	users_of_objects_are_stored_and_forgotten();
	what_is_in_use_is_a_warning();
	return 0;
}

module_init(caches_init);
