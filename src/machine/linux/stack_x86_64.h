/* SPDX-License-Identifier: MIT */
/*
 * stack_x86_64.h - the four sequences on per-CPU stacks, for x86-64
 *
 * A sequence is a list of steps, and a step is one instruction.  Between "arm" and the commit
 * the kernel moves a thread that was preempted, migrated or interrupted by a signal to the abort
 * label, which begins the sequence again.  The commit is the one store to top, and the last
 * instruction of the section: before it nothing that others may see has happened, after it
 * everything has.  (push writes its entry above top first: nobody reads there.)
 *
 * rseq_cs is left set after the section: the kernel clears it when it next looks and finds the
 * thread outside.  Clearing it here costs 0.22 ns of a pair of 2.2 (Zen 5), and is needed only
 * where the text and the descriptors may be unmapped: libquire is linked -z nodelete, and so must
 * be a plug-in that contains the static library.
 *
 * Operands.  The thread's struct rseq and its slot number lie at fixed offsets from %fs.  The
 * result "=@ccc" is the carry flag: a comparison found its left side below its right side.  No
 * asm goto: gcc 12 is known to use an output before it is set on the taken edge.
 *
 * The step table is also what tests/machine/rseq_abort_test.c walks and what the simulator
 * models: a step's name says what the model does at that point.
 */
#ifndef MACHINE_LINUX_STACK_X86_64_H
#define MACHINE_LINUX_STACK_X86_64_H

#include "base/check.h"

/* What struct rseq has at which offset. */
#define STACK_RSEQ_CPU_ID    "4"
#define STACK_RSEQ_CS	     "8"
#define STACK_RSEQ_SIGNATURE "0x53053053" /* the one that glibc registers with */

/* Header words by offset; the header is %[class] bytes into the slot's region. */
#define STACK_TOP  "(%[region],%[class])"
#define STACK_LOW  "8(%[region],%[class])"
#define STACK_HIGH "12(%[region],%[class])"

_Static_assert(sizeof(struct stack_header) == 16 && offsetof(struct stack_header, top) == 0 &&
		       offsetof(struct stack_header, low) == 8 &&
		       offsetof(struct stack_header, high) == 12,
	       "the steps know the layout of a header");
_Static_assert(STACKS_STRIDE_SHIFT == 17, "STEP_REGION knows the stride");

/* Steps that every sequence begins with: which region is this thread's? */
#define STEP_SLOT_OFFSET  "movq %[slot_offset], %[region]"
#define STEP_SLOT	  "movl %%fs:(%[region]), %k[region]"
#define STEP_SLOT_COMPARE "cmpl %[slots_nr], %k[region]"
#define STEP_SLOT_REFUSE  "jae 96f"
#define STEP_CPU_COMPARE  "cmpl $0, %%fs:" STACK_RSEQ_CPU_ID "(%[region])"
#define STEP_CPU_REFUSE	  "js 96f"
#define STEP_SCALE	  "shlq $17, %[region]"
#define STEP_REGION	  "addq %[base], %[region]"

/*
 * Then the bound, and top only after it.  A sequence that begins while the stack is closed is
 * under no fence: if it read top first, the closer could empty and open the stack before it reads
 * the bound, and it would commit what top had been.
 */
#define STEP_LOW  "movl " STACK_LOW ", %[bound]"
#define STEP_HIGH "movl " STACK_HIGH ", %[bound]"
#define STEP_TOP  "movl " STACK_TOP ", %k[top]"

/* pop; the entry goes where the bound was, which saves its users a register */
#define STEP_LOW_COMPARE  "cmpl %[bound], %k[top]"
#define STEP_EMPTY_REFUSE "jbe 96f"
#define STEP_POP_ENTRY	  "movl -4(%[region],%[top],4), %[bound]"
#define STEP_TOP_DOWN	  "decl %k[top]"

/* push; the increment leaves the carry of the comparison alone */
#define STEP_GUARD_COMPARE "cmpb %[expected], (%[guard])"
#define STEP_GUARD_REFUSE  "jne 96f"
#define STEP_HIGH_COMPARE  "cmpl %[bound], %k[top]"
#define STEP_FULL_REFUSE   "jae 96f"
#define STEP_PUSH_ENTRY	   "movl %[entry], (%[region],%[top],4)"
#define STEP_TOP_UP	   "incl %k[top]"

/* pop_n and push_n: how many, then a copy that counts down, through the bound's register */
#define STEP_HELD_TOP	 "movl %k[top], %[count]"
#define STEP_HELD	 "subl %[bound], %[count]"
#define STEP_ROOM_HIGH	 "movl %[bound], %[count]"
#define STEP_ROOM	 "subl %k[top], %[count]"
#define STEP_NONE_REFUSE "jbe 96f"
#define STEP_N_COMPARE	 "cmpl %[n], %[count]"
#define STEP_N_LIMIT	 "cmova %[n], %[count]"
#define STEP_TOP_DOWN_N	 "subl %[count], %k[top]"
#define STEP_FIRST	 "leaq (%[region],%[top],4), %[first]"
#define STEP_LEFT	 "movl %[count], %k[left]"
#define STEP_TAKE	 "97: movl -4(%[first],%[left],4), %[bound]"
#define STEP_GIVE	 "movl %[bound], -4(%[entries],%[left],4)"
#define STEP_TAKE_GIVEN	 "97: movl -4(%[entries],%[left],4), %[bound]"
#define STEP_GIVE_TAKEN	 "movl %[bound], -4(%[first],%[left],4)"
#define STEP_LEFT_DOWN	 "decl %k[left]"
#define STEP_COPY_AGAIN	 "jnz 97b"
#define STEP_TOP_UP_N	 "addl %[count], %k[top]"

#define STEP_COMMIT "movl %k[top], " STACK_TOP

/* The table: S is what its user makes of one step. */
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
 * The frame of a sequence.  Labels: 90 entry, 91 first and 92 one past the last instruction of
 * the section, 93 descriptor, 94 abort, 95 end, 96 refusal, 97 loop.
 *
 * @refuse is what a refusal does, out of line; it must leave the outputs as the caller of the asm
 * expects them.  The descriptor's address passes through a register that the steps overwrite.
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
	"90: movq %[rseq_offset], %[region]\n\t"                                                   \
	"leaq 93b(%%rip), %[top]\n\t"                                                              \
	"movq %[top], %%fs:" STACK_RSEQ_CS "(%[region])\n\t"                                       \
	"91:\n\t"                                                                                  \
	steps(STEP_ASM)                                                                            \
	"92:\n\t"                                                                                  \
	".pushsection __rseq_failure, \"ax\"\n\t"                                                  \
	STACK_ABORT_SIGNATURE                                                                      \
	"94: jmp 90b\n\t"                                                                          \
	"96: " refuse "\n\t"                                                                       \
	"jmp 95f\n\t"                                                                              \
	".popsection\n\t"                                                                          \
	"95:\n\t"
/* clang-format on */

/* Inputs that every sequence has. */
#define STACK_INPUTS(s, class_idx)                                                                 \
	[rseq_offset] "m"((s)->rseq_offset), [slot_offset] "m"((s)->slot_offset),                  \
		[slots_nr] "m"((s)->slots_nr), [base] "m"((s)->base),                              \
		[class] "r"((uint64_t)(class_idx) * sizeof(struct stack_header))

/*
 * None of them asks first whether there are sequences: with slots_nr == 0 the bounds check refuses
 * every slot, and stacks_setup() has pointed both offsets at harmless words (thread.h).
 */
static inline uint32_t stack_pop(const struct cpu_stacks *s, unsigned class)
{
	uint64_t region, top;
	uint32_t entry;

	__asm__ volatile(STACK_SEQUENCE(STACK_POP_STEPS, "movl $-1, %[bound]")
			 : [bound] "=&r"(entry), [region] "=&r"(region), [top] "=&r"(top)
			 : STACK_INPUTS(s, class)
			 : "memory", "cc");
	return entry;
}

static inline bool stack_push(const struct cpu_stacks *s, unsigned class, uint32_t entry,
			      const uint8_t *guard, uint8_t expected)
{
	uint64_t region, top;
	uint32_t bound;
	bool pushed;

	__asm__ volatile(
		STACK_SEQUENCE(STACK_PUSH_STEPS, "clc")
		: "=@ccc"(pushed), [region] "=&r"(region), [top] "=&r"(top), [bound] "=&r"(bound)
		: STACK_INPUTS(s, class), [entry] "r"(entry), [guard] "r"(guard),
		  [expected] "qi"(expected)
		: "memory");
	return pushed;
}

static inline unsigned stack_pop_n(const struct cpu_stacks *s, unsigned class, uint32_t *entries,
				   unsigned n)
{
	uint64_t region, top, first, left;
	uint32_t count, bound;

	if (n == 0)
		return 0;
	__asm__ volatile(STACK_SEQUENCE(STACK_POP_N_STEPS, "xorl %[count], %[count]")
			 : [count] "=&r"(count), [region] "=&r"(region), [top] "=&r"(top),
			   [first] "=&r"(first), [left] "=&r"(left), [bound] "=&r"(bound)
			 : STACK_INPUTS(s, class), [entries] "r"(entries), [n] "r"(n)
			 : "memory", "cc");
	return count;
}

static inline unsigned stack_push_n(const struct cpu_stacks *s, unsigned class,
				    const uint32_t *entries, unsigned n)
{
	uint64_t region, top, first, left;
	uint32_t count, bound;

	if (n == 0)
		return 0;
	__asm__ volatile(STACK_SEQUENCE(STACK_PUSH_N_STEPS, "xorl %[count], %[count]")
			 : [count] "=&r"(count), [region] "=&r"(region), [top] "=&r"(top),
			   [first] "=&r"(first), [left] "=&r"(left), [bound] "=&r"(bound)
			 : STACK_INPUTS(s, class), [entries] "r"(entries), [n] "r"(n)
			 : "memory", "cc");
	return count;
}

/* What %fs: adds: the offsets of struct cpu_stacks count from here. */
static inline void *stack_thread_pointer(void)
{
	void *pointer;

	__asm__("movq %%fs:0, %[pointer]" : [pointer] "=r"(pointer));
	return pointer;
}

static inline int stack_slot(const struct cpu_stacks *s)
{
	uint32_t slot;

	__asm__ volatile("movl %%fs:(%[slot_offset]), %[slot]"
			 : [slot] "=r"(slot)
			 : [slot_offset] "r"(s->slot_offset));
	return LIKELY(slot < s->slots_nr) ? (int)slot : stack_slot_slow(s);
}

#endif
