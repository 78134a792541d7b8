// SPDX-License-Identifier: MIT
/* percpu_arithmetic.c - operations: what C would make of the operands, and each result */
#include <linux/module.h>
#include <linux/percpu.h>

#include "expect.h"

static DEFINE_PER_CPU(long, wide);
static DEFINE_PER_CPU(unsigned long, wide_unsigned);
static DEFINE_PER_CPU(short, narrow);
static DEFINE_PER_CPU(u8, bits);
static DEFINE_PER_CPU(void *, head);

/* A program computes as the kernel does: with the variable's type, whatever the operand's is. */
static void unsigned_operands_are_widened_as_in_c(void)
{
	volatile unsigned one = 1;

	this_cpu_write(wide, 0);
	this_cpu_sub(wide, one);
	EXPECT_EQ(this_cpu_read(wide), -1);
	this_cpu_write(wide, 0);
	__this_cpu_add(wide, -one);
	EXPECT_EQ(__this_cpu_read(wide), 0xffffffffLL);
	raw_cpu_write(wide_unsigned, 0);
	raw_cpu_sub(wide_unsigned, one);
	EXPECT(raw_cpu_read(wide_unsigned) == ULONG_MAX);
	this_cpu_write(wide_unsigned, 3);
	EXPECT_EQ(this_cpu_sub_return(wide_unsigned, one), 2);
	EXPECT_EQ(__this_cpu_sub_return(wide_unsigned, one), 1);
	EXPECT_EQ(raw_cpu_dec_return(wide_unsigned), 0);
	EXPECT(this_cpu_dec_return(wide_unsigned) == ULONG_MAX);
}

static void narrow_ones_wrap_around(void)
{
	this_cpu_write(narrow, 32767);
	EXPECT_EQ(this_cpu_inc_return(narrow), -32768);
	this_cpu_dec(narrow);
	EXPECT_EQ(this_cpu_read(narrow), 32767);
	this_cpu_write(bits, 0xf0);
	this_cpu_or(bits, 0x11);
	this_cpu_and(bits, 0x3f);
	EXPECT_EQ(this_cpu_read(bits), 0x31);
	EXPECT_EQ(this_cpu_add_return(bits, 0xff), 0x30);
}

static void exchanges_tell_the_old_value(void)
{
	void *first = &wide, *second = &narrow, *old = NULL;

	this_cpu_write(head, first);
	EXPECT(this_cpu_xchg(head, second) == first);
	EXPECT(this_cpu_cmpxchg(head, first, NULL) == second);
	EXPECT(this_cpu_cmpxchg(head, second, first) == second);
	EXPECT(!this_cpu_try_cmpxchg(head, &old, second));
	EXPECT(old == first);
	EXPECT(this_cpu_try_cmpxchg(head, &old, second));
	EXPECT(old == first && this_cpu_read(head) == second);
}

struct free_list {
	void *first;
	unsigned long version;
} __aligned(16);

static DEFINE_PER_CPU(struct free_list, free_list);
static DEFINE_PER_CPU(u128, wide_word);

static void pairs_are_exchanged_at_once(void)
{
	void *object = &wide;
	u128 old = 1;

	EXPECT(!this_cpu_cmpxchg_double(free_list.first, free_list.version, NULL, 1, object, 2));
	EXPECT(!this_cpu_cmpxchg_double(free_list.first, free_list.version, object, 0, object, 2));
	EXPECT(this_cpu_read(free_list.first) == NULL && this_cpu_read(free_list.version) == 0);
	EXPECT(this_cpu_cmpxchg_double(free_list.first, free_list.version, NULL, 0, object, -1));
	EXPECT(this_cpu_read(free_list.first) == object);
	EXPECT(this_cpu_read(free_list.version) == ULONG_MAX);
	EXPECT(!this_cpu_try_cmpxchg128(wide_word, &old, 5) && old == 0);
	EXPECT(this_cpu_try_cmpxchg128(wide_word, &old, (u128)7 << 64));
	EXPECT(this_cpu_cmpxchg128(wide_word, (u128)7 << 64, 1) == (u128)7 << 64);
	EXPECT(this_cpu_cmpxchg128(wide_word, 0, 2) == 1);
}

static void objects_are_operated_on_as_variables_are(void)
{
	struct {
		int hits[3];
	} __percpu *stats = __alloc_percpu_gfp(sizeof(*stats), 8, GFP_KERNEL | __GFP_ZERO);
	unsigned cpu;
	int sum = 0;

	BUG_ON(stats == NULL);
	for (int i = 0; i < 10; i++)
		this_cpu_add(stats->hits[1], i);
	for_each_possible_cpu (cpu)
		sum += per_cpu_ptr(stats, cpu)->hits[1];
	EXPECT_EQ(sum, 45);
	EXPECT_EQ(pcpu_alloc_size(stats), 16);
	free_percpu(stats);
	EXPECT(__alloc_percpu(PCPU_MIN_UNIT_SIZE + 1, 8) == NULL);
}

static int __init arithmetic_init(void)
{
	preempt_disable();
	unsigned_operands_are_widened_as_in_c();
	narrow_ones_wrap_around();
	exchanges_tell_the_old_value();
	pairs_are_exchanged_at_once();
	preempt_enable();
	objects_are_operated_on_as_variables_are();
	return -EAGAIN;
}

module_init(arithmetic_init)

	MODULE_LICENSE("Dual MIT/GPL");
