/* SPDX-License-Identifier: MIT */
/*
 * linux/rcupdate.h - read sections, and what waits for them
 *
 * A read section is a read lock that nests, and a grace period its write lock, so a writer waits for every section, and
 * sections that begin meanwhile wait for it.  That is right and slow: for code that is tested, not for readers that must
 * not wait.  A thread may free from within a section: what it frees goes when the section ends.
 */
#ifndef QUIRE_LINUX_RCUPDATE_H
#define QUIRE_LINUX_RCUPDATE_H

#include <linux/kernel.h>

#include <pthread.h>
#include <stdlib.h>

/* What a thread frees in its read section. */
struct quire_linux_deferred {
	struct quire_linux_deferred *next;
	void (*free)(void *from, void *ptr);
	void *from, *ptr;
};

struct quire_linux_reader {
	unsigned depth;
	struct quire_linux_deferred *deferred;
};

extern __thread struct quire_linux_reader quire_linux_reader;
QUIRE_LINUX_SHARED_ __thread struct quire_linux_reader quire_linux_reader;
extern pthread_rwlock_t quire_linux_grace;
QUIRE_LINUX_SHARED_ pthread_rwlock_t quire_linux_grace; /* zero: not held */

static inline void rcu_read_lock(void)
{
	if (quire_linux_reader.depth++ == 0)
		(void)pthread_rwlock_rdlock(&quire_linux_grace);
}

/* Waits for all read sections that have begun; not in one. */
static inline void synchronize_rcu(void)
{
	BUG_ON(quire_linux_reader.depth != 0);
	(void)pthread_rwlock_wrlock(&quire_linux_grace);
	(void)pthread_rwlock_unlock(&quire_linux_grace);
}

static inline void quire_linux_free_deferred_(void)
{
	struct quire_linux_deferred *deferred = quire_linux_reader.deferred;

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
	if (--quire_linux_reader.depth != 0)
		return;
	(void)pthread_rwlock_unlock(&quire_linux_grace);
	if (quire_linux_reader.deferred != NULL)
		quire_linux_free_deferred_();
}

/* Calls @free(@from, @ptr) when no read section of before is left: before it returns, unless the thread is in one itself. */
static inline void quire_linux_after_grace_(void (*free_it)(void *from, void *ptr), void *from,
					    void *ptr)
{
	struct quire_linux_deferred *deferred;

	if (quire_linux_reader.depth == 0) {
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
}

/* Everything that was to be freed is freed by then, but for what threads in read sections defer. */
#define rcu_barrier()		       synchronize_rcu()
#define rcu_dereference(ptr)	       __atomic_load_n(&(ptr), __ATOMIC_ACQUIRE)
#define rcu_assign_pointer(ptr, value) __atomic_store_n(&(ptr), value, __ATOMIC_RELEASE)

static inline void quire_linux_call_rcu_(void *func, void *head)
{
	((void (*)(struct rcu_head *))func)((struct rcu_head *)head);
}

static inline void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	quire_linux_after_grace_(quire_linux_call_rcu_, (void *)func, head);
}

#include <linux/kvmalloc.h>

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
