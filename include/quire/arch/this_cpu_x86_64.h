/* SPDX-License-Identifier: MIT */
/*
 * this_cpu_x86_64.h - the sequences of arch/this_cpu.h for x86-64
 *
 * A step is one instruction.  add, and, or are one: load and commit in one, as no thread of the
 * same CPU comes between.
 *
 * Operands.  rseq is the offset of struct rseq from %fs.  The register slot holds in turn the
 * descriptor's address, the CPU number, and the number scaled: the distance from CPU 0's copy to
 * this CPU's.  What returns nothing is asm goto without outputs, and its slot is %rax; what returns
 * something says in the carry flag whether it was refused ("=@ccc").  asm goto with outputs is no
 * choice: gcc 12 is known to use an output before it is set on the taken edge.
 *
 * Labels: 88 end and 89 begin of rare code, 90 entry, 91 first and 92 one past the last instruction of the section, 93 descriptor,
 * 94 abort, 95 end, 96 refusal.  The store of rseq_cs is the instruction in front of 91:
 * interrupted before it, nothing is armed; after it, the thread is inside.  Between 92 and the
 * clearing store the kernel finds the thread outside and clears the word itself.
 *
 * No memory operands: gcc 12 (postreload) may rewrite the address of one to use a register that the
 * same asm overwrites, whether it is a clobber or an early-clobbered output.
 *
 * The words are read by plain asm without a memory operand, which a compiler may move out of a
 * loop: in a loop they cost nothing (0.10 ns of 0.58 on Zen 5).
 */
#ifndef QUIRE_ARCH_THIS_CPU_X86_64_H
#define QUIRE_ARCH_THIS_CPU_X86_64_H

#include <quire/arch/unwind_x86_64.h>

/* An instruction as AT&T and as Intel write it: the compiler takes what -masm= says. */
#define QUIRE_SEQ_I_(att, intel) "{" att "|" intel "}\n\t"

/* In struct rseq: cpu_id and rseq_cs.  The signature is the one that glibc registers with. */
#define QUIRE_SEQ_CPU_ID_    "%%fs:4(%[rseq])"
#define QUIRE_SEQ_CPU_ID_I_  "DWORD PTR fs:[%[rseq]+4]"
#define QUIRE_SEQ_CS_	     "%%fs:8(%[rseq])"
#define QUIRE_SEQ_CS_I_	     "QWORD PTR fs:[%[rseq]+8]"
#define QUIRE_SEQ_SIGNATURE_ ".byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n\t"

/* The slot's register: an operand, or the one that asm goto clobbers. */
#define QUIRE_SEQ_SLOT_	  "%[slot]"
#define QUIRE_SEQ_SLOT32_ "%k[slot]"
#define QUIRE_SEQ_RAX_	  "%%rax"
#define QUIRE_SEQ_EAX_	  "%%eax"

/*
 * Instructions with a copy: of %[slot], or of %rax.  m is the register's modifier, s the instruction's
 * suffix, and p the pointer for a width.
 */
#define QUIRE_SEQ_TO_A_(op, m, s, p)                                                               \
	QUIRE_SEQ_I_(op s " %" m "[value], (%[ptr],%%rax)",                                        \
		     op " " p " PTR [%[ptr]+rax], %" m "[value]")
#define QUIRE_SEQ_TO_(what, m, s, p)                                                               \
	QUIRE_SEQ_I_("mov" s " %" m "[" what "], (%[ptr],%[slot])",                                \
		     "mov " p " PTR [%[ptr]+%[slot]], %" m "[" what "]")
#define QUIRE_SEQ_DISARM_ QUIRE_SEQ_I_("movq $0, " QUIRE_SEQ_CS_, "mov " QUIRE_SEQ_CS_I_ ", 0")

/* The table. */
#define QUIRE_SEQ_BEGIN_(slot, slot32, slot_i, slot32_i)                                           \
	QUIRE_SEQ_I_("movl " QUIRE_SEQ_CPU_ID_ ", " slot32, /* number */                           \
		     "mov " slot32_i ", " QUIRE_SEQ_CPU_ID_I_)                                     \
	QUIRE_SEQ_I_("cmpl (%[bound]), " slot32, /* bound */                                       \
		     "cmp " slot32_i ", DWORD PTR [%[bound]]")                                     \
	"jae 96f\n\t" QUIRE_SEQ_I_("shlq $20, " slot, "shl " slot_i ", 20") /* slot */
#define QUIRE_SEQ_BEGIN_A_ QUIRE_SEQ_BEGIN_(QUIRE_SEQ_RAX_, QUIRE_SEQ_EAX_, "rax", "eax")
#define QUIRE_SEQ_BEGIN_V_                                                                         \
	QUIRE_SEQ_BEGIN_(QUIRE_SEQ_SLOT_, QUIRE_SEQ_SLOT32_, QUIRE_SEQ_SLOT_, QUIRE_SEQ_SLOT32_)

#define QUIRE_SEQ_WRITE_(m, s, p) QUIRE_SEQ_BEGIN_A_ QUIRE_SEQ_TO_A_("mov", m, s, p)
#define QUIRE_SEQ_ADD_(m, s, p)	  QUIRE_SEQ_BEGIN_A_ QUIRE_SEQ_TO_A_("add", m, s, p)
#define QUIRE_SEQ_AND_(m, s, p)	  QUIRE_SEQ_BEGIN_A_ QUIRE_SEQ_TO_A_("and", m, s, p)
#define QUIRE_SEQ_OR_(m, s, p)	  QUIRE_SEQ_BEGIN_A_ QUIRE_SEQ_TO_A_("or", m, s, p)
#define QUIRE_SEQ_ADD_IF_(m, s, p)                                                                 \
	QUIRE_SEQ_BEGIN_A_ QUIRE_SEQ_I_(                                                           \
		"cmpl %[expected], (%[guard])", /* guard */                                        \
		"cmp DWORD PTR [%[guard]], %[expected]") "jne 96f\n\t" QUIRE_SEQ_TO_A_("add", m,   \
										       s, p)

#define QUIRE_SEQ_LOAD_(m, s, p)                                                                   \
	QUIRE_SEQ_I_("mov" s " (%[ptr],%[slot]), %" m "[old]",                                     \
		     "mov %" m "[old], " p " PTR [%[ptr]+%[slot]]")
#define QUIRE_SEQ_COMMIT_(m, s, p) QUIRE_SEQ_TO_("value", m, s, p)
#define QUIRE_SEQ_READ_(m, s, p)   QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_LOAD_(m, s, p)
#define QUIRE_SEQ_ADD_RETURN_(m, s, p)                                                             \
	QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_LOAD_(m, s, p)                                                \
		QUIRE_SEQ_I_("add" s " %" m "[value], %" m "[old]",                                \
			     "add %" m "[old], %" m "[value]") QUIRE_SEQ_TO_("old", m, s, p)
#define QUIRE_SEQ_XCHG_(m, s, p)                                                                   \
	QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_LOAD_(m, s, p) QUIRE_SEQ_COMMIT_(m, s, p)
#define QUIRE_SEQ_CMPXCHG_(m, s, p)                                                                \
	QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_LOAD_(m, s, p) QUIRE_SEQ_I_(                                  \
		"cmp" s " %" m "[expected], %" m "[old]",                                          \
		"cmp %" m "[old], %" m "[expected]") "jne 92f\n\t" QUIRE_SEQ_COMMIT_(m, s, p)

/*
 * The frame around a section.  Rare code lies in a subsection, which goes where its function goes:
 * 89 begin, 88 end; at most 7 + 5, 10 and 5 or 6 bytes.
 */
#define QUIRE_SEQ_ARM_(slot, slot_i)                                                               \
	".pushsection __rseq_cs, \"aw?\"\n\t"                                                      \
	".balign 32\n\t"                                                                           \
	"93: .long 0, 0\n\t"                                                                       \
	".quad 91f, 92f - 91f, 94f\n\t"                                                            \
	".popsection\n\t"                                                                          \
	"90: " QUIRE_SEQ_I_("leaq 93b(%%rip), " slot, "lea " slot_i ", [rip+93b]") QUIRE_SEQ_I_(   \
		"movq " slot ", " QUIRE_SEQ_CS_, "mov " QUIRE_SEQ_CS_I_ ", " slot_i) "91:\n\t"
#define QUIRE_SEQ_RARE_(refuse)                                                                    \
	".subsection 1\n\t" QUIRE_RARE_ALIGN_ "89: " QUIRE_SEQ_SIGNATURE_ "94: jmp 90b\n\t"        \
	"96: " QUIRE_SEQ_DISARM_ refuse "88:\n\t"                                                  \
	".previous\n\t" QUIRE_RARE_UNWIND_("89b", "88b", "91b")

#define QUIRE_SEQ_QUIET_(steps)                                                                    \
	QUIRE_SEQ_ARM_(QUIRE_SEQ_RAX_, "rax")                                                      \
	steps "92:\n\t" QUIRE_SEQ_DISARM_ QUIRE_SEQ_RARE_("jmp %l[refused]\n\t")
/* The last test clears the carry, and leaves the slot. */
#define QUIRE_SEQ_VALUE_(steps)                                                                    \
	QUIRE_SEQ_ARM_(QUIRE_SEQ_SLOT_, QUIRE_SEQ_SLOT_)                                           \
	steps "92: " QUIRE_SEQ_I_("testl %k[slot], %k[slot]", "test %k[slot], %k[slot]")           \
		QUIRE_SEQ_DISARM_ QUIRE_SEQ_RARE_("stc\n\tjmp 95f\n\t") "95:\n\t"

/* The words, or the stand-in where they are not filled. */
QUIRE_THIS_CPU_INLINE_ uintptr_t quire_seq_rseq(const struct quire_this_cpu_words *w)
{
	uintptr_t rseq;

	QUIRE_SEQ_ASM_(
		QUIRE_SEQ_I_("movq %c[offset](%[w]), %[rseq]", "mov %[rseq], QWORD PTR "
							       "[%[w]+%c[offset]]")
			QUIRE_SEQ_I_(
				"testq %[rseq], %[rseq]",
				"test %[rseq], %[rseq]") "jz 98f\n\t"
							 "99:\n\t"
							 ".subsection 1\n\t" QUIRE_RARE_ALIGN_
							 "98: " QUIRE_SEQ_I_(
								 "leaq %c[stand_in](%[w]), %[rseq]",
								 "lea %[rseq], [%[w]+%c[stand_in]]")
								 QUIRE_SEQ_I_(
									 "subq %%fs:0, %[rseq]",
									 "sub %[rseq], QWORD PTR "
									 "fs:[0]") "jmp 99b\n\t"
										   "88:\n\t"
										   ".previous\n"
										   "\t" QUIRE_RARE_UNWIND_(
											   "98b",
											   "88b",
											   "99b")
		: [rseq] "=&r"(rseq)
		: [w] "r"(w), [offset] "i"(offsetof(struct quire_this_cpu_words, rseq_offset)),
		  [stand_in] "i"(offsetof(struct quire_this_cpu_words, no_cpu_id) - 4)
		: "cc");
	return rseq;
}

/* Where the bound is. */
QUIRE_THIS_CPU_INLINE_ const uint32_t *quire_seq_bound(const struct quire_this_cpu_words *w)
{
	const uint32_t *bound;

	QUIRE_SEQ_ASM_(QUIRE_SEQ_I_("movq %c[offset](%[w]), %[bound]",
				    "mov %[bound], QWORD PTR [%[w]+%c[offset]]")
		       : [bound] "=r"(bound)
		       : [w] "r"(w), [offset] "i"(offsetof(struct quire_this_cpu_words, bound)));
	return bound;
}

#define QUIRE_SEQ_OUTPUTS_ "=@ccc"(refused), [slot] "=&r"(slot_)
#define QUIRE_SEQ_INPUTS_                                                                          \
	[rseq] "r"(quire_seq_rseq(w)), [bound] "r"(quire_seq_bound(w)), [ptr] "r"(ptr)

#define QUIRE_SEQ_DEFINE_(bytes, type, m, s, p, imm)                                               \
	QUIRE_SEQ_DEFINE_QUIET_(write, QUIRE_SEQ_WRITE_, bytes, type, m, s, p, imm)                \
	QUIRE_SEQ_DEFINE_QUIET_(add, QUIRE_SEQ_ADD_, bytes, type, m, s, p, imm)                    \
	QUIRE_SEQ_DEFINE_QUIET_(and, QUIRE_SEQ_AND_, bytes, type, m, s, p, imm)                    \
	QUIRE_SEQ_DEFINE_QUIET_(or, QUIRE_SEQ_OR_, bytes, type, m, s, p, imm)                      \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_read_##bytes(const struct quire_this_cpu_words *w,   \
							   const volatile void *ptr, type *old)    \
	{                                                                                          \
		uintptr_t slot_;                                                                   \
		bool refused;                                                                      \
                                                                                                   \
		QUIRE_SEQ_ASM_ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_READ_(m, s, p))                 \
					: QUIRE_SEQ_OUTPUTS_, [old] "=&q"(*old)                    \
					: QUIRE_SEQ_INPUTS_                                        \
					: "memory");                                               \
		return !refused;                                                                   \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_add_return_##bytes(                                  \
		const struct quire_this_cpu_words *w, volatile void *ptr, type value, type *sum,   \
		size_t *slot)                                                                      \
	{                                                                                          \
		uintptr_t slot_;                                                                   \
		bool refused;                                                                      \
                                                                                                   \
		QUIRE_SEQ_ASM_ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_ADD_RETURN_(m, s, p))           \
					: QUIRE_SEQ_OUTPUTS_, [old] "=&q"(*sum)                    \
					: QUIRE_SEQ_INPUTS_, [value] imm(value)                    \
					: "memory");                                               \
		*slot = slot_;                                                                     \
		return !refused;                                                                   \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_xchg_##bytes(                                        \
		const struct quire_this_cpu_words *w, volatile void *ptr, type value, type *old)   \
	{                                                                                          \
		uintptr_t slot_;                                                                   \
		bool refused;                                                                      \
                                                                                                   \
		QUIRE_SEQ_ASM_ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_XCHG_(m, s, p))                 \
					: QUIRE_SEQ_OUTPUTS_, [old] "=&q"(*old)                    \
					: QUIRE_SEQ_INPUTS_, [value] imm(value)                    \
					: "memory");                                               \
		return !refused;                                                                   \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_cmpxchg_##bytes(                                     \
		const struct quire_this_cpu_words *w, volatile void *ptr, type expected,           \
		type value, type *old)                                                             \
	{                                                                                          \
		uintptr_t slot_;                                                                   \
		bool refused;                                                                      \
                                                                                                   \
		QUIRE_SEQ_ASM_ volatile(                                                           \
			QUIRE_SEQ_VALUE_(QUIRE_SEQ_CMPXCHG_(m, s, p))                              \
			: QUIRE_SEQ_OUTPUTS_, [old] "=&q"(*old)                                    \
			: QUIRE_SEQ_INPUTS_, [value] imm(value), [expected] imm(expected)          \
			: "memory");                                                               \
		return !refused;                                                                   \
	}

/* Those that return nothing. */
#define QUIRE_SEQ_DEFINE_QUIET_(op, steps, bytes, type, m, s, p, imm)                              \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_##op##_##bytes(const struct quire_this_cpu_words *w, \
							     volatile void *ptr, type value)       \
	{                                                                                          \
		QUIRE_SEQ_ASM_ goto(QUIRE_SEQ_QUIET_(steps(m, s, p))                               \
				    :                                                              \
				    : QUIRE_SEQ_INPUTS_, [value] imm(value)                        \
				    : "memory", "cc", "rax"                                        \
				    : refused);                                                    \
		return true;                                                                       \
	refused:                                                                                   \
		return false;                                                                      \
	}

QUIRE_SEQ_DEFINE_(1, uint8_t, "b", "b", "BYTE", "qi")
QUIRE_SEQ_DEFINE_(2, uint16_t, "w", "w", "WORD", "ri")
QUIRE_SEQ_DEFINE_(4, uint32_t, "k", "l", "DWORD", "ri")
QUIRE_SEQ_DEFINE_(8, uint64_t, "q", "q", "QWORD", "re")

/* add to an 8-byte copy if @guard reads @expected inside the section; else refused */
QUIRE_THIS_CPU_INLINE_ bool quire_seq_add_if(const struct quire_this_cpu_words *w,
					     volatile uint64_t *ptr, uint64_t value,
					     const volatile uint32_t *guard, uint32_t expected)
{
	QUIRE_SEQ_ASM_ goto(QUIRE_SEQ_QUIET_(QUIRE_SEQ_ADD_IF_("q", "q", "QWORD"))
			    :
			    : QUIRE_SEQ_INPUTS_, [value] "re"(value), [guard] "r"(guard),
			      [expected] "ri"(expected)
			    : "memory", "cc", "rax"
			    : refused);
	return true;
refused:
	return false;
}

#endif
