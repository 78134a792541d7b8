/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - a context switch
 *
 * Saves the registers that a callee must preserve on the old stack, and loads them from the new
 * one.  The core never changes floating-point control words, so they are not saved.
 *
 * On x86-64 a stopped fiber's stack has on top where it continues.  It is reached by a jump, not by a return: the
 * processor would predict that a return leads back into the fiber that has just stopped.
 */
#include "machine/sim/internal.h"

#if defined(__x86_64__)

__asm__(".text\n"
	".globl fiber_switch\n"
	".type fiber_switch, @function\n"
	"fiber_switch:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	lea 1f(%rip), %rax\n"
	"	push %rax\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %rax\n"
	"	jmp *%rax\n"
	"1:	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	".size fiber_switch, .-fiber_switch\n");

/* Where a new fiber begins: with no frame around it, as those who follow frames expect. */
__asm__(".text\n"
	".type fiber_begin, @function\n"
	"fiber_begin:\n"
	"	xor %ebp, %ebp\n"
	"	ret\n"
	".size fiber_begin, .-fiber_begin\n");

void fiber_begin(void);

/* The stack looks as if @entry had been called from nowhere: 16-byte aligned but for the return. */
void *fiber_make(char *stack_end, void (*entry)(void))
{
	uintptr_t *sp = (uintptr_t *)(void *)stack_end;

	*--sp = 0; /* where @entry would return to */
	*--sp = (uintptr_t)entry;
	*--sp = (uintptr_t)fiber_begin;
	return sp;
}

#elif defined(__aarch64__)

__asm__(".text\n"
	".globl fiber_switch\n"
	".type fiber_switch, @function\n"
	"fiber_switch:\n"
	"	stp x29, x30, [sp, #-160]!\n"
	"	stp x19, x20, [sp, #16]\n"
	"	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n"
	"	stp x25, x26, [sp, #64]\n"
	"	stp x27, x28, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #16]\n"
	"	ldp x21, x22, [sp, #32]\n"
	"	ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]\n"
	"	ldp x27, x28, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	ldp x29, x30, [sp], #160\n"
	"	ret\n"
	".size fiber_switch, .-fiber_switch\n");

void *fiber_make(char *stack_end, void (*entry)(void))
{
	uintptr_t *sp = (uintptr_t *)(void *)stack_end - 20;

	for (unsigned i = 0; i < 20; i++)
		sp[i] = 0;
	sp[1] = (uintptr_t)entry;
	return sp;
}

#else
#error "the simulator needs a context switch for this processor"
#endif
