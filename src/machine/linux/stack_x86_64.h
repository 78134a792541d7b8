/* SPDX-License-Identifier: MIT */
/*
 * stack_x86_64.h - the four sequences on per-CPU stacks, for x86-64
 *
 * A sequence is a list of steps, and a step is one instruction.  STACK_POP_STEPS and its neighbours
 * list the steps of each sequence; STACK_SEQUENCE makes the asm around them.  It first stores the
 * descriptor's address in the thread's rseq_cs: the sequence is armed.  From then until the commit,
 * if the thread is preempted, migrates or gets a signal, the kernel lets it continue at the abort
 * label, which restarts the sequence.  The commit is the only store to top, and the last
 * instruction of the section: before it the sequence has no effect that others can see, after it
 * the complete effect.  (push writes its entry above top first, where no other thread reads.)
 *
 * rseq_cs is left set after the section: the kernel clears it when it next looks and finds the
 * thread outside.  Clearing it here costs 0.22 ns of a pair of 2.2 (Zen 5), and is needed only
 * where the text and the descriptors may be unmapped: libquire is linked -z nodelete, and so must
 * be a plug-in that contains the static library.
 *
 * Operands.  The thread's struct rseq and its slot number lie at fixed offsets from %fs.  The
 * result "=@ccc" is the carry flag: a comparison found its left side below its right side.  No
 * asm goto: gcc 12 is known to use an output before it is set on the taken edge.  With it a pair of pages
 * would take 3 % less time, but gcc 12.2 let a refused pop return what the entry's register held
 * (tests/machine/rseq_abort_test.c).
 *
 * The step table is also what tests/machine/rseq_abort_test.c walks and what the simulator
 * models: a step's name says what the model does at that point.
 */
#ifndef MACHINE_LINUX_STACK_X86_64_H
#define MACHINE_LINUX_STACK_X86_64_H

#include <quire/arch/unwind_x86_64.h>

#include "base/check.h"

/* An instruction in AT&T and in Intel syntax: the compiler takes the one that -masm= selects. */
#define STEP(att, intel) "{" att "|" intel "}"

/* Offsets of the fields of struct rseq. */
#define STACK_RSEQ_CPU_ID    "4"
#define STACK_RSEQ_CS	     "8"
#define STACK_RSEQ_SIGNATURE "0x53053053" /* the one that glibc registers with */

/* Header words by offset; the header is %[class] bytes into the slot's region. */
#define STACK_TOP	 "(%[region],%[class])"
#define STACK_LOW	 "8(%[region],%[class])"
#define STACK_HIGH	 "12(%[region],%[class])"
#define STACK_TOP_INTEL	 "DWORD PTR [%[region]+%[class]]"
#define STACK_LOW_INTEL	 "DWORD PTR [%[region]+%[class]+8]"
#define STACK_HIGH_INTEL "DWORD PTR [%[region]+%[class]+12]"

_Static_assert(sizeof(struct stack_header) == 16 && offsetof(struct stack_header, top) == 0 &&
		       offsetof(struct stack_header, low) == 8 &&
		       offsetof(struct stack_header, high) == 12,
	       "the steps know the layout of a header");

/* Every sequence begins with these steps, which find the region of this thread's slot. */
#define STEP_SLOT_OFFSET STEP("movq %[slot_offset], %[region]", "mov %[region], %[slot_offset]")
#define STEP_SLOT                                                                                  \
	STEP("movl %%fs:(%[region]), %k[region]", "mov %k[region], DWORD PTR fs:[%[region]]")
#define STEP_SLOT_COMPARE STEP("cmpl %[slots_nr], %k[region]", "cmp %k[region], %[slots_nr]")
#define STEP_SLOT_REFUSE  "jae 96f"
#define STEP_CPU_COMPARE                                                                           \
	STEP("cmpl $0, %%fs:" STACK_RSEQ_CPU_ID "(%[region])",                                     \
	     "cmp DWORD PTR fs:[%[region]+" STACK_RSEQ_CPU_ID "], 0")
#define STEP_CPU_REFUSE "js 96f"
#define STEP_SCALE	STEP("shlq %[shift], %[region]", "shl %[region], %[shift]")
#define STEP_REGION	STEP("addq %[base], %[region]", "add %[region], %[base]")

/*
 * Then the bound, and top only after it.  No fence covers a sequence that begins while the stack is
 * closed: if it read top first, the closer could empty and reopen the stack before the sequence
 * reads the bound, and the sequence would commit an old top.
 */
#define STEP_LOW  STEP("movl " STACK_LOW ", %[bound]", "mov %[bound], " STACK_LOW_INTEL)
#define STEP_HIGH STEP("movl " STACK_HIGH ", %[bound]", "mov %[bound], " STACK_HIGH_INTEL)
#define STEP_TOP  STEP("movl " STACK_TOP ", %k[top]", "mov %k[top], " STACK_TOP_INTEL)

/* pop; the entry takes the register of the bound, so callers need one less */
#define STEP_LOW_COMPARE  STEP("cmpl %[bound], %k[top]", "cmp %k[top], %[bound]")
#define STEP_EMPTY_REFUSE "jbe 96f"
#define STEP_POP_ENTRY                                                                             \
	STEP("movl -4(%[region],%[top],4), %[bound]",                                              \
	     "mov %[bound], DWORD PTR [%[region]+%[top]*4-4]")
#define STEP_TOP_DOWN STEP("decl %k[top]", "dec %k[top]")

/* push; the increment does not change the carry of the comparison */
#define STEP_GUARD_COMPARE                                                                         \
	STEP("cmpb %[expected], (%[guard])", "cmp BYTE PTR [%[guard]], %[expected]")
#define STEP_GUARD_REFUSE "jne 96f"
#define STEP_HIGH_COMPARE STEP_LOW_COMPARE
#define STEP_FULL_REFUSE  "jae 96f"
#define STEP_PUSH_ENTRY                                                                            \
	STEP("movl %[entry], (%[region],%[top],4)", "mov DWORD PTR [%[region]+%[top]*4], "         \
						    "%[entry]")
#define STEP_TOP_UP STEP("incl %k[top]", "inc %k[top]")

/* pop_n and push_n: the count, then a copy from the last entry down, through the bound's
 * register */
#define STEP_HELD_TOP	 STEP("movl %k[top], %[count]", "mov %[count], %k[top]")
#define STEP_HELD	 STEP("subl %[bound], %[count]", "sub %[count], %[bound]")
#define STEP_ROOM_HIGH	 STEP("movl %[bound], %[count]", "mov %[count], %[bound]")
#define STEP_ROOM	 STEP("subl %k[top], %[count]", "sub %[count], %k[top]")
#define STEP_NONE_REFUSE "jbe 96f"
#define STEP_N_COMPARE	 STEP("cmpl %[n], %[count]", "cmp %[count], %[n]")
#define STEP_N_LIMIT	 STEP("cmova %[n], %[count]", "cmova %[count], %[n]")
#define STEP_TOP_DOWN_N	 STEP("subl %[count], %k[top]", "sub %k[top], %[count]")
#define STEP_FIRST	 STEP("leaq (%[region],%[top],4), %[first]", "lea %[first], [%[region]+%[top]*4]")
#define STEP_LEFT	 STEP("movl %[count], %k[left]", "mov %k[left], %[count]")
#define STEP_TAKE                                                                                  \
	"97: " STEP("movl -4(%[first],%[left],4), %[bound]",                                       \
		    "mov %[bound], DWORD PTR [%[first]+%[left]*4-4]")
#define STEP_GIVE                                                                                  \
	STEP("movl %[bound], -4(%[entries],%[left],4)",                                            \
	     "mov DWORD PTR [%[entries]+%[left]*4-4], %[bound]")
#define STEP_TAKE_GIVEN                                                                            \
	"97: " STEP("movl -4(%[entries],%[left],4), %[bound]",                                     \
		    "mov %[bound], DWORD PTR [%[entries]+%[left]*4-4]")
#define STEP_GIVE_TAKEN                                                                            \
	STEP("movl %[bound], -4(%[first],%[left],4)",                                              \
	     "mov DWORD PTR [%[first]+%[left]*4-4], %[bound]")
#define STEP_LEFT_DOWN	STEP("decl %k[left]", "dec %k[left]")
#define STEP_COPY_AGAIN "jnz 97b"
#define STEP_TOP_UP_N	STEP("addl %[count], %k[top]", "add %k[top], %[count]")

#define STEP_COMMIT STEP("movl %k[top], " STACK_TOP, "mov " STACK_TOP_INTEL ", %k[top]")

/* The table: S expands one step. */
#define STACK_BEGIN_STEPS(S)                                                                       \
	S(CPU_COMPARE)                                                                             \
	S(CPU_REFUSE)                                                                              \
	S(SLOT_OFFSET)                                                                             \
	S(SLOT)                                                                                    \
	S(SLOT_COMPARE)                                                                            \
	S(SLOT_REFUSE)                                                                             \
	S(SCALE)                                                                                   \
	S(REGION)

#define STACK_POP_STEPS(S)                                                                         \
	STACK_BEGIN_STEPS(S)                                                                       \
	S(LOW)                                                                                     \
	S(TOP)                                                                                     \
	S(LOW_COMPARE)                                                                             \
	S(EMPTY_REFUSE)                                                                            \
	S(POP_ENTRY)                                                                               \
	S(TOP_DOWN)                                                                                \
	S(COMMIT)

#define STACK_PUSH_STEPS(S)                                                                        \
	STACK_BEGIN_STEPS(S)                                                                       \
	S(GUARD_COMPARE)                                                                           \
	S(GUARD_REFUSE)                                                                            \
	S(HIGH)                                                                                    \
	S(TOP)                                                                                     \
	S(HIGH_COMPARE)                                                                            \
	S(FULL_REFUSE)                                                                             \
	S(PUSH_ENTRY)                                                                              \
	S(TOP_UP)                                                                                  \
	S(COMMIT)

#define STACK_POP_N_STEPS(S)                                                                       \
	STACK_BEGIN_STEPS(S)                                                                       \
	S(LOW)                                                                                     \
	S(TOP)                                                                                     \
	S(HELD_TOP)                                                                                \
	S(HELD)                                                                                    \
	S(NONE_REFUSE)                                                                             \
	S(N_COMPARE)                                                                               \
	S(N_LIMIT)                                                                                 \
	S(TOP_DOWN_N)                                                                              \
	S(FIRST)                                                                                   \
	S(LEFT)                                                                                    \
	S(TAKE)                                                                                    \
	S(GIVE)                                                                                    \
	S(LEFT_DOWN)                                                                               \
	S(COPY_AGAIN)                                                                              \
	S(COMMIT)

#define STACK_PUSH_N_STEPS(S)                                                                      \
	STACK_BEGIN_STEPS(S)                                                                       \
	S(HIGH)                                                                                    \
	S(TOP)                                                                                     \
	S(ROOM_HIGH)                                                                               \
	S(ROOM)                                                                                    \
	S(NONE_REFUSE)                                                                             \
	S(N_COMPARE)                                                                               \
	S(N_LIMIT)                                                                                 \
	S(FIRST)                                                                                   \
	S(LEFT)                                                                                    \
	S(TAKE_GIVEN)                                                                              \
	S(GIVE_TAKEN)                                                                              \
	S(LEFT_DOWN)                                                                               \
	S(COPY_AGAIN)                                                                              \
	S(TOP_UP_N)                                                                                \
	S(COMMIT)

/*
 * The frame of a sequence.  Labels: 88 end and 89 begin of rare code, 90 entry, 91 first and 92
 * one past the last instruction of the section, 93 descriptor, 94 abort, 95 end, 96 refusal, 97
 * loop.
 *
 * Rare code must fit into 32 bytes (unwind_x86_64.h).  It takes at most 23: 7 for the signature, 5
 * for the abort's jump, 6 for @refuse and 5 for the jump after it.  @refuse is the code of a
 * refusal; it must leave the outputs as the caller of the asm expects them.  The descriptor's
 * address passes through a register that the steps overwrite.
 */
#define STEP_ASM(name) STEP_##name "\n\t"

/* In front of the abort label: the signature, as the displacement of an instruction (ud1). */
#define STACK_ABORT_SIGNATURE ".byte 0x0f, 0xb9, 0x3d\n\t.long " STACK_RSEQ_SIGNATURE "\n\t"

/* clang-format off */
#define STACK_SEQUENCE(steps, refuse)                                                              \
	".pushsection __rseq_cs, \"aw\"\n\t"                                                       \
	".balign 32\n\t"                                                                           \
	"93: .long 0, 0\n\t"                                                                       \
	".quad 91f, 92f - 91f, 94f\n\t"                                                            \
	".popsection\n\t"                                                                          \
	".pushsection __rseq_cs_ptr_array, \"aw\"\n\t"                                             \
	".quad 93b\n\t"                                                                            \
	".popsection\n\t"                                                                          \
	"90: " STEP("movq %[rseq_offset], %[region]", "mov %[region], %[rseq_offset]") "\n\t"       \
	STEP("leaq 93b(%%rip), %[top]", "lea %[top], [rip+93b]") "\n\t"                            \
	STEP("movq %[top], %%fs:" STACK_RSEQ_CS "(%[region])",                                     \
	     "mov QWORD PTR fs:[%[region]+" STACK_RSEQ_CS "], %[top]") "\n\t"                      \
	"91:\n\t"                                                                                  \
	steps(STEP_ASM)                                                                            \
	"92:\n\t"                                                                                  \
	".subsection 1\n\t"                                                                        \
	QUIRE_RARE_ALIGN_                                                                          \
	"89: " STACK_ABORT_SIGNATURE                                                               \
	"94: jmp 90b\n\t"                                                                          \
	"96: " refuse "\n\t"                                                                       \
	"jmp 95f\n\t"                                                                              \
	"88:\n\t"                                                                                  \
	".previous\n\t"                                                                            \
	QUIRE_RARE_UNWIND_("89b", "88b", "91b")                                                    \
	"95:\n\t"
/* clang-format on */

/* Inputs that every sequence has. */
#define STACK_INPUTS(s, class_idx)                                                                 \
	[rseq_offset] "m"((s)->rseq_offset), [slot_offset] "m"((s)->slot_offset),                  \
		[slots_nr] "m"((s)->slots_nr), [base] "m"((s)->base),                              \
		[shift] "i"(STACKS_STRIDE_SHIFT),                                                  \
		[class] "r"((uint64_t)(class_idx) * sizeof(struct stack_header))

/*
 * The four sequences; machine/stack.h says what each does.  None checks first whether sequences
 * exist: with slots_nr == 0 the comparison of the slot refuses all, and stack_setup() has pointed
 * both offsets at harmless words (thread.h).
 */
STACK_INLINE uint32_t stack_pop(const struct cpu_stacks *s, unsigned class)
{
	uint64_t region, top;
	uint32_t entry;

	QUIRE_SEQ_ASM_ volatile(
		STACK_SEQUENCE(STACK_POP_STEPS, STEP("movl $-1, %[bound]", "mov %[bound], -1"))
		: [bound] "=&r"(entry), [region] "=&r"(region), [top] "=&r"(top)
		: STACK_INPUTS(s, class)
		: "memory", "cc");
	return entry;
}

STACK_INLINE bool stack_push(const struct cpu_stacks *s, unsigned class, uint32_t entry,
			     const uint8_t *guard, uint8_t expected)
{
	uint64_t region, top;
	uint32_t bound;
	bool pushed;

	QUIRE_SEQ_ASM_ volatile(
		STACK_SEQUENCE(STACK_PUSH_STEPS, "clc")
		: "=@ccc"(pushed), [region] "=&r"(region), [top] "=&r"(top), [bound] "=&r"(bound)
		: STACK_INPUTS(s, class), [entry] "r"(entry), [guard] "r"(guard),
		  [expected] "qi"(expected)
		: "memory");
	return pushed;
}

STACK_INLINE unsigned stack_pop_n(const struct cpu_stacks *s, unsigned class, uint32_t *entries,
				  unsigned n)
{
	uint64_t region, top, first, left;
	uint32_t count, bound;

	if (n == 0)
		return 0;
	QUIRE_SEQ_ASM_ volatile(STACK_SEQUENCE(STACK_POP_N_STEPS, STEP("xorl %[count], %[count]",
								       "xor %[count], %[count]"))
				: [count] "=&r"(count), [region] "=&r"(region), [top] "=&r"(top),
				  [first] "=&r"(first), [left] "=&r"(left), [bound] "=&r"(bound)
				: STACK_INPUTS(s, class), [entries] "r"(entries), [n] "r"(n)
				: "memory", "cc");
	return count;
}

STACK_INLINE unsigned stack_push_n(const struct cpu_stacks *s, unsigned class,
				   const uint32_t *entries, unsigned n)
{
	uint64_t region, top, first, left;
	uint32_t count, bound;

	if (n == 0)
		return 0;
	QUIRE_SEQ_ASM_ volatile(STACK_SEQUENCE(STACK_PUSH_N_STEPS, STEP("xorl %[count], %[count]",
									"xor %[count], %[count]"))
				: [count] "=&r"(count), [region] "=&r"(region), [top] "=&r"(top),
				  [first] "=&r"(first), [left] "=&r"(left), [bound] "=&r"(bound)
				: STACK_INPUTS(s, class), [entries] "r"(entries), [n] "r"(n)
				: "memory", "cc");
	return count;
}

/* The base of %fs:, from which the offsets in struct cpu_stacks count. */
static inline void *stack_thread_pointer(void)
{
	void *pointer;

	__asm__(STEP("movq %%fs:0, %[pointer]", "mov %[pointer], QWORD PTR fs:[0]")
		: [pointer] "=r"(pointer));
	return pointer;
}

static inline int stack_slot(const struct cpu_stacks *s)
{
	uint32_t slot;

	__asm__ volatile(STEP("movl %%fs:(%[slot_offset]), %[slot]",
			      "mov %[slot], DWORD PTR fs:[%[slot_offset]]")
			 : [slot] "=r"(slot)
			 : [slot_offset] "r"(s->slot_offset));
	return LIKELY(slot < s->slots_nr) ? (int)slot : stack_slot_slow(s);
}

#endif
