/* SPDX-License-Identifier: MIT */
/* x86.h - the processor's instructions that C has no words for */
#ifndef MACHINE_BARE_X86_H
#define MACHINE_BARE_X86_H

#include <stdint.h>

#define FLAG_INTERRUPTS UINT64_C(0x200)

#define MSR_FS_BASE UINT32_C(0xc0000100)
#define MSR_GS_BASE UINT32_C(0xc0000101)

static inline void port_write8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t port_read8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline uint64_t fault_address(void)
{
	uint64_t address;

	__asm__ volatile("movq %%cr2, %0" : "=r"(address));
	return address;
}

/* Forgets all translations of this CPU. */
static inline void translations_flush(void)
{
	uint64_t table;

	__asm__ volatile("movq %%cr3, %0\n\tmovq %0, %%cr3" : "=r"(table) : : "memory");
}

/* Masks interrupts on this CPU.  Returns the flags as they were. */
static inline uint64_t interrupts_mask(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(flags) : : "memory", "cc");
	return flags;
}

static inline void interrupts_restore(uint64_t flags)
{
	if ((flags & FLAG_INTERRUPTS) != 0)
		__asm__ volatile("sti" : : : "memory");
}

static inline void pause_briefly(void)
{
	__asm__ volatile("pause" : : : "memory");
}

#endif
