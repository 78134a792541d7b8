// SPDX-License-Identifier: MIT
/* threads.c - kernel threads, and what they wait for */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/rwsem.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include "expect.h"

static DECLARE_RWSEM(begin);
static DECLARE_COMPLETION(ended);
static DEFINE_MUTEX(mutex);
static DEFINE_SPINLOCK(spinlock);
static atomic_t left = ATOMIC_INIT(3);
static long in_mutex, in_spinlock;

static int work(void *data)
{
	down_read(&begin);
	for (int i = 0; i < 1000; i++) {
		mutex_lock(&mutex);
		in_mutex++;
		mutex_unlock(&mutex);
		spin_lock(&spinlock);
		in_spinlock++;
		spin_unlock(&spinlock);
	}
	up_read(&begin);
	if (atomic_dec_and_test(&left))
		complete(&ended);
	while (!kthread_should_stop())
		msleep(1);
	return *(int *)data;
}

static void threads_begin_together_and_are_stopped(void)
{
	struct task_struct *tasks[3];
	int results[3] = { 4, 5, 6 };

	down_write(&begin);
	for (int i = 0; i < 3; i++) {
		tasks[i] = kthread_run(work, &results[i], "work/%d", i);
		BUG_ON(IS_ERR(tasks[i]));
	}
	EXPECT(strcmp(tasks[2]->comm, "work/2") == 0);
	EXPECT_EQ(wait_for_completion_timeout(&ended, HZ / 100), 0);
	EXPECT_EQ(in_mutex, 0);
	up_write(&begin);
	wait_for_completion(&ended);
	EXPECT_EQ(in_mutex, 3000);
	EXPECT_EQ(in_spinlock, 3000);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(kthread_stop(tasks[i]), 4 + i);
	tasks[0] = kthread_create(work, NULL, "never woken");
	EXPECT_EQ(kthread_stop(tasks[0]), -EINTR);
}

static int tell_pid(void *data)
{
	*(pid_t *)data = current->pid;
	return strcmp(current->comm, "tells");
}

static void each_thread_is_a_task(void)
{
	pid_t pid = 0;
	struct task_struct *task = kthread_run(tell_pid, &pid, "tells");

	EXPECT_EQ(kthread_stop(task), 0);
	EXPECT(pid != 0 && pid != current->pid);
	EXPECT_EQ(current->pid, getpid());
	EXPECT(strncmp(current->comm, program_invocation_short_name, 15) == 0);
	EXPECT(!kthread_should_stop());
}

static void a_completion_counts_its_events(void)
{
	DECLARE_COMPLETION_ONSTACK(event);
	unsigned long rest;

	EXPECT(!completion_done(&event) && !try_wait_for_completion(&event));
	complete(&event);
	complete(&event);
	rest = wait_for_completion_timeout(&event, 1000);
	EXPECT(rest >= 1 && rest <= 1000);
	EXPECT(completion_done(&event) && try_wait_for_completion(&event));
	EXPECT(!completion_done(&event));
	complete(&event);
	EXPECT_EQ(wait_for_completion_timeout(&event, 0), 1);
	complete_all(&event);
	wait_for_completion(&event);
	EXPECT(try_wait_for_completion(&event) && completion_done(&event));
	reinit_completion(&event);
	EXPECT_EQ(wait_for_completion_timeout(&event, 1), 0);
}

static DECLARE_RWSEM(fair);

static int write_once(void *data)
{
	down_write(&fair);
	up_write(&fair);
	return *(int *)data;
}

/* Readers that try again and again are refused once the writer waits. */
static void readers_do_not_overtake_a_writer(void)
{
	int result = 8;
	struct task_struct *task;

	down_read(&fair);
	task = kthread_run(write_once, &result, "writer");
	while (down_read_trylock(&fair)) {
		up_read(&fair);
		schedule();
	}
	EXPECT(!down_write_trylock(&fair));
	up_read(&fair);
	EXPECT_EQ(kthread_stop(task), 8);
	EXPECT(down_write_trylock(&fair));
	up_write(&fair);
}

/* Each thread takes the lock in a section, and enters a section with the lock held. */
static int lock_and_enter(void *data)
{
	for (int i = 0; i < 2000; i++) {
		unsigned cpu;

		preempt_disable();
		spin_lock(&spinlock);
		spin_unlock(&spinlock);
		preempt_enable();
		spin_lock(&spinlock);
		cpu = get_cpu();
		EXPECT_EQ(smp_processor_id(), cpu);
		put_cpu();
		spin_unlock(&spinlock);
	}
	return *(int *)data;
}

static void a_spin_lock_is_a_section(void)
{
	struct task_struct *tasks[3];
	int zero = 0;

	spin_lock(&spinlock);
	EXPECT_EQ(preempt_count(), 1);
	EXPECT(!spin_trylock(&spinlock));
	EXPECT_EQ(preempt_count(), 1);
	spin_unlock(&spinlock);
	EXPECT(spin_trylock(&spinlock) && in_atomic());
	spin_unlock(&spinlock);
	EXPECT(!in_atomic());
	for (int i = 0; i < 3; i++)
		tasks[i] = kthread_run(lock_and_enter, &zero, "locks/%d", i);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(kthread_stop(tasks[i]), 0);
}

struct item {
	int number;
	struct list_head link;
};

static void lists_keep_their_order(void)
{
	LIST_HEAD(list);
	struct item items[4] = { { .number = 0 } }, *at, *next;
	int expected = 3;

	EXPECT(list_empty(&list));
	for (int i = 0; i < 4; i++) {
		items[i].number = i;
		list_add(&items[i].link, &list);
	}
	list_for_each_entry (at, &list, link)
		EXPECT_EQ(at->number, expected--);
	list_move_tail(&items[3].link, &list);
	EXPECT_EQ(list_first_entry(&list, struct item, link)->number, 2);
	EXPECT_EQ(list_last_entry(&list, struct item, link)->number, 3);
	list_for_each_entry_safe (at, next, &list, link)
		list_del_init(&at->link);
	EXPECT(list_empty(&list));
}

static void arithmetic_is_the_kernels(void)
{
	u64 n = 1000000007;
	int a = 1, b = 2;

	EXPECT_EQ(do_div(n, 10), 7);
	EXPECT_EQ(n, 100000000);
	swap(a, b);
	EXPECT_EQ(a, 2);
	EXPECT_EQ(clamp(70000, 1, (int)USHRT_MAX), 65535);
	EXPECT_EQ(min(a, b), 1);
	EXPECT_EQ(DIV_ROUND_UP(9, 4), 3);
	EXPECT_EQ(round_up(4097UL, 4096), 8192);
	EXPECT_EQ(fls(8), 4);
	EXPECT_EQ(ilog2(9), 3);
	EXPECT_EQ(roundup_pow_of_two(9), 16);
	for (int i = 0; i < 1000; i++)
		EXPECT(get_random_u32_below(10) < 10);
	EXPECT(PTR_ERR(ERR_PTR(-ENOMEM)) == -ENOMEM && IS_ERR(ERR_PTR(-ENOMEM)) && !IS_ERR(&a));
	EXPECT(ktime_us_delta(ktime_get() + 5000, ktime_get()) <= 5);
}

static int __init threads_init(void)
{
	threads_begin_together_and_are_stopped();
	each_thread_is_a_task();
	a_completion_counts_its_events();
	readers_do_not_overtake_a_writer();
	a_spin_lock_is_a_section();
	lists_keep_their_order();
	arithmetic_is_the_kernels();
	return 0;
}

module_init(threads_init);
