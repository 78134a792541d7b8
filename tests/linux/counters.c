// SPDX-License-Identifier: MIT
/* counters.c - percpu_counter and percpu_ref as parts of a module's structs */
#include <linux/module.h>
#include <linux/percpu-refcount.h>
#include <linux/percpu_counter.h>

#include "expect.h"

struct quota {
	int id;
	struct percpu_counter used;
};

static void a_counter_counts_by_each_call(void)
{
	struct quota quota = { .id = 3 };

	EXPECT(!percpu_counter_initialized(&quota.used));
	EXPECT_EQ(percpu_counter_init(&quota.used, 10, GFP_KERNEL), 0);
	EXPECT(percpu_counter_initialized(&quota.used));
	percpu_counter_add(&quota.used, 5);
	percpu_counter_sub(&quota.used, 8);
	percpu_counter_inc(&quota.used);
	percpu_counter_dec(&quota.used);
	percpu_counter_dec(&quota.used);
	EXPECT_EQ(percpu_counter_sum(&quota.used), 6);
	percpu_counter_add_local(&quota.used, 1000);
	percpu_counter_sub_local(&quota.used, 999);
	EXPECT_EQ(percpu_counter_sum(&quota.used), 7);
	percpu_counter_add_batch(&quota.used, 3, 1);
	EXPECT_EQ(percpu_counter_compare(&quota.used, 10), 0);
	percpu_counter_sync(&quota.used);
	percpu_counter_add_batch(&quota.used, 2, 0);
	percpu_counter_add_batch(&quota.used, -2, -5);
	EXPECT_EQ(percpu_counter_read(&quota.used), 10);
	EXPECT(!percpu_counter_limited_add(&quota.used, 12, 3));
	EXPECT(percpu_counter_limited_add(&quota.used, 12, 2));
	percpu_counter_set(&quota.used, -4);
	EXPECT_EQ(percpu_counter_read(&quota.used), -4);
	EXPECT_EQ(percpu_counter_read_positive(&quota.used), 0);
	EXPECT_EQ(percpu_counter_sum_positive(&quota.used), 0);
	percpu_counter_destroy(&quota.used);
	EXPECT(!percpu_counter_initialized(&quota.used));
}

static void many_counters_are_made_together(void)
{
	static struct percpu_counter counters[4];

	EXPECT_EQ(percpu_counter_init_many(counters, 2, GFP_KERNEL, ARRAY_SIZE(counters)), 0);
	percpu_counter_inc(&counters[3]);
	EXPECT_EQ(percpu_counter_sum(&counters[0]), 2);
	EXPECT_EQ(percpu_counter_sum(&counters[3]), 3);
	percpu_counter_destroy_many(counters, ARRAY_SIZE(counters));
	EXPECT(!percpu_counter_initialized(&counters[3]));
}

struct queue {
	struct percpu_ref users;
	unsigned released, confirmed;
};

static void release_queue(struct percpu_ref *ref)
{
	container_of(ref, struct queue, users)->released++;
}

static void confirm_queue(struct percpu_ref *ref)
{
	struct queue *queue = container_of(ref, struct queue, users);

	EXPECT(!percpu_ref_tryget_live(ref) || !percpu_ref_is_dying(ref));
	if (!percpu_ref_is_dying(ref))
		percpu_ref_put(ref); /* that tryget_live() took */
	queue->confirmed++;
}

static void a_reference_is_killed_confirmed_and_revived(void)
{
	struct queue queue = { .released = 0 };

	EXPECT_EQ(percpu_ref_init(&queue.users, release_queue, PERCPU_REF_ALLOW_REINIT, GFP_KERNEL),
		  0);
	percpu_ref_get(&queue.users);
	percpu_ref_switch_to_atomic(&queue.users, confirm_queue);
	EXPECT_EQ(queue.confirmed, 1);
	EXPECT(percpu_ref_tryget_many(&queue.users, 3));
	percpu_ref_switch_to_percpu(&queue.users);
	percpu_ref_kill_and_confirm(&queue.users, confirm_queue);
	EXPECT_EQ(queue.confirmed, 2);
	percpu_ref_put_many(&queue.users, 3);
	EXPECT(!percpu_ref_is_zero(&queue.users));
	percpu_ref_put(&queue.users);
	EXPECT_EQ(queue.released, 1);
	EXPECT(percpu_ref_is_zero(&queue.users) && percpu_ref_is_dying(&queue.users));
	EXPECT(!percpu_ref_tryget_many(&queue.users, 2));
	percpu_ref_reinit(&queue.users);
	EXPECT(percpu_ref_tryget_live(&queue.users));
	percpu_ref_put(&queue.users);
	percpu_ref_kill(&queue.users);
	EXPECT_EQ(queue.released, 2);
	percpu_ref_exit(&queue.users);
}

static int __init counters_init(void)
{
	a_counter_counts_by_each_call();
	many_counters_are_made_together();
	a_reference_is_killed_confirmed_and_revived();
	return 0;
}

module_init(counters_init);
