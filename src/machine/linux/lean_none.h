/* SPDX-License-Identifier: MIT */
/* lean_none.h - no sequences: lean stacks refuse */
#ifndef MACHINE_LINUX_LEAN_NONE_H
#define MACHINE_LINUX_LEAN_NONE_H

LEAN_INLINE void *lean_pop(const struct lean_stacks *s, unsigned class)
{
	(void)s;
	(void)class;
	return NULL;
}

LEAN_INLINE bool lean_push(const struct lean_stacks *s, unsigned class, void *entry)
{
	(void)s;
	(void)class;
	(void)entry;
	return false;
}

LEAN_INLINE unsigned lean_pop_n(const struct lean_stacks *s, unsigned class, void **entries,
				unsigned n)
{
	(void)s;
	(void)class;
	(void)entries;
	(void)n;
	return 0;
}

LEAN_INLINE unsigned lean_push_n(const struct lean_stacks *s, unsigned class, void *const *entries,
				 unsigned n)
{
	(void)s;
	(void)class;
	(void)entries;
	(void)n;
	return 0;
}

LEAN_INLINE bool lean_replace(const struct lean_stacks *s, unsigned slot, unsigned class,
			      struct lean_header expected, struct lean_header wanted)
{
	(void)s;
	(void)slot;
	(void)class;
	(void)expected;
	(void)wanted;
	return false;
}

static inline unsigned lean_slot(const struct lean_stacks *s)
{
	return lean_slot_slow(s);
}

#endif
