/* SPDX-License-Identifier: MIT */
/*
 * linux/percpu-refcount.h - references: those of quire/percpu_ref.h by the kernel's names
 *
 * struct percpu_ref is struct quire_percpu_ref.  Each is as with PERCPU_REF_ALLOW_REINIT; switches are over, and
 * confirmed, when the call returns.
 */
#ifndef QUIRE_LINUX_PERCPU_REFCOUNT_H
#define QUIRE_LINUX_PERCPU_REFCOUNT_H

#include <linux/gfp_types.h>
#include <linux/percpu.h>

#include <quire/percpu_ref.h>

#define percpu_ref quire_percpu_ref

typedef void(percpu_ref_func_t)(struct percpu_ref *ref);

enum {
	PERCPU_REF_INIT_ATOMIC = QUIRE_PERCPU_REF_ATOMIC,
	PERCPU_REF_INIT_DEAD = QUIRE_PERCPU_REF_DEAD,
	PERCPU_REF_ALLOW_REINIT = 1 << 16, /* always so */
};

/* It always waits, where @gfp may forbid it. */
static inline int percpu_ref_init(struct percpu_ref *ref, percpu_ref_func_t *release,
				  unsigned flags, gfp_t gfp)
{
	(void)gfp;
	return quire_percpu_ref_init(quire_default(), ref, release,
				     flags & ~(unsigned)PERCPU_REF_ALLOW_REINIT);
}

static inline void percpu_ref_exit(struct percpu_ref *ref)
{
	quire_percpu_ref_exit(ref);
}

static inline void percpu_ref_get_many(struct percpu_ref *ref, unsigned long count)
{
	quire_percpu_ref_get_many(ref, (u32)count);
}

static inline void percpu_ref_get(struct percpu_ref *ref)
{
	quire_percpu_ref_get(ref);
}

static inline void percpu_ref_put_many(struct percpu_ref *ref, unsigned long count)
{
	quire_percpu_ref_put_many(ref, (u32)count);
}

static inline void percpu_ref_put(struct percpu_ref *ref)
{
	quire_percpu_ref_put(ref);
}

static inline bool percpu_ref_tryget_many(struct percpu_ref *ref, unsigned long count)
{
	return quire_percpu_ref_tryget_many(ref, (u32)count);
}

static inline bool percpu_ref_tryget(struct percpu_ref *ref)
{
	return quire_percpu_ref_tryget(ref);
}

static inline bool percpu_ref_tryget_live(struct percpu_ref *ref)
{
	return quire_percpu_ref_tryget_live(ref);
}

#define percpu_ref_tryget_live_rcu(ref) percpu_ref_tryget_live(ref)

static inline void percpu_ref_kill(struct percpu_ref *ref)
{
	quire_percpu_ref_kill(ref);
}

static inline void percpu_ref_kill_and_confirm(struct percpu_ref *ref, percpu_ref_func_t *confirm)
{
	quire_percpu_ref_kill_and_confirm(ref, confirm);
}

static inline void percpu_ref_switch_to_atomic(struct percpu_ref *ref, percpu_ref_func_t *confirm)
{
	quire_percpu_ref_switch_to_atomic(ref);
	if (confirm != NULL)
		confirm(ref);
}

static inline void percpu_ref_switch_to_atomic_sync(struct percpu_ref *ref)
{
	quire_percpu_ref_switch_to_atomic(ref);
}

static inline void percpu_ref_switch_to_percpu(struct percpu_ref *ref)
{
	quire_percpu_ref_switch_to_percpu(ref);
}

static inline void percpu_ref_reinit(struct percpu_ref *ref)
{
	quire_percpu_ref_reinit(ref);
}

static inline void percpu_ref_resurrect(struct percpu_ref *ref)
{
	quire_percpu_ref_resurrect(ref);
}

static inline bool percpu_ref_is_zero(struct percpu_ref *ref)
{
	return quire_percpu_ref_is_zero(ref);
}

static inline bool percpu_ref_is_dying(struct percpu_ref *ref)
{
	return quire_percpu_ref_is_dying(ref);
}

#endif
