/* SPDX-License-Identifier: MIT */
/* lock_ops.h - the simulated machine's locks: every operation is a scheduling point (lock.c) */
#ifndef MACHINE_SIM_LOCK_OPS_H
#define MACHINE_SIM_LOCK_OPS_H

void lock_init(struct lock *lock, enum lock_rank rank);
lock_token lock_acquire(struct lock *lock);
lock_token lock_acquire_ordered(struct lock *lock);
bool lock_try(struct lock *lock, lock_token *token);
void lock_release(struct lock *lock, lock_token token);
bool lock_is_held(const struct lock *lock);
/* The scheduler lets other tasks in anyway. */
static inline void lock_let_others_in(struct lock *lock)
{
	(void)lock;
}
bool lock_nested(void);
/* A simulated fork calls no handlers of other libraries. */
static inline bool lock_kept(void)
{
	return false;
}
static inline bool lock_is_lent(const struct lock *lock)
{
	(void)lock;
	return false;
}
static inline uint32_t lock_keep_begin(void)
{
	return 0;
}
static inline void lock_keep_end(uint32_t begun)
{
	(void)begun;
}

void mutex_init(struct mutex *mutex, enum lock_rank rank);
void mutex_acquire(struct mutex *mutex);
bool mutex_try(struct mutex *mutex);
void mutex_release(struct mutex *mutex);
void mutex_lay_aside(struct mutex *mutex);
void mutex_take_up(struct mutex *mutex);
bool mutex_is_held(const struct mutex *mutex);

#endif
