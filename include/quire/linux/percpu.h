/* SPDX-License-Identifier: MIT */
/* linux/percpu.h - per-CPU objects */
#ifndef QUIRE_LINUX_PERCPU_H
#define QUIRE_LINUX_PERCPU_H

#include <linux/cpumask.h>
#include <linux/gfp_types.h>
#include <linux/percpu-defs.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/smp.h>

#define PCPU_MIN_UNIT_SIZE  QUIRE_PERCPU_BYTES_MAX
#define PCPU_MIN_ALLOC_SIZE 4

static inline void __percpu *__alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp)
{
	return QUIRE_LINUX_ALLOC_(gfp,
				  quire_alloc_percpu(quire_default(), size, align, quire_flags_));
}

static inline void __percpu *__alloc_percpu(size_t size, size_t align)
{
	return __alloc_percpu_gfp(size, align, GFP_KERNEL);
}

static inline void __percpu *__alloc_reserved_percpu(size_t size, size_t align)
{
	return quire_alloc_reserved_percpu(quire_default(), size, align);
}

#define alloc_percpu_gfp(type, gfp)                                                                \
	((__typeof__(type) __percpu *)__alloc_percpu_gfp(sizeof(type), __alignof__(type), gfp))
#define alloc_percpu(type) alloc_percpu_gfp(type, GFP_KERNEL)

static inline void free_percpu(void __percpu *ptr)
{
	quire_free_percpu(quire_default(), ptr);
}

static inline size_t pcpu_alloc_size(void __percpu *ptr)
{
	return quire_percpu_bytes(quire_default(), ptr);
}

static inline bool is_kernel_percpu_address(unsigned long addr)
{
	return quire_linux_copy_((void *)addr) != (void *)addr;
}

#endif
