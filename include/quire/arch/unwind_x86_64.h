/* SPDX-License-Identifier: MIT */
/*
 * unwind_x86_64.h - unwind data for the rare code of sequences; not for programs to include
 *
 * Rare code lies behind all functions of its section, where no function's own data reaches.  It leaves
 * the stack alone and is reached by jumps, so to an unwinder it is a frame of no bytes: its CFA is
 * %rsp, every register is the caller's, and it "returns" into the middle of the sequence, where the
 * function's data is right whatever the compiler made of its frame.
 *
 * The distance from the rare code to there is a constant of the assembler's.  The address of the rare
 * code is %rip rounded down: it begins at a multiple of 32 and is no longer.  So no address is
 * written that would have to be relocated, and one rule holds for all of its instructions.
 *
 * @begin, @end: labels around the rare code; @inside: one behind an instruction of the sequence, since
 * unwinders look at the byte in front.
 */
#ifndef QUIRE_ARCH_UNWIND_X86_64_H
#define QUIRE_ARCH_UNWIND_X86_64_H

/* Compilers take an asm for as many instructions as it has lines, and these are many, of which few are
 * instructions: without this, functions around a sequence would not be inlined. */
#if (defined(__clang__) && __clang_major__ >= 11) || (!defined(__clang__) && __GNUC__ >= 9)
#define QUIRE_SEQ_ASM_ __asm__ __inline__
#else
#define QUIRE_SEQ_ASM_ __asm__
#endif

#define QUIRE_RARE_ALIGN_ ".balign 32\n\t"

/* clang-format off */
#define QUIRE_RARE_UNWIND_(begin, end, inside)                                                     \
	".pushsection .eh_frame, \"a\", @progbits\n\t"                                             \
	"81: .long 83f - 82f\n\t"	  /* a CIE */                                              \
	"82: .long 0\n\t"                                                                          \
	".byte 1, 0x7a, 0x52, 0\n\t"	  /* version, "zR" */                                      \
	".byte 1, 0x78, 16, 1, 0x1b\n\t"  /* code 1, data -8, returns by %rip; pcrel, sdata4 */    \
	".byte 0x0c, 7, 0\n\t"		  /* CFA is %rsp + 0 */                                    \
	".balign 8\n\t"                                                                            \
	"83: .long 86f - 84f\n\t"	  /* its FDE */                                            \
	"84: .long 84b - 81b\n\t"                                                                  \
	".long " begin " - .\n\t"                                                                  \
	".long " end " - " begin "\n\t"                                                            \
	".byte 0\n\t"                                                                              \
	".byte 0x16, 16, 11\n\t"	  /* %rip is the value of: */                              \
	".byte 0x80, 0, 0x09, 0xe0, 0x1a\n\t" /* %rip & -32 */                                     \
	".byte 0x0d\n\t"                                                                           \
	".long " inside " - " begin "\n\t"                                                         \
	".byte 0x22\n\t"		  /* + the distance */                                     \
	".balign 8\n\t"                                                                            \
	"86:\n\t"                                                                                  \
	".popsection\n\t"
/* clang-format on */

#endif
