/* SPDX-License-Identifier: MIT */
/*
 * linux/gfp_types.h - flags of allocations
 *
 * What a program has no counterpart of, zones of devices and I/O, is 0 or changes nothing.
 *
 *   without __GFP_DIRECT_RECLAIM	QUIRE_NOWAIT, or QUIRE_ATOMIC with __GFP_HIGH
 *   __GFP_NOFAIL			the call is repeated, a millisecond apart, until it is served
 *   __GFP_MEMALLOC			a refused call is repeated with QUIRE_ATOMIC, which may use the reserve
 */
#ifndef QUIRE_LINUX_GFP_TYPES_H
#define QUIRE_LINUX_GFP_TYPES_H

#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/types.h>

#include <quire/quire.h>
#include <time.h>

#define __GFP_DMA	     0u
#define __GFP_DMA32	     0u
#define __GFP_HIGHMEM	     0u
#define __GFP_MOVABLE	     0x0001u
#define __GFP_RECLAIMABLE    0x0002u
#define __GFP_HIGH	     0x0004u
#define __GFP_IO	     0x0008u
#define __GFP_FS	     0x0010u
#define __GFP_ZERO	     0x0020u
#define __GFP_DIRECT_RECLAIM 0x0040u
#define __GFP_KSWAPD_RECLAIM 0x0080u
#define __GFP_NOWARN	     0x0100u
#define __GFP_RETRY_MAYFAIL  0x0200u
#define __GFP_NOFAIL	     0x0400u
#define __GFP_NORETRY	     0x0800u
#define __GFP_MEMALLOC	     0x1000u
#define __GFP_COMP	     0x2000u
#define __GFP_NOMEMALLOC     0x4000u
#define __GFP_THISNODE	     0x8000u
#define __GFP_ACCOUNT	     0x10000u
#define __GFP_HARDWALL	     0x20000u
#define __GFP_WRITE	     0x40000u
#define __GFP_RECLAIM	     (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)

#define GFP_ATOMIC	     (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL	     (__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT   (GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOWAIT	     (__GFP_KSWAPD_RECLAIM | __GFP_NOWARN)
#define GFP_NOIO	     __GFP_RECLAIM
#define GFP_NOFS	     (__GFP_RECLAIM | __GFP_IO)
#define GFP_USER	     (GFP_KERNEL | __GFP_HARDWALL)
#define GFP_DMA		     __GFP_DMA
#define GFP_DMA32	     __GFP_DMA32
#define GFP_HIGHUSER	     (GFP_USER | __GFP_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE (GFP_HIGHUSER | __GFP_MOVABLE)
#define GFP_TRANSHUGE_LIGHT                                                                        \
	((GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM)
#define GFP_TRANSHUGE	 (GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM)
#define GFP_MOVABLE_MASK (__GFP_MOVABLE | __GFP_RECLAIMABLE)

static inline bool gfpflags_allow_blocking(gfp_t gfp)
{
	return (gfp & __GFP_DIRECT_RECLAIM) != 0;
}

/* The kernel's parameter of this name, which linux/module.h has: every allocation is zeroed. */
extern bool quire_linux_init_on_alloc;
QUIRE_LINUX_SHARED_ bool quire_linux_init_on_alloc;

/* Does an allocation with these flags have to be zeroed? */
static inline bool quire_linux_is_zeroed_(gfp_t gfp)
{
	return gfp & __GFP_ZERO || unlikely(quire_linux_init_on_alloc);
}

/* The flags of Quire's calls. */
static inline unsigned quire_linux_flags_(gfp_t gfp)
{
	unsigned flags = 0;

	if (!gfpflags_allow_blocking(gfp))
		flags |= gfp & __GFP_HIGH ? QUIRE_ATOMIC : QUIRE_NOWAIT;
	if (quire_linux_is_zeroed_(gfp))
		flags |= QUIRE_ZERO;
	if (gfp & __GFP_NORETRY)
		flags |= QUIRE_NORETRY;
	return flags;
}

/* Lifetime classes are of pages alone. */
static inline unsigned quire_linux_page_flags_(gfp_t gfp)
{
	unsigned flags = quire_linux_flags_(gfp);

	if (gfp & __GFP_MOVABLE)
		flags |= QUIRE_MOVABLE;
	else if (gfp & __GFP_RECLAIMABLE)
		flags |= QUIRE_RECLAIMABLE;
	return flags;
}

/* Whether a refused call is to be repeated, and with which flags.  A request that no memory could serve is a bug. */
static inline bool quire_linux_again_(gfp_t gfp, unsigned *flags)
{
	if (gfp & __GFP_MEMALLOC && !(*flags & QUIRE_ATOMIC) && errno == ENOMEM) {
		*flags = (*flags & ~QUIRE_NOWAIT) | QUIRE_ATOMIC;
		return true;
	}
	if (!(gfp & __GFP_NOFAIL))
		return false;
	BUG_ON(errno != ENOMEM && errno != ENOSPC);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return true;
}

/* The value of @call, which allocates with quire_flags_. */
#define QUIRE_LINUX_ALLOC_(gfp, call) QUIRE_LINUX_ALLOC_WITH_(gfp, quire_linux_flags_(gfp), call)
#define QUIRE_LINUX_ALLOC_WITH_(gfp, flags, call)                                                  \
	({                                                                                         \
		gfp_t quire_gfp_ = (gfp);                                                          \
		unsigned quire_flags_ = (flags);                                                   \
		void *quire_got_ = (call);                                                         \
                                                                                                   \
		while (quire_got_ == NULL && quire_linux_again_(quire_gfp_, &quire_flags_))        \
			quire_got_ = (call);                                                       \
		quire_got_;                                                                        \
	})

#endif
