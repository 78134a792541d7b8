/* SPDX-License-Identifier: MIT */
/*
 * linux/rcupdate.h - read sections, and what waits for them
 *
 * A read section counts itself in a word that all threads share, so it never waits, but is no faster than an atomic
 * operation.  A grace period waits for the sections that have begun before it, not for later ones.  A thread may free
 * anywhere: in a read section or a section of linux/preempt.h, which a holder of a spin lock is in, what it frees
 * goes when it has left them all.
 */
#ifndef QUIRE_LINUX_RCUPDATE_H
#define QUIRE_LINUX_RCUPDATE_H

#include <linux/kernel.h>
#include <linux/preempt.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* What a thread frees where it may not wait. */
struct quire_linux_deferred {
	struct quire_linux_deferred *next;
	void (*free)(void *from, void *ptr);
	void *from, *ptr;
};

struct quire_linux_reader {
	unsigned depth;
	unsigned phase; /* in which the outermost section began */
	struct quire_linux_deferred *deferred;
};

/*
 * Sections are counted by the lowest bit of the phase that they have found.  A grace period begins a phase and
 * waits for the sections of the one before, twice: once alone would miss a section that found its phase long before
 * it counted itself.
 */
struct quire_linux_grace {
	pthread_mutex_t lock; /* of one grace period at a time */
	unsigned phase;	      /* atomic */
	unsigned readers[2];  /* atomic */
};

extern __thread struct quire_linux_reader quire_linux_reader;
QUIRE_LINUX_SHARED_ __thread struct quire_linux_reader quire_linux_reader;
extern struct quire_linux_grace quire_linux_grace;
QUIRE_LINUX_SHARED_ struct quire_linux_grace quire_linux_grace; /* zero: not held */

static inline void rcu_read_lock(void)
{
	struct quire_linux_reader *reader = &quire_linux_reader;

	if (reader->depth++ != 0)
		return;
	reader->phase = __atomic_load_n(&quire_linux_grace.phase, __ATOMIC_RELAXED) % 2;
	/* Pairs with the grace period's look: it finds this section, or the section what came before the look. */
	(void)__atomic_fetch_add(&quire_linux_grace.readers[reader->phase], 1, __ATOMIC_ACQ_REL);
}

/* Waits for all read sections that have begun; not in one, nor in a section of linux/preempt.h. */
static inline void synchronize_rcu(void)
{
	struct quire_linux_grace *grace = &quire_linux_grace;

	BUG_ON(quire_linux_reader.depth != 0 || in_atomic());
	(void)pthread_mutex_lock(&grace->lock);
	for (int i = 0; i < 2; i++) {
		unsigned before = __atomic_fetch_add(&grace->phase, 1, __ATOMIC_RELAXED) % 2;

		/* The look: an addition of nothing, which orders where a load would not. */
		while (__atomic_fetch_add(&grace->readers[before], 0, __ATOMIC_ACQ_REL) != 0)
			(void)nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
	}
	(void)pthread_mutex_unlock(&grace->lock);
}

/* Is the thread in no section, neither of readers nor of linux/preempt.h? */
static inline bool quire_linux_may_wait_(void)
{
	return quire_linux_reader.depth == 0 && !in_atomic();
}

/* Frees what the thread deferred in sections, once it may wait. */
static inline void quire_linux_free_deferred_(void)
{
	struct quire_linux_deferred *deferred = quire_linux_reader.deferred;

	if (deferred == NULL || !quire_linux_may_wait_())
		return;
	quire_linux_reader.deferred = NULL;
	synchronize_rcu();
	while (deferred != NULL) {
		struct quire_linux_deferred *next = deferred->next;

		deferred->free(deferred->from, deferred->ptr);
		free(deferred);
		deferred = next;
	}
}

static inline void rcu_read_unlock(void)
{
	struct quire_linux_reader *reader = &quire_linux_reader;

	if (--reader->depth != 0)
		return;
	(void)__atomic_fetch_sub(&quire_linux_grace.readers[reader->phase], 1, __ATOMIC_RELEASE);
	quire_linux_free_deferred_();
}

/* Calls @free_it(@from, @ptr) when no read section of before is left: before it returns, if the thread may wait. */
static inline void quire_linux_after_grace_(void (*free_it)(void *from, void *ptr), void *from,
					    void *ptr)
{
	struct quire_linux_deferred *deferred;

	if (quire_linux_may_wait_()) {
		synchronize_rcu();
		free_it(from, ptr);
		return;
	}
	deferred = (struct quire_linux_deferred *)malloc(sizeof(*deferred));
	BUG_ON(deferred == NULL);
	*deferred = (struct quire_linux_deferred){
		.next = quire_linux_reader.deferred, .free = free_it, .from = from, .ptr = ptr
	};
	quire_linux_reader.deferred = deferred;
	quire_linux_section.at_end = quire_linux_free_deferred_;
}

/* Everything that was to be freed is freed by then, but for what threads in sections defer. */
#define rcu_barrier()		       synchronize_rcu()
#define rcu_dereference(ptr)	       __atomic_load_n(&(ptr), __ATOMIC_ACQUIRE)
#define rcu_assign_pointer(ptr, value) __atomic_store_n(&(ptr), value, __ATOMIC_RELEASE)

/* Calls call_rcu()'s function, as quire_linux_after_grace_() calls functions. */
static inline void quire_linux_call_rcu_(void *func, void *head)
{
	((void (*)(struct rcu_head *))func)((struct rcu_head *)head);
}

static inline void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	quire_linux_after_grace_(quire_linux_call_rcu_, (void *)func, head);
}

#include <linux/kvmalloc.h>

/* kvfree(), likewise. */
static inline void quire_linux_kvfree_(void *from, void *ptr)
{
	(void)from;
	kvfree(ptr);
}

/* kvfree_rcu(ptr), or kvfree_rcu(ptr, field): the field is not needed. */
#define kvfree_rcu(ptr, ...)                                                                       \
	quire_linux_after_grace_(quire_linux_kvfree_, NULL, (void *)(uintptr_t)(ptr))
#define kvfree_rcu_mightsleep(ptr) kvfree_rcu(ptr)
#define kfree_rcu(ptr, ...)	   kvfree_rcu(ptr)
#define kfree_rcu_mightsleep(ptr)  kvfree_rcu(ptr)
#define kvfree_rcu_barrier()	   rcu_barrier()

#endif
