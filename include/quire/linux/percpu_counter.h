/* SPDX-License-Identifier: MIT */
/*
 * linux/percpu_counter.h - counters: those of quire/percpu_counter.h by the kernel's names
 *
 * struct percpu_counter is struct quire_percpu_counter, so that it can be part of any other.
 */
#ifndef QUIRE_LINUX_PERCPU_COUNTER_H
#define QUIRE_LINUX_PERCPU_COUNTER_H

#include <linux/gfp_types.h>
#include <linux/percpu.h>

#include <quire/percpu_counter.h>

#define percpu_counter quire_percpu_counter

struct lock_class_key;

static inline int percpu_counter_init(struct percpu_counter *counter, s64 amount, gfp_t gfp)
{
	unsigned flags = quire_linux_flags_(gfp & ~__GFP_ZERO);

	return quire_percpu_counter_init(quire_default(), counter, amount, flags);
}

static inline void percpu_counter_destroy(struct percpu_counter *counter)
{
	quire_percpu_counter_destroy(counter);
}

static inline void percpu_counter_destroy_many(struct percpu_counter *counters, u32 count)
{
	for (u32 i = 0; i < count; i++)
		percpu_counter_destroy(&counters[i]);
}

/* All or none. */
static inline int percpu_counter_init_many(struct percpu_counter *counters, s64 amount, gfp_t gfp,
					   u32 count)
{
	for (u32 i = 0; i < count; i++) {
		int error = percpu_counter_init(&counters[i], amount, gfp);

		if (error != 0) {
			percpu_counter_destroy_many(counters, i);
			return error;
		}
	}
	return 0;
}

static inline void percpu_counter_add(struct percpu_counter *counter, s64 amount)
{
	quire_percpu_counter_add(counter, amount);
}

static inline void percpu_counter_sub(struct percpu_counter *counter, s64 amount)
{
	quire_percpu_counter_add(counter, -amount);
}

static inline void percpu_counter_inc(struct percpu_counter *counter)
{
	quire_percpu_counter_add(counter, 1);
}

static inline void percpu_counter_dec(struct percpu_counter *counter)
{
	quire_percpu_counter_add(counter, -1);
}

/* A batch below 1 is as 1: each amount is told at once. */
static inline void percpu_counter_add_batch(struct percpu_counter *counter, s64 amount, s32 batch)
{
	quire_percpu_counter_add_batch(counter, amount, batch < 1 ? 1 : (u32)batch);
}

/* Told only after 2^31: for counts that are read as sums. */
static inline void percpu_counter_add_local(struct percpu_counter *counter, s64 amount)
{
	quire_percpu_counter_add_batch(counter, amount, UINT32_C(1) << 31);
}

static inline void percpu_counter_sub_local(struct percpu_counter *counter, s64 amount)
{
	percpu_counter_add_local(counter, -amount);
}

static inline bool percpu_counter_limited_add(struct percpu_counter *counter, s64 limit, s64 amount)
{
	return quire_percpu_counter_limited_add(counter, limit, amount);
}

static inline s64 percpu_counter_read(struct percpu_counter *counter)
{
	return quire_percpu_counter_read(counter);
}

static inline s64 percpu_counter_sum(struct percpu_counter *counter)
{
	return quire_percpu_counter_sum(counter);
}

/* Of a count that is never negative, which a read may be. */
static inline s64 percpu_counter_read_positive(struct percpu_counter *counter)
{
	return max_t(s64, percpu_counter_read(counter), 0);
}

static inline s64 percpu_counter_sum_positive(struct percpu_counter *counter)
{
	return max_t(s64, percpu_counter_sum(counter), 0);
}

#define __percpu_counter_sum(counter)	percpu_counter_sum(counter)
#define percpu_counter_sum_all(counter) percpu_counter_sum(counter)

static inline void percpu_counter_set(struct percpu_counter *counter, s64 amount)
{
	quire_percpu_counter_set(counter, amount);
}

static inline void percpu_counter_sync(struct percpu_counter *counter)
{
	quire_percpu_counter_sync(counter);
}

static inline int percpu_counter_compare(struct percpu_counter *counter, s64 other)
{
	return quire_percpu_counter_compare(counter, other);
}

/* The library knows the largest batch that was used. */
static inline int __percpu_counter_compare(struct percpu_counter *counter, s64 other, s32 batch)
{
	(void)batch;
	return percpu_counter_compare(counter, other);
}

/* Whether init filled it: all zero is no counter. */
static inline bool percpu_counter_initialized(struct percpu_counter *counter)
{
	static const struct percpu_counter none;

	return __builtin_memcmp(counter, &none, sizeof(none)) != 0;
}

#endif
