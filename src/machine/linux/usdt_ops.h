/* SPDX-License-Identifier: MIT */
/*
 * usdt_ops.h - a nop and its note, in SystemTap's format, version 3
 *
 * The note holds three addresses (of the nop, of the section .stapsdt.base, and of a semaphore: none), the provider's name,
 * the probe's, and its values as SIZE@OPERAND.  The addresses are those before prelink or a stripper moved
 * the code; a reader corrects them by where .stapsdt.base is now.  <sys/sdt.h> writes the same notes,
 * but a build would need its package.
 *
 * The values are in registers or constant: clang would store all of them if memory were permitted, too.  `inline` says that
 * the text is one instruction, whatever its length, so that it changes nothing about what is inlined.
 */
#ifndef MACHINE_LINUX_USDT_OPS_H
#define MACHINE_LINUX_USDT_OPS_H

#include <stdint.h>

#define USDT_ARE_1  "8@%0"
#define USDT_ARE_2  USDT_ARE_1 " 8@%1"
#define USDT_ARE_3  USDT_ARE_2 " 8@%2"
#define USDT_ARE_4  USDT_ARE_3 " 8@%3"
#define USDT_ARE_5  USDT_ARE_4 " 8@%4"
#define USDT_ARE_6  USDT_ARE_5 " 8@%5"
#define USDT_ARE_7  USDT_ARE_6 " 8@%6"
#define USDT_ARE_8  USDT_ARE_7 " 8@%7"
#define USDT_ARE_9  USDT_ARE_8 " 8@%8"
#define USDT_ARE_10 USDT_ARE_9 " 8@%9"

#define USDT_IN_1(a)	   "nr"((uint64_t)(a))
#define USDT_IN_2(a, ...)  USDT_IN_1(a), USDT_IN_1(__VA_ARGS__)
#define USDT_IN_3(a, ...)  USDT_IN_1(a), USDT_IN_2(__VA_ARGS__)
#define USDT_IN_4(a, ...)  USDT_IN_1(a), USDT_IN_3(__VA_ARGS__)
#define USDT_IN_5(a, ...)  USDT_IN_1(a), USDT_IN_4(__VA_ARGS__)
#define USDT_IN_6(a, ...)  USDT_IN_1(a), USDT_IN_5(__VA_ARGS__)
#define USDT_IN_7(a, ...)  USDT_IN_1(a), USDT_IN_6(__VA_ARGS__)
#define USDT_IN_8(a, ...)  USDT_IN_1(a), USDT_IN_7(__VA_ARGS__)
#define USDT_IN_9(a, ...)  USDT_IN_1(a), USDT_IN_8(__VA_ARGS__)
#define USDT_IN_10(a, ...) USDT_IN_1(a), USDT_IN_9(__VA_ARGS__)

#define USDT_NOTE(name, are, ...)                                                                  \
	__asm__ volatile inline("990:	nop\n"                                                       \
				".pushsection .note.stapsdt, \"\", \"note\"\n"                     \
				".balign 4\n"                                                      \
				".4byte 992f - 991f, 994f - 993f, 3\n"                             \
				"991:	.asciz \"stapsdt\"\n"                                        \
				"992:	.balign 4\n"                                                 \
				"993:	.8byte 990b, _.stapsdt.base, 0\n"                            \
				".asciz \"quire\"\n"                                               \
				".asciz \"" #name "\"\n"                                           \
				".asciz \"" are "\"\n"                                             \
				"994:	.balign 4\n"                                                 \
				".popsection\n"                                                    \
				".ifndef _.stapsdt.base\n"                                         \
				".pushsection .stapsdt.base, \"aG\", \"progbits\", "               \
				".stapsdt.base, comdat\n"                                          \
				".weak _.stapsdt.base\n"                                           \
				".hidden _.stapsdt.base\n"                                         \
				"_.stapsdt.base: .space 1\n"                                       \
				".size _.stapsdt.base, 1\n"                                        \
				".popsection\n"                                                    \
				".endif"                                                           \
				:                                                                  \
				: __VA_ARGS__)

#define USDT_OF(n, name, ...) USDT_NOTE(name, USDT_ARE_##n, USDT_IN_##n(__VA_ARGS__))

#endif
