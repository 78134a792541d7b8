/* SPDX-License-Identifier: MIT */
/*
 * linux/compiler.h - words of kernel code that say something to its compiler or its linker
 *
 * The headers of this folder have the kernel's names over the default instance, quire_default(), so that kernel
 * code and its test modules compile as programs: add <prefix>/include/quire to the include path, in front of
 * the system's headers.  What each name becomes is in docs/linux.md.  C alone, as gcc and clang take it.
 */
#ifndef QUIRE_LINUX_COMPILER_H
#define QUIRE_LINUX_COMPILER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for the headers of libc that follow */
#endif
#include <features.h>
#ifndef __USE_GNU
#error "include the headers of quire/linux in front of libc's, or compile with -D_GNU_SOURCE"
#endif
#include <stddef.h>

/* One for each program or library, however many of its files include the header. */
#define QUIRE_LINUX_SHARED_ __attribute__((weak, visibility("hidden")))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier()   __asm__ volatile("" : : : "memory")

/* The compiler forgets what it knows of the variable's value: of memory, how large it is. */
#define OPTIMIZER_HIDE_VAR(variable) __asm__("" : "=r"(variable) : "0"(variable))

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value)                                                                       \
	do {                                                                                       \
		*(volatile __typeof__(x) *)&(x) = (value);                                         \
	} while (0)

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define noinline	 __attribute__((noinline))
#define __maybe_unused	 __attribute__((unused))
#define __always_unused	 __attribute__((unused))
#define __used		 __attribute__((used))
#define __weak		 __attribute__((weak))
#define __packed	 __attribute__((packed))
#define __aligned(bytes) __attribute__((aligned(bytes)))
#define __printf(a, b)	 __attribute__((format(printf, a, b)))
#define __must_check	 __attribute__((warn_unused_result))
#define __malloc	 __attribute__((malloc))
#define __cold		 __attribute__((cold))
#ifndef fallthrough
#define fallthrough __attribute__((fallthrough))
#endif

/* Address spaces and sections: a program has one of each. */
#define __percpu
#define __user
#define __iomem
#define __rcu
#define __force
#define __kernel
#define __init
#define __exit
#define __initdata
#define __exitdata
#define __initconst
#define __ref
#define __read_mostly
#define __ro_after_init

#define SMP_CACHE_BYTES		     64
#define L1_CACHE_BYTES		     SMP_CACHE_BYTES
#define ____cacheline_aligned	     __attribute__((aligned(SMP_CACHE_BYTES)))
#define ____cacheline_aligned_in_smp ____cacheline_aligned
#define __cacheline_aligned	     ____cacheline_aligned
#define __cacheline_aligned_in_smp   ____cacheline_aligned

#endif
