/* SPDX-License-Identifier: MIT */
/* stack_none.h - no sequences: stacks refuse, and the current slot comes from the system */
#ifndef MACHINE_LINUX_STACK_NONE_H
#define MACHINE_LINUX_STACK_NONE_H

STACK_INLINE uint32_t stack_pop(const struct cpu_stacks *s, unsigned class)
{
	(void)s;
	(void)class;
	return STACK_NONE;
}

STACK_INLINE bool stack_push(const struct cpu_stacks *s, unsigned class, uint32_t entry,
			     const uint8_t *guard, uint8_t expected)
{
	(void)s;
	(void)class;
	(void)entry;
	(void)guard;
	(void)expected;
	return false;
}

STACK_INLINE unsigned stack_pop_n(const struct cpu_stacks *s, unsigned class, uint32_t *entries,
				  unsigned n)
{
	(void)s;
	(void)class;
	(void)entries;
	(void)n;
	return 0;
}

STACK_INLINE unsigned stack_push_n(const struct cpu_stacks *s, unsigned class,
				   const uint32_t *entries, unsigned n)
{
	(void)s;
	(void)class;
	(void)entries;
	(void)n;
	return 0;
}

/* Only sequences use offsets from it. */
static inline void *stack_thread_pointer(void)
{
	return NULL;
}

static inline int stack_slot(const struct cpu_stacks *s)
{
	return stack_slot_slow(s);
}

#endif
