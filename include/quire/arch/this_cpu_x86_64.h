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
 * Labels: 90 entry, 91 first and 92 one past the last instruction of the section, 93 descriptor,
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

/* In struct rseq: cpu_id and rseq_cs.  The signature is the one that glibc registers with. */
#define QUIRE_SEQ_CPU_ID_    "%%fs:4(%[rseq])"
#define QUIRE_SEQ_CS_	     "%%fs:8(%[rseq])"
#define QUIRE_SEQ_SIGNATURE_ ".byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n\t"

/* The slot's register: an operand, or the one that asm goto clobbers. */
#define QUIRE_SEQ_SLOT_	  "%[slot]"
#define QUIRE_SEQ_SLOT32_ "%k[slot]"
#define QUIRE_SEQ_RAX_	  "%%rax"
#define QUIRE_SEQ_EAX_	  "%%eax"
#define QUIRE_SEQ_COPY_	  "(%[ptr],%[slot])"
#define QUIRE_SEQ_COPY_A_ "(%[ptr],%%rax)"

/* The table.  m is the register's modifier and s the instruction's suffix for a width. */
#define QUIRE_SEQ_BEGIN_(slot, slot32)                                                             \
	"movl " QUIRE_SEQ_CPU_ID_ ", " slot32 "\n\t" /* number */                                  \
	"cmpl (%[bound]), " slot32 "\n\t"	     /* bound */                                   \
	"jae 96f\n\t"                                                                              \
	"shlq $20, " slot "\n\t" /* slot */
#define QUIRE_SEQ_BEGIN_A_ QUIRE_SEQ_BEGIN_(QUIRE_SEQ_RAX_, QUIRE_SEQ_EAX_)
#define QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_BEGIN_(QUIRE_SEQ_SLOT_, QUIRE_SEQ_SLOT32_)

#define QUIRE_SEQ_WRITE_(m, s)                                                                     \
	QUIRE_SEQ_BEGIN_A_ "mov" s " %" m "[value], " QUIRE_SEQ_COPY_A_ "\n\t"
#define QUIRE_SEQ_ADD_(m, s) QUIRE_SEQ_BEGIN_A_ "add" s " %" m "[value], " QUIRE_SEQ_COPY_A_ "\n\t"
#define QUIRE_SEQ_AND_(m, s) QUIRE_SEQ_BEGIN_A_ "and" s " %" m "[value], " QUIRE_SEQ_COPY_A_ "\n\t"
#define QUIRE_SEQ_OR_(m, s)  QUIRE_SEQ_BEGIN_A_ "or" s " %" m "[value], " QUIRE_SEQ_COPY_A_ "\n\t"
#define QUIRE_SEQ_ADD_IF_(m, s)                                                                    \
	QUIRE_SEQ_BEGIN_A_ "cmpl %[expected], (%[guard])\n\t" /* guard */                          \
			   "jne 96f\n\t"                                                           \
			   "add" s " %" m "[value], " QUIRE_SEQ_COPY_A_ "\n\t"

#define QUIRE_SEQ_LOAD_(m, s)	"mov" s " " QUIRE_SEQ_COPY_ ", %" m "[old]\n\t"
#define QUIRE_SEQ_COMMIT_(m, s) "mov" s " %" m "[value], " QUIRE_SEQ_COPY_ "\n\t"
#define QUIRE_SEQ_READ_(m, s)	QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_LOAD_(m, s)
#define QUIRE_SEQ_ADD_RETURN_(m, s)                                                                \
	QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_LOAD_(m, s) "add" s " %" m "[value], %" m "[old]\n\t"         \
						 "mov" s " %" m "[old], " QUIRE_SEQ_COPY_ "\n\t"
#define QUIRE_SEQ_XCHG_(m, s) QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_LOAD_(m, s) QUIRE_SEQ_COMMIT_(m, s)
#define QUIRE_SEQ_CMPXCHG_(m, s)                                                                   \
	QUIRE_SEQ_BEGIN_V_ QUIRE_SEQ_LOAD_(m, s) "cmp" s " %" m "[expected], %" m "[old]\n\t"      \
						 "jne 92f\n\t" QUIRE_SEQ_COMMIT_(m, s)

/* The frame around a section.  Rare code lies in a subsection, which goes where its function goes. */
#define QUIRE_SEQ_ARM_(slot)                                                                       \
	".pushsection __rseq_cs, \"aw?\"\n\t"                                                      \
	".balign 32\n\t"                                                                           \
	"93: .long 0, 0\n\t"                                                                       \
	".quad 91f, 92f - 91f, 94f\n\t"                                                            \
	".popsection\n\t"                                                                          \
	"90: leaq 93b(%%rip), " slot "\n\t"                                                        \
	"movq " slot ", " QUIRE_SEQ_CS_ "\n\t"                                                     \
	"91:\n\t"
#define QUIRE_SEQ_RARE_(refuse)                                                                    \
	".subsection 1\n\t" QUIRE_SEQ_SIGNATURE_ "94: jmp 90b\n\t"                                 \
	"96: movq $0, " QUIRE_SEQ_CS_ "\n\t" refuse ".previous\n\t"

#define QUIRE_SEQ_QUIET_(steps)                                                                    \
	QUIRE_SEQ_ARM_(QUIRE_SEQ_RAX_)                                                             \
	steps "92:\n\t"                                                                            \
	      "movq $0, " QUIRE_SEQ_CS_ "\n\t" QUIRE_SEQ_RARE_("jmp %l[refused]\n\t")
/* The last test clears the carry, and leaves the slot. */
#define QUIRE_SEQ_VALUE_(steps)                                                                    \
	QUIRE_SEQ_ARM_(QUIRE_SEQ_SLOT_)                                                            \
	steps "92: testl %k[slot], %k[slot]\n\t"                                                   \
	      "movq $0, " QUIRE_SEQ_CS_ "\n\t" QUIRE_SEQ_RARE_("stc\n\tjmp 95f\n\t") "95:\n\t"

/* The words, or the stand-in where they are not filled. */
QUIRE_THIS_CPU_INLINE_ uintptr_t quire_seq_rseq(const struct quire_this_cpu_words *w)
{
	uintptr_t rseq;

	__asm__("movq %c[offset](%[w]), %[rseq]\n\t"
		"testq %[rseq], %[rseq]\n\t"
		"jz 98f\n\t"
		"99:\n\t"
		".subsection 1\n\t"
		"98: leaq %c[stand_in](%[w]), %[rseq]\n\t"
		"subq %%fs:0, %[rseq]\n\t"
		"jmp 99b\n\t"
		".previous\n\t"
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

	__asm__("movq %c[offset](%[w]), %[bound]"
		: [bound] "=r"(bound)
		: [w] "r"(w), [offset] "i"(offsetof(struct quire_this_cpu_words, bound)));
	return bound;
}

#define QUIRE_SEQ_OUTPUTS_ "=@ccc"(refused), [slot] "=&r"(slot_)
#define QUIRE_SEQ_INPUTS_                                                                          \
	[rseq] "r"(quire_seq_rseq(w)), [bound] "r"(quire_seq_bound(w)), [ptr] "r"(ptr)

#define QUIRE_SEQ_DEFINE_(bytes, type, m, s, imm)                                                  \
	QUIRE_SEQ_DEFINE_QUIET_(write, QUIRE_SEQ_WRITE_, bytes, type, m, s, imm)                   \
	QUIRE_SEQ_DEFINE_QUIET_(add, QUIRE_SEQ_ADD_, bytes, type, m, s, imm)                       \
	QUIRE_SEQ_DEFINE_QUIET_(and, QUIRE_SEQ_AND_, bytes, type, m, s, imm)                       \
	QUIRE_SEQ_DEFINE_QUIET_(or, QUIRE_SEQ_OR_, bytes, type, m, s, imm)                         \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_read_##bytes(const struct quire_this_cpu_words *w,   \
							   const volatile void *ptr, type *old)    \
	{                                                                                          \
		uintptr_t slot_;                                                                   \
		bool refused;                                                                      \
                                                                                                   \
		__asm__ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_READ_(m, s))                           \
				 : QUIRE_SEQ_OUTPUTS_, [old] "=&q"(*old)                           \
				 : QUIRE_SEQ_INPUTS_                                               \
				 : "memory");                                                      \
		return !refused;                                                                   \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_add_return_##bytes(                                  \
		const struct quire_this_cpu_words *w, volatile void *ptr, type value, type *sum,   \
		size_t *slot)                                                                      \
	{                                                                                          \
		uintptr_t slot_;                                                                   \
		bool refused;                                                                      \
                                                                                                   \
		__asm__ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_ADD_RETURN_(m, s))                     \
				 : QUIRE_SEQ_OUTPUTS_, [old] "=&q"(*sum)                           \
				 : QUIRE_SEQ_INPUTS_, [value] imm(value)                           \
				 : "memory");                                                      \
		*slot = slot_;                                                                     \
		return !refused;                                                                   \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_xchg_##bytes(                                        \
		const struct quire_this_cpu_words *w, volatile void *ptr, type value, type *old)   \
	{                                                                                          \
		uintptr_t slot_;                                                                   \
		bool refused;                                                                      \
                                                                                                   \
		__asm__ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_XCHG_(m, s))                           \
				 : QUIRE_SEQ_OUTPUTS_, [old] "=&q"(*old)                           \
				 : QUIRE_SEQ_INPUTS_, [value] imm(value)                           \
				 : "memory");                                                      \
		return !refused;                                                                   \
	}                                                                                          \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_cmpxchg_##bytes(                                     \
		const struct quire_this_cpu_words *w, volatile void *ptr, type expected,           \
		type value, type *old)                                                             \
	{                                                                                          \
		uintptr_t slot_;                                                                   \
		bool refused;                                                                      \
                                                                                                   \
		__asm__ volatile(QUIRE_SEQ_VALUE_(QUIRE_SEQ_CMPXCHG_(m, s))                        \
				 : QUIRE_SEQ_OUTPUTS_, [old] "=&q"(*old)                           \
				 : QUIRE_SEQ_INPUTS_, [value] imm(value), [expected] imm(expected) \
				 : "memory");                                                      \
		return !refused;                                                                   \
	}

/* Those that return nothing. */
#define QUIRE_SEQ_DEFINE_QUIET_(op, steps, bytes, type, m, s, imm)                                 \
	QUIRE_THIS_CPU_INLINE_ bool quire_seq_##op##_##bytes(const struct quire_this_cpu_words *w, \
							     volatile void *ptr, type value)       \
	{                                                                                          \
		__asm__ goto(QUIRE_SEQ_QUIET_(steps(m, s))                                         \
			     :                                                                     \
			     : QUIRE_SEQ_INPUTS_, [value] imm(value)                               \
			     : "memory", "cc", "rax"                                               \
			     : refused);                                                           \
		return true;                                                                       \
	refused:                                                                                   \
		return false;                                                                      \
	}

QUIRE_SEQ_DEFINE_(1, uint8_t, "b", "b", "qi")
QUIRE_SEQ_DEFINE_(2, uint16_t, "w", "w", "ri")
QUIRE_SEQ_DEFINE_(4, uint32_t, "k", "l", "ri")
QUIRE_SEQ_DEFINE_(8, uint64_t, "q", "q", "re")

/* add to an 8-byte copy if @guard reads @expected inside the section; else refused */
QUIRE_THIS_CPU_INLINE_ bool quire_seq_add_if(const struct quire_this_cpu_words *w,
					     volatile uint64_t *ptr, uint64_t value,
					     const volatile uint32_t *guard, uint32_t expected)
{
	__asm__ goto(QUIRE_SEQ_QUIET_(QUIRE_SEQ_ADD_IF_("q", "q"))
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
