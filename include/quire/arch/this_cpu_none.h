/* SPDX-License-Identifier: MIT */
/* this_cpu_none.h - no sequences in this build: each refuses, and the library is called */
#ifndef QUIRE_ARCH_THIS_CPU_NONE_H
#define QUIRE_ARCH_THIS_CPU_NONE_H

#define QUIRE_SEQ_UNUSED_(a, b) ((void)(a), (void)(b))

#define QUIRE_SEQ_DEFINE_(bytes, type)                                                             \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_read_##bytes(const struct quire_this_cpu_words *w,   \
							   const volatile void *ptr, type *old)    \
	{                                                                                          \
		QUIRE_SEQ_UNUSED_(w, ptr);                                                         \
		*old = 0;                                                                          \
		return false;                                                                      \
	}                                                                                          \
	QUIRE_SEQ_DEFINE_QUIET_(write, bytes, type)                                                \
	QUIRE_SEQ_DEFINE_QUIET_(add, bytes, type)                                                  \
	QUIRE_SEQ_DEFINE_QUIET_(and, bytes, type)                                                  \
	QUIRE_SEQ_DEFINE_QUIET_(or, bytes, type)                                                   \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_add_return_##bytes(                                  \
		const struct quire_this_cpu_words *w, volatile void *ptr, type value, type *sum,   \
		size_t *slot)                                                                      \
	{                                                                                          \
		QUIRE_SEQ_UNUSED_(w, ptr);                                                         \
		*sum = value;                                                                      \
		*slot = 0;                                                                         \
		return false;                                                                      \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_xchg_##bytes(                                        \
		const struct quire_this_cpu_words *w, volatile void *ptr, type value, type *old)   \
	{                                                                                          \
		QUIRE_SEQ_UNUSED_(w, ptr);                                                         \
		*old = value;                                                                      \
		return false;                                                                      \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_cmpxchg_##bytes(                                     \
		const struct quire_this_cpu_words *w, volatile void *ptr, type expected,           \
		type value, type *old)                                                             \
	{                                                                                          \
		QUIRE_SEQ_UNUSED_(w, ptr);                                                         \
		QUIRE_SEQ_UNUSED_(expected, value);                                                \
		*old = 0;                                                                          \
		return false;                                                                      \
	}

#define QUIRE_SEQ_DEFINE_QUIET_(op, bytes, type)                                                   \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_##op##_##bytes(const struct quire_this_cpu_words *w, \
							     volatile void *ptr, type value)       \
	{                                                                                          \
		QUIRE_SEQ_UNUSED_(w, ptr);                                                         \
		(void)value;                                                                       \
		return false;                                                                      \
	}

QUIRE_SEQ_DEFINE_(1, uint8_t)
QUIRE_SEQ_DEFINE_(2, uint16_t)
QUIRE_SEQ_DEFINE_(4, uint32_t)
QUIRE_SEQ_DEFINE_(8, uint64_t)

/* add to an 8-byte copy if @guard reads @expected inside the section; here: refused */
QUIRE_THIS_CPU_INLINE_ bool quire_seq_add_if(const struct quire_this_cpu_words *w,
					     volatile uint64_t *ptr, uint64_t value,
					     const volatile uint32_t *guard, uint32_t expected)
{
	QUIRE_SEQ_UNUSED_(w, ptr);
	QUIRE_SEQ_UNUSED_(guard, expected);
	(void)value;
	return false;
}

#endif
