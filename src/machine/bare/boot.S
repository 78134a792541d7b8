/* SPDX-License-Identifier: MIT */
/*
 * boot.S - from the loader's 32 bits to long mode, for the first CPU and the others; entry of interrupts;
 * change of stacks
 *
 * qemu's -kernel loads the image as its program headers say and jumps to the address in the note (PVH): 32 bits,
 * flat segments, no paging, %ebx with the start's information.  The other CPUs begin in real mode at a page below
 * 1 MiB, to which cpus.c copies the code between ap_real and ap_real_end.
 *
 * The lowest 4 GiB are mapped to themselves in pages of 2 MiB, the last of them uncached: devices are there.
 */

#define AP_PAGE	    0x8000
#define CR0_START   0x80010033 /* paging, write protection also for us, and what the FPU wants */
#define CR4_PAE	    0x20
#define EFER	    0xc0000080
#define EFER_LME    0x100
#define GDT_CODE_64 8
#define GDT_CODE_32 16
#define GDT_DATA    24

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad boot_first

	.section .text.boot, "ax"
	.code32
	.globl boot_first
boot_first:
	cli
	cld
	movl $boot_stack_end, %esp
	movl %ebx, boot_information

	/* P, W; and for the 2 MiB pages PS, and from 3 GiB on PCD and PWT */
	movl $(boot_level3 + 3), boot_level4
	movl $boot_level2, %eax
	orl $3, %eax
	movl $boot_level3, %edi
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b
	movl $0x83, %eax
	movl $boot_level2, %edi
	movl $2048, %ecx
2:	movl %eax, (%edi)
	cmpl $0xc0000000, %eax
	jb 3f
	orl $0x18, (%edi)
3:	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 2b

	lgdt boot_gdt_pointer
	call enter_long_mode
	ljmp $GDT_CODE_64, $first_64

enter_long_mode:
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $boot_level4, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl $CR0_START, %eax
	movl %eax, %cr0
	ret

	.code64
.macro SET_SEGMENTS
	movl $GDT_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
.endm

first_64:
	SET_SEGMENTS
	movl $boot_stack_end, %esp
	xorl %ebp, %ebp
	movl boot_information, %edi
	call boot_main
	ud2

	/* ---- the other CPUs ---- */

	.code16
	.globl ap_real, ap_real_end
ap_real:
	cli
	cld
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl AP_PAGE + (ap_gdt_pointer - ap_real)
	movl $0x11, %eax
	movl %eax, %cr0
	ljmpl $GDT_CODE_32, $ap_32
	.balign 4
ap_gdt_pointer:
	.word boot_gdt_end - boot_gdt - 1
	.long boot_gdt
ap_real_end:

	.code32
ap_32:
	movl $GDT_DATA, %eax
	movl %eax, %ds
	movl %eax, %ss
	/* They come one after the other: cpus.c waits for each. */
	movl ap_stack, %esp
	call enter_long_mode
	ljmp $GDT_CODE_64, $ap_64

	.code64
ap_64:
	SET_SEGMENTS
	movq ap_stack, %rsp
	xorl %ebp, %ebp
	call cpus_ap_main
	ud2

	/* ---- interrupts ---- */

	/* The processor aligns the stack and pushes 5 words; with these two and 15 registers it is aligned again. */
.macro ENTRY vector, has_error
	.balign 16
entry_\vector:
	.if !\has_error
	pushq $0
	.endif
	pushq $\vector
	jmp entry_common
.endm

	.altmacro
.macro ENTRY_OF vector
	.if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21
	ENTRY \vector, 1
	.else
	ENTRY \vector, 0
	.endif
.endm

	.balign 16
	.globl interrupt_entries
interrupt_entries:
	.set i, 0
	.rept 64
	ENTRY_OF %i
	.set i, i + 1
	.endr

entry_common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, %rdi
	cld
	call interrupt
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	/* ---- threads ---- */

	/* void switch_stacks(void **old, void *new): what a call need not keep is the caller's own */
	.globl switch_stacks
switch_stacks:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

	.section .rodata
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* code, 64 bits */
	.quad 0x00cf9b000000ffff /* code, 32 bits */
	.quad 0x00cf93000000ffff /* data */
boot_gdt_end:
boot_gdt_pointer:
	.word boot_gdt_end - boot_gdt - 1
	.quad boot_gdt

	.bss
	.balign 4096
	.globl boot_level4
boot_level4:
	.space 4096
boot_level3:
	.space 4096
boot_level2:
	.space 4 * 4096
	.space 16384
boot_stack_end:
boot_information:
	.long 0

	.section .note.GNU-stack, "", @progbits
