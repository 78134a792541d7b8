/* SPDX-License-Identifier: MIT */
/*
 * lean_x86_64.h - the sequences on lean stacks, for x86-64
 *
 * stack_x86_64.h explains steps, the frame of a sequence and its labels; these differ in their steps.  The slot is
 * cpu_id, so a thread without rseq, whose cpu_id is negative, is refused by the comparison with slots_nr; the
 * register that armed the sequence still has the offset of struct rseq.  A header is one word of 8 bytes, so that
 * the processor scales both the class and top.
 *
 * Label 98 is the end of a loop.
 */
#ifndef MACHINE_LINUX_LEAN_X86_64_H
#define MACHINE_LINUX_LEAN_X86_64_H

#define LEAN_TOP	 "(%[region],%[class],8)"
#define LEAN_HIGH	 "4(%[region],%[class],8)"
#define LEAN_ENTRY	 "(%[region],%[top],8)"
#define LEAN_NEXT	 "8(%[region],%[top],8)"
#define LEAN_TOP_INTEL	 "DWORD PTR [%[region]+%[class]*8]"
#define LEAN_HIGH_INTEL	 "DWORD PTR [%[region]+%[class]*8+4]"
#define LEAN_BOTH_INTEL	 "QWORD PTR [%[region]+%[class]*8]"
#define LEAN_ENTRY_INTEL "QWORD PTR [%[region]+%[top]*8]"
#define LEAN_NEXT_INTEL	 "QWORD PTR [%[region]+%[top]*8+8]"

/* The field top of a header that no class has. */
#define LEAN_HINT	"1024(%[region])"
#define LEAN_HINT_INTEL "DWORD PTR [%[region]+1024]"

_Static_assert(LEAN_HINT_CLASS * sizeof(struct lean_header) == 1024, "the steps know the hint");
_Static_assert(sizeof(struct lean_header) == 8 && offsetof(struct lean_header, top) == 0 &&
		       offsetof(struct lean_header, high) == 4,
	       "the steps know the layout of a header");

#define STEP_LEAN_SLOT                                                                             \
	STEP("movl %%fs:" STACK_RSEQ_CPU_ID "(%[region]), %k[region]",                             \
	     "mov %k[region], DWORD PTR fs:[%[region]+" STACK_RSEQ_CPU_ID "]")
#define STEP_LEAN_SCALE STEP("shlq %[shift], %[region]", "shl %[region], %[shift]")

#define STEP_LEAN_TOP	 STEP("movl " LEAN_TOP ", %k[top]", "mov %k[top], " LEAN_TOP_INTEL)
#define STEP_LEAN_HIGH	 STEP("movl " LEAN_HIGH ", %[bound]", "mov %[bound], " LEAN_HIGH_INTEL)
#define STEP_LEAN_COMMIT STEP("movl %k[top], " LEAN_TOP, "mov " LEAN_TOP_INTEL ", %k[top]")

#define STEP_LEAN_ENTRY	       STEP("movq " LEAN_ENTRY ", %[entry]", "mov %[entry], " LEAN_ENTRY_INTEL)
#define STEP_LEAN_IS_SENTINEL  STEP("testq %[entry], %[entry]", "test %[entry], %[entry]")
#define STEP_LEAN_EMPTY_REFUSE "jz 96f"
#define STEP_LEAN_PUT	       STEP("movq %[entry], " LEAN_NEXT, "mov " LEAN_NEXT_INTEL ", %[entry]")

/* The hint: pop notes its class, and push takes it from there if it is the same */
#define STEP_LEAN_NOTE STEP("movl %k[class], " LEAN_HINT, "mov " LEAN_HINT_INTEL ", %k[class]")
#define STEP_LEAN_HINT_COMPARE                                                                     \
	STEP("cmpl %k[class], " LEAN_HINT, "cmp " LEAN_HINT_INTEL ", %k[class]")
#define STEP_LEAN_HINT_WRONG "jne 98f"
#define STEP_LEAN_HINT_TAKE  STEP("movl " LEAN_HINT ", %k[class]", "mov %k[class], " LEAN_HINT_INTEL)
#define STEP_LEAN_TOP_PUSH   "98: " STEP_LEAN_TOP

/* push: the newest entry first, since the carry of the comparison with high is the result.  A register less than with a
 * load of high, and an instruction, which pays for the first comparison */
#define STEP_LEAN_TOP_COMPARE                                                                      \
	STEP("cmpq %[entry], " LEAN_ENTRY, "cmp " LEAN_ENTRY_INTEL ", %[entry]")
#define STEP_LEAN_TWICE_REFUSE "je 96f"
#define STEP_LEAN_HIGH_COMPARE STEP("cmpl " LEAN_HIGH ", %k[top]", "cmp %k[top], " LEAN_HIGH_INTEL)

/* pop_n and push_n */
#define STEP_LEAN_COUNT_ZERO STEP("xorl %k[count], %k[count]", "xor %k[count], %k[count]")
#define STEP_LEAN_TAKE	     "97: " STEP_LEAN_ENTRY
#define STEP_LEAN_EMPTY_END  "jz 98f"
#define STEP_LEAN_GIVE                                                                             \
	STEP("movq %[entry], (%[entries],%[count],8)",                                             \
	     "mov QWORD PTR [%[entries]+%[count]*8], %[entry]")
#define STEP_LEAN_FULL	   "97: " STEP_HIGH_COMPARE
#define STEP_LEAN_FULL_END "jae 98f"
#define STEP_LEAN_GET                                                                              \
	STEP("movq (%[entries],%[count],8), %[entry]",                                             \
	     "mov %[entry], QWORD PTR [%[entries]+%[count]*8]")
#define STEP_LEAN_COUNT_UP	STEP("incl %k[count]", "inc %k[count]")
#define STEP_LEAN_COUNT_COMPARE STEP("cmpl %[n], %k[count]", "cmp %k[count], %[n]")
#define STEP_LEAN_AGAIN		"jne 97b"
/* With nothing moved the header is left alone: it may be one that nobody has begun, in memory that is read only. */
#define STEP_LEAN_ANY		"98: " STEP("testl %k[count], %k[count]", "test %k[count], %k[count]")
#define STEP_LEAN_NONE_REFUSE	"jz 96f"

/* replace: on one CPU alone */
#define STEP_LEAN_SLOT_IS	 STEP("cmpl %[slot], %k[region]", "cmp %k[region], %[slot]")
#define STEP_LEAN_SLOT_IS_REFUSE "jne 96f"
#define STEP_LEAN_HEADER_COMPARE                                                                   \
	STEP("cmpq %[expected], " LEAN_TOP, "cmp " LEAN_BOTH_INTEL ", %[expected]")
#define STEP_LEAN_HEADER_REFUSE "jne 96f"
#define STEP_LEAN_HEADER_COMMIT                                                                    \
	STEP("movq %[wanted], " LEAN_TOP, "mov " LEAN_BOTH_INTEL ", %[wanted]")

#define LEAN_BEGIN_STEPS(S)                                                                        \
	S(LEAN_SLOT)                                                                               \
	S(SLOT_COMPARE)                                                                            \
	S(SLOT_REFUSE)                                                                             \
	S(LEAN_SCALE)                                                                              \
	S(REGION)

#define LEAN_POP_STEPS(S)                                                                          \
	LEAN_BEGIN_STEPS(S)                                                                        \
	S(LEAN_TOP)                                                                                \
	S(LEAN_ENTRY)                                                                              \
	S(LEAN_IS_SENTINEL)                                                                        \
	S(LEAN_EMPTY_REFUSE)                                                                       \
	S(TOP_DOWN)                                                                                \
	S(LEAN_NOTE)                                                                               \
	S(LEAN_COMMIT)

#define LEAN_PUSH_STEPS(S)                                                                         \
	LEAN_BEGIN_STEPS(S)                                                                        \
	S(LEAN_HINT_COMPARE)                                                                       \
	S(LEAN_HINT_WRONG)                                                                         \
	S(LEAN_HINT_TAKE)                                                                          \
	S(LEAN_TOP_PUSH)                                                                           \
	S(LEAN_TOP_COMPARE)                                                                        \
	S(LEAN_TWICE_REFUSE)                                                                       \
	S(LEAN_HIGH_COMPARE)                                                                       \
	S(FULL_REFUSE)                                                                             \
	S(LEAN_PUT)                                                                                \
	S(TOP_UP)                                                                                  \
	S(LEAN_COMMIT)

#define LEAN_POP_N_STEPS(S)                                                                        \
	LEAN_BEGIN_STEPS(S)                                                                        \
	S(LEAN_TOP)                                                                                \
	S(LEAN_COUNT_ZERO)                                                                         \
	S(LEAN_TAKE)                                                                               \
	S(LEAN_IS_SENTINEL)                                                                        \
	S(LEAN_EMPTY_END)                                                                          \
	S(LEAN_GIVE)                                                                               \
	S(TOP_DOWN)                                                                                \
	S(LEAN_COUNT_UP)                                                                           \
	S(LEAN_COUNT_COMPARE)                                                                      \
	S(LEAN_AGAIN)                                                                              \
	S(LEAN_ANY)                                                                                \
	S(LEAN_NONE_REFUSE)                                                                        \
	S(LEAN_COMMIT)

#define LEAN_PUSH_N_STEPS(S)                                                                       \
	LEAN_BEGIN_STEPS(S)                                                                        \
	S(LEAN_HIGH)                                                                               \
	S(LEAN_TOP)                                                                                \
	S(LEAN_COUNT_ZERO)                                                                         \
	S(LEAN_FULL)                                                                               \
	S(LEAN_FULL_END)                                                                           \
	S(LEAN_GET)                                                                                \
	S(LEAN_PUT)                                                                                \
	S(TOP_UP)                                                                                  \
	S(LEAN_COUNT_UP)                                                                           \
	S(LEAN_COUNT_COMPARE)                                                                      \
	S(LEAN_AGAIN)                                                                              \
	S(LEAN_ANY)                                                                                \
	S(LEAN_NONE_REFUSE)                                                                        \
	S(LEAN_COMMIT)

#define LEAN_REPLACE_STEPS(S)                                                                      \
	S(LEAN_SLOT)                                                                               \
	S(LEAN_SLOT_IS)                                                                            \
	S(LEAN_SLOT_IS_REFUSE)                                                                     \
	S(SLOT_COMPARE)                                                                            \
	S(SLOT_REFUSE)                                                                             \
	S(LEAN_SCALE)                                                                              \
	S(REGION)                                                                                  \
	S(LEAN_HEADER_COMPARE)                                                                     \
	S(LEAN_HEADER_REFUSE)                                                                      \
	S(LEAN_HEADER_COMMIT)

#define LEAN_SET(s)                                                                                \
	[rseq_offset] "m"((s)->rseq_offset), [slots_nr] "m"((s)->slots_nr), [base] "m"((s)->base), \
		[shift] "i"(LEAN_STRIDE_SHIFT)
#define LEAN_INPUTS(s, class_idx) LEAN_SET(s), [class] "r"((uint64_t)(class_idx))

LEAN_INLINE void *lean_pop(const struct lean_stacks *s, unsigned class)
{
	uint64_t region, top;
	void *entry;

	QUIRE_SEQ_ASM_ volatile(STACK_SEQUENCE(LEAN_POP_STEPS, STEP("xorl %k[entry], %k[entry]",
								    "xor %k[entry], %k[entry]"))
				: [entry] "=&r"(entry), [region] "=&r"(region), [top] "=&r"(top)
				: LEAN_INPUTS(s, class)
				: "memory", "cc");
	return entry;
}

LEAN_INLINE bool lean_push(const struct lean_stacks *s, unsigned class, void *entry)
{
	uint64_t region, top, index = class;
	bool pushed;

	QUIRE_SEQ_ASM_ volatile(
		STACK_SEQUENCE(LEAN_PUSH_STEPS, "clc")
		: "=@ccc"(pushed), [region] "=&r"(region), [top] "=&r"(top), [class] "+&r"(index)
		: LEAN_SET(s), [entry] "r"(entry)
		: "memory");
	return pushed;
}

LEAN_INLINE unsigned lean_pop_n(const struct lean_stacks *s, unsigned class, void **entries,
				unsigned n)
{
	uint64_t region, top, count, entry;

	if (n == 0)
		return 0;
	QUIRE_SEQ_ASM_ volatile(STACK_SEQUENCE(LEAN_POP_N_STEPS, STEP_LEAN_COUNT_ZERO)
				: [count] "=&r"(count), [region] "=&r"(region), [top] "=&r"(top),
				  [entry] "=&r"(entry)
				: LEAN_INPUTS(s, class), [entries] "r"(entries), [n] "r"(n)
				: "memory", "cc");
	return (unsigned)count;
}

LEAN_INLINE unsigned lean_push_n(const struct lean_stacks *s, unsigned class, void *const *entries,
				 unsigned n)
{
	uint64_t region, top, count, entry;
	uint32_t bound;

	if (n == 0)
		return 0;
	QUIRE_SEQ_ASM_ volatile(STACK_SEQUENCE(LEAN_PUSH_N_STEPS, STEP_LEAN_COUNT_ZERO)
				: [count] "=&r"(count), [region] "=&r"(region), [top] "=&r"(top),
				  [entry] "=&r"(entry), [bound] "=&r"(bound)
				: LEAN_INPUTS(s, class), [entries] "r"(entries), [n] "r"(n)
				: "memory", "cc");
	return (unsigned)count;
}

static inline uint64_t lean_header_bits(struct lean_header header)
{
	return (uint64_t)header.high << 32 | header.top;
}

/* The comparison leaves the zero flag; the stack pointer is never 0. */
LEAN_INLINE bool lean_replace(const struct lean_stacks *s, unsigned slot, unsigned class,
			      struct lean_header expected, struct lean_header wanted)
{
	uint64_t region, top;
	bool replaced;

	QUIRE_SEQ_ASM_ volatile(
		STACK_SEQUENCE(LEAN_REPLACE_STEPS, STEP("testq %%rsp, %%rsp", "test rsp, rsp"))
		: "=@ccz"(replaced), [region] "=&r"(region), [top] "=&r"(top)
		: LEAN_INPUTS(s, class), [slot] "r"(slot),
		  [expected] "r"(lean_header_bits(expected)), [wanted] "r"(lean_header_bits(wanted))
		: "memory");
	return replaced;
}

static inline unsigned lean_slot(const struct lean_stacks *s)
{
	uint32_t cpu;

	__asm__ volatile(STEP("movl %%fs:" STACK_RSEQ_CPU_ID "(%[rseq_offset]), %[cpu]",
			      "mov %[cpu], DWORD PTR fs:[%[rseq_offset]+" STACK_RSEQ_CPU_ID "]")
			 : [cpu] "=r"(cpu)
			 : [rseq_offset] "r"(s->rseq_offset));
	return LIKELY(cpu < s->slots_open) ? cpu : lean_slot_slow(s);
}

#endif
