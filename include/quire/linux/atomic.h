/* SPDX-License-Identifier: MIT */
/* linux/atomic.h - the kernel's atomic integers: what returns a value is ordered both ways, the rest is not */
#ifndef QUIRE_LINUX_ATOMIC_H
#define QUIRE_LINUX_ATOMIC_H

#include <linux/types.h>

/* clang-format off */
#define ATOMIC_INIT(n)	    { (n) }
#define ATOMIC64_INIT(n)    { (n) }
#define ATOMIC_LONG_INIT(n) { (n) }
/* clang-format on */

#define QUIRE_LINUX_ATOMIC_(name, struct_type, type)                                               \
	static inline type name##_read(const struct_type *v)                                       \
	{                                                                                          \
		return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);                             \
	}                                                                                          \
	static inline type name##_read_acquire(const struct_type *v)                               \
	{                                                                                          \
		return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE);                             \
	}                                                                                          \
	static inline void name##_set(struct_type *v, type value)                                  \
	{                                                                                          \
		__atomic_store_n(&v->counter, value, __ATOMIC_RELAXED);                            \
	}                                                                                          \
	static inline void name##_set_release(struct_type *v, type value)                          \
	{                                                                                          \
		__atomic_store_n(&v->counter, value, __ATOMIC_RELEASE);                            \
	}                                                                                          \
	static inline void name##_add(type amount, struct_type *v)                                 \
	{                                                                                          \
		(void)__atomic_fetch_add(&v->counter, amount, __ATOMIC_RELAXED);                   \
	}                                                                                          \
	static inline void name##_sub(type amount, struct_type *v)                                 \
	{                                                                                          \
		(void)__atomic_fetch_sub(&v->counter, amount, __ATOMIC_RELAXED);                   \
	}                                                                                          \
	static inline void name##_inc(struct_type *v)                                              \
	{                                                                                          \
		name##_add(1, v);                                                                  \
	}                                                                                          \
	static inline void name##_dec(struct_type *v)                                              \
	{                                                                                          \
		name##_sub(1, v);                                                                  \
	}                                                                                          \
	static inline type name##_fetch_add(type amount, struct_type *v)                           \
	{                                                                                          \
		return __atomic_fetch_add(&v->counter, amount, __ATOMIC_SEQ_CST);                  \
	}                                                                                          \
	static inline type name##_fetch_sub(type amount, struct_type *v)                           \
	{                                                                                          \
		return __atomic_fetch_sub(&v->counter, amount, __ATOMIC_SEQ_CST);                  \
	}                                                                                          \
	static inline type name##_add_return(type amount, struct_type *v)                          \
	{                                                                                          \
		return __atomic_add_fetch(&v->counter, amount, __ATOMIC_SEQ_CST);                  \
	}                                                                                          \
	static inline type name##_sub_return(type amount, struct_type *v)                          \
	{                                                                                          \
		return __atomic_sub_fetch(&v->counter, amount, __ATOMIC_SEQ_CST);                  \
	}                                                                                          \
	static inline type name##_inc_return(struct_type *v)                                       \
	{                                                                                          \
		return name##_add_return(1, v);                                                    \
	}                                                                                          \
	static inline type name##_dec_return(struct_type *v)                                       \
	{                                                                                          \
		return name##_sub_return(1, v);                                                    \
	}                                                                                          \
	static inline bool name##_inc_and_test(struct_type *v)                                     \
	{                                                                                          \
		return name##_inc_return(v) == 0;                                                  \
	}                                                                                          \
	static inline bool name##_dec_and_test(struct_type *v)                                     \
	{                                                                                          \
		return name##_dec_return(v) == 0;                                                  \
	}                                                                                          \
	static inline bool name##_sub_and_test(type amount, struct_type *v)                        \
	{                                                                                          \
		return name##_sub_return(amount, v) == 0;                                          \
	}                                                                                          \
	static inline type name##_xchg(struct_type *v, type value)                                 \
	{                                                                                          \
		return __atomic_exchange_n(&v->counter, value, __ATOMIC_SEQ_CST);                  \
	}                                                                                          \
	static inline bool name##_try_cmpxchg(struct_type *v, type *old, type value)               \
	{                                                                                          \
		return __atomic_compare_exchange_n(&v->counter, old, value, false,                 \
						   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);            \
	}                                                                                          \
	static inline type name##_cmpxchg(struct_type *v, type old, type value)                    \
	{                                                                                          \
		(void)name##_try_cmpxchg(v, &old, value);                                          \
		return old;                                                                        \
	}                                                                                          \
	static inline bool name##_add_unless(struct_type *v, type amount, type unless)             \
	{                                                                                          \
		type old = name##_read(v);                                                         \
                                                                                                   \
		do {                                                                               \
			if (old == unless)                                                         \
				return false;                                                      \
		} while (!name##_try_cmpxchg(v, &old, old + amount));                              \
		return true;                                                                       \
	}                                                                                          \
	static inline bool name##_inc_not_zero(struct_type *v)                                     \
	{                                                                                          \
		return name##_add_unless(v, 1, 0);                                                 \
	}

QUIRE_LINUX_ATOMIC_(atomic, atomic_t, int)
QUIRE_LINUX_ATOMIC_(atomic64, atomic64_t, int64_t)
QUIRE_LINUX_ATOMIC_(atomic_long, atomic_long_t, long)

#define smp_mb()		      __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()		      __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()		      __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_load_acquire(ptr)	      __atomic_load_n(ptr, __ATOMIC_ACQUIRE)
#define smp_store_release(ptr, value) __atomic_store_n(ptr, value, __ATOMIC_RELEASE)

#endif
