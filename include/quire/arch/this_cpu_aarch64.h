/* SPDX-License-Identifier: MIT */
/*
 * this_cpu_aarch64.h - the sequences of arch/this_cpu.h for aarch64
 *
 * As this_cpu_x86_64.h, in which the frame and its labels are explained, with these differences:
 * add, and, or are a load and a commit; struct rseq's address is made from the thread pointer in
 * each sequence; what returns something says in the lowest bit of its slot whether it was refused.
 * Rare code lies behind a branch in the midst of the function, where the function's unwind data
 * reaches: x86-64's way around needs %rip as a register.  A conditional branch reaches it, too.
 */
#ifndef QUIRE_ARCH_THIS_CPU_AARCH64_H
#define QUIRE_ARCH_THIS_CPU_AARCH64_H

/* The signature that glibc registers with: brk #0x45e0. */
#define QUIRE_SEQ_SIGNATURE_ ".inst 0xd428bc00\n\t"

#define QUIRE_SEQ_RSEQ_A_ "x9"
#define QUIRE_SEQ_SLOT_A_ "x10"
#define QUIRE_SEQ_OLD_A_  "11"

/* Arms the section, and begins it: number, bound, slot. */
#define QUIRE_SEQ_ARM_(rseq_reg, slot, slot32, free32)                                             \
	".pushsection __rseq_cs, \"aw?\"\n\t"                                                      \
	".balign 32\n\t"                                                                           \
	"93: .long 0, 0\n\t"                                                                       \
	".quad 91f, 92f - 91f, 94f\n\t"                                                            \
	".popsection\n\t"                                                                          \
	"90: mrs " rseq_reg ", tpidr_el0\n\t"                                                      \
	"add " rseq_reg ", " rseq_reg ", %[rseq]\n\t"                                              \
	"adrp " slot ", 93b\n\t"                                                                   \
	"add " slot ", " slot ", :lo12:93b\n\t"                                                    \
	"str " slot ", [" rseq_reg ", #8]\n\t"                                                     \
	"91: ldr " slot32 ", [" rseq_reg ", #4]\n\t" /* number */                                  \
	"ldr " free32 ", [%[bound]]\n\t"	     /* bound */                                   \
	"cmp " slot32 ", " free32 "\n\t"                                                           \
	"b.hs 96f\n\t"                                                                             \
	"lsl " slot ", " slot ", #20\n\t" /* slot */
#define QUIRE_SEQ_END_(rseq_reg, refuse)                                                           \
	"92: str xzr, [" rseq_reg ", #8]\n\t"                                                      \
	"b 95f\n\t" QUIRE_SEQ_SIGNATURE_ "94: b 90b\n\t"                                           \
	"96: str xzr, [" rseq_reg ", #8]\n\t" refuse "95:\n\t"

#define QUIRE_SEQ_QUIET_(steps)                                                                    \
	QUIRE_SEQ_ARM_(QUIRE_SEQ_RSEQ_A_, QUIRE_SEQ_SLOT_A_, "w10", "w11")                         \
	steps QUIRE_SEQ_END_(QUIRE_SEQ_RSEQ_A_, "b %l[refused]\n\t")
#define QUIRE_SEQ_VALUE_(steps)                                                                    \
	QUIRE_SEQ_ARM_("%[area]", "%[slot]", "%w[slot]", "%w[old]")                                \
	steps QUIRE_SEQ_END_("%[area]", "mov %[slot], #1\n\t")

/* The table.  m is the registers' kind, s the instruction's suffix, x the extension of a width. */
#define QUIRE_SEQ_COPY_A_	", [%[ptr], x10]\n\t"
#define QUIRE_SEQ_COPY_		", [%[ptr], %[slot]]\n\t"
#define QUIRE_SEQ_LOAD_A_(m, s) "ldr" s " " m QUIRE_SEQ_OLD_A_ QUIRE_SEQ_COPY_A_
#define QUIRE_SEQ_CHANGE_(op, m, s)                                                                \
	QUIRE_SEQ_LOAD_A_(m, s)                                                                    \
	op " " m QUIRE_SEQ_OLD_A_ ", " m QUIRE_SEQ_OLD_A_ ", %" m "[value]\n\t"                    \
	   "str" s " " m QUIRE_SEQ_OLD_A_ QUIRE_SEQ_COPY_A_
#define QUIRE_SEQ_WRITE_(m, s) "str" s " %" m "[value]" QUIRE_SEQ_COPY_A_
#define QUIRE_SEQ_ADD_(m, s)   QUIRE_SEQ_CHANGE_("add", m, s)
#define QUIRE_SEQ_AND_(m, s)   QUIRE_SEQ_CHANGE_("and", m, s)
#define QUIRE_SEQ_OR_(m, s)    QUIRE_SEQ_CHANGE_("orr", m, s)
#define QUIRE_SEQ_ADD_IF_                                                                          \
	"ldar w11, [%[guard]]\n\t" /* guard, before the copy */                                    \
	"cmp w11, %w[expected]\n\t"                                                                \
	"b.ne 96f\n\t" QUIRE_SEQ_ADD_("x", "")

#define QUIRE_SEQ_LOAD_(m, s)	"ldr" s " %" m "[old]" QUIRE_SEQ_COPY_
#define QUIRE_SEQ_COMMIT_(m, s) "str" s " %" m "[value]" QUIRE_SEQ_COPY_
#define QUIRE_SEQ_READ_(m, s)	QUIRE_SEQ_LOAD_(m, s)
#define QUIRE_SEQ_ADD_RETURN_(m, s)                                                                \
	QUIRE_SEQ_LOAD_(m, s)                                                                      \
	"add %" m "[old], %" m "[old], %" m "[value]\n\t"                                          \
	"str" s " %" m "[old]" QUIRE_SEQ_COPY_
#define QUIRE_SEQ_XCHG_(m, s) QUIRE_SEQ_LOAD_(m, s) QUIRE_SEQ_COMMIT_(m, s)
#define QUIRE_SEQ_CMPXCHG_(m, s, x)                                                                \
	QUIRE_SEQ_LOAD_(m, s)                                                                      \
	"cmp %" m "[old], %" m "[expected]" x "\n\t"                                               \
	"b.ne 92f\n\t" QUIRE_SEQ_COMMIT_(m, s)

/* The words, or the stand-in where they are not filled. */
QUIRE_THIS_CPU_INLINE_ uintptr_t quire_seq_rseq(const struct quire_this_cpu_words *w)
{
	uintptr_t rseq, thread;

	__asm__("ldr %[rseq], [%[w], %[offset]]\n\t"
		"cbnz %[rseq], 99f\n\t"
		"mrs %[thread], tpidr_el0\n\t"
		"add %[rseq], %[w], %[stand_in]\n\t"
		"sub %[rseq], %[rseq], %[thread]\n\t"
		"99:\n\t"
		: [rseq] "=&r"(rseq), [thread] "=&r"(thread)
		: [w] "r"(w), [offset] "i"(offsetof(struct quire_this_cpu_words, rseq_offset)),
		  [stand_in] "i"(offsetof(struct quire_this_cpu_words, no_cpu_id) - 4));
	return rseq;
}

/* Where the bound is. */
QUIRE_THIS_CPU_INLINE_ const uint32_t *quire_seq_bound(const struct quire_this_cpu_words *w)
{
	const uint32_t *bound;

	__asm__("ldr %[bound], [%[w], %[offset]]"
		: [bound] "=r"(bound)
		: [w] "r"(w), [offset] "i"(offsetof(struct quire_this_cpu_words, bound)));
	return bound;
}

#define QUIRE_SEQ_OUTPUTS_ [area] "=&r"(area), [slot] "=&r"(slot_)
#define QUIRE_SEQ_INPUTS_                                                                          \
	[rseq] "r"(quire_seq_rseq(w)), [bound] "r"(quire_seq_bound(w)), [ptr] "r"(ptr)

#define QUIRE_SEQ_DEFINE_(bytes, type, m, s, x)                                                    \
	QUIRE_SEQ_DEFINE_QUIET_(write, QUIRE_SEQ_WRITE_, bytes, type, m, s)                        \
	QUIRE_SEQ_DEFINE_QUIET_(add, QUIRE_SEQ_ADD_, bytes, type, m, s)                            \
	QUIRE_SEQ_DEFINE_QUIET_(and, QUIRE_SEQ_AND_, bytes, type, m, s)                            \
	QUIRE_SEQ_DEFINE_QUIET_(or, QUIRE_SEQ_OR_, bytes, type, m, s)                              \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_read_##bytes(const struct quire_this_cpu_words *w,   \
							   const volatile void *ptr, type *old)    \
	{                                                                                          \
		uintptr_t area, slot_;                                                             \
                                                                                                   \
		__asm__ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_READ_(m, s))                           \
				 : QUIRE_SEQ_OUTPUTS_, [old] "=&r"(*old)                           \
				 : QUIRE_SEQ_INPUTS_                                               \
				 : "memory", "cc");                                                \
		return (slot_ & 1) == 0;                                                           \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_add_return_##bytes(                                  \
		const struct quire_this_cpu_words *w, volatile void *ptr, type value, type *sum,   \
		size_t *slot)                                                                      \
	{                                                                                          \
		uintptr_t area, slot_;                                                             \
                                                                                                   \
		__asm__ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_ADD_RETURN_(m, s))                     \
				 : QUIRE_SEQ_OUTPUTS_, [old] "=&r"(*sum)                           \
				 : QUIRE_SEQ_INPUTS_, [value] "r"(value)                           \
				 : "memory", "cc");                                                \
		*slot = slot_;                                                                     \
		return (slot_ & 1) == 0;                                                           \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_xchg_##bytes(                                        \
		const struct quire_this_cpu_words *w, volatile void *ptr, type value, type *old)   \
	{                                                                                          \
		uintptr_t area, slot_;                                                             \
                                                                                                   \
		__asm__ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_XCHG_(m, s))                           \
				 : QUIRE_SEQ_OUTPUTS_, [old] "=&r"(*old)                           \
				 : QUIRE_SEQ_INPUTS_, [value] "r"(value)                           \
				 : "memory", "cc");                                                \
		return (slot_ & 1) == 0;                                                           \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_cmpxchg_##bytes(                                     \
		const struct quire_this_cpu_words *w, volatile void *ptr, type expected,           \
		type value, type *old)                                                             \
	{                                                                                          \
		uintptr_t area, slot_;                                                             \
                                                                                                   \
		__asm__ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_CMPXCHG_(m, s, x))                     \
				 : QUIRE_SEQ_OUTPUTS_, [old] "=&r"(*old)                           \
				 : QUIRE_SEQ_INPUTS_, [value] "r"(value), [expected] "r"(expected) \
				 : "memory", "cc");                                                \
		return (slot_ & 1) == 0;                                                           \
	}

/* Those that return nothing. */
#define QUIRE_SEQ_DEFINE_QUIET_(op, steps, bytes, type, m, s)                                      \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_##op##_##bytes(const struct quire_this_cpu_words *w, \
							     volatile void *ptr, type value)       \
	{                                                                                          \
		__asm__ goto(QUIRE_SEQ_QUIET_(steps(m, s))                                         \
			     :                                                                     \
			     : QUIRE_SEQ_INPUTS_, [value] "r"(value)                               \
			     : "memory", "cc", "x9", "x10", "x11"                                  \
			     : refused);                                                           \
		return true;                                                                       \
	refused:                                                                                   \
		return false;                                                                      \
	}

QUIRE_SEQ_DEFINE_(1, uint8_t, "w", "b", ", uxtb")
QUIRE_SEQ_DEFINE_(2, uint16_t, "w", "h", ", uxth")
QUIRE_SEQ_DEFINE_(4, uint32_t, "w", "", "")
QUIRE_SEQ_DEFINE_(8, uint64_t, "x", "", "")

/* add to an 8-byte copy if @guard reads @expected inside the section; else refused */
QUIRE_THIS_CPU_INLINE_ bool quire_seq_add_if(const struct quire_this_cpu_words *w,
					     volatile uint64_t *ptr, uint64_t value,
					     const volatile uint32_t *guard, uint32_t expected)
{
	__asm__ goto(QUIRE_SEQ_QUIET_(QUIRE_SEQ_ADD_IF_)
		     :
		     : QUIRE_SEQ_INPUTS_, [value] "r"(value), [guard] "r"(guard),
		       [expected] "r"(expected)
		     : "memory", "cc", "x9", "x10", "x11"
		     : refused);
	return true;
refused:
	return false;
}

#endif
