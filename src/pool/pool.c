/* SPDX-License-Identifier: MIT */
/*
 * pool/pool.c - fixed-size records for descriptors
 *
 * Growing.  A step is GROW_GROUPS groups: 64 KiB cost one system call for a thousand records of 64
 * bytes, and are the most that an idle pool may waste.  A step is charged under the lock when it
 * begins, and committed with the lock dropped.  Callers that may wait commit one at a time, under
 * grow_mutex.  A caller that may not wait and finds the mutex held commits the same step concurrently,
 * which is harmless.  The first caller to finish opens the groups.  The step belongs to the pool, so
 * it is charged once, and uncharged once: by the last caller that is refused.
 *
 *   step_nr   committers   when                                            under
 *   0 -> n    0 -> 1       a caller finds no record, and no cold group     lock
 *   n         + 1          another caller joins                            lock
 *   n -> 0    -> 0         one of them finishes: groups_ready grows by n   lock
 *   n         - 1          the system refused one of them                  lock
 *   n -> 0    1 -> 0       the system refused the last: uncharged          lock
 *   n -> 0    -> 0         in a child of fork: uncharged                   lock
 *
 * A committer that finds groups_ready changed when it returns has nothing more to do.
 *
 * Returning memory.  Empty groups are taken off their list, so that no allocation uses them, unbacked
 * in one gather with the lock dropped, and put on the cold list.
 */
#include "pool/pool.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/round.h"
#include "instance/instance.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/charge.h"
#include "page/page.h"

#define GROW_GROUPS   16u
#define SHRINK_GROUPS 64u /* in one gather */

/* ---- lists of groups ---- */

static void put(struct pool *pool, struct pool_list *list, uint32_t group)
{
	pool->group[group].prev = POOL_NONE;
	pool->group[group].next = list->head;
	if (list->head != POOL_NONE)
		pool->group[list->head].prev = group;
	list->head = group;
	list->nr++;
}

static void take(struct pool *pool, struct pool_list *list, uint32_t group)
{
	uint32_t prev = pool->group[group].prev, next = pool->group[group].next;

	if (prev != POOL_NONE)
		pool->group[prev].next = next;
	else
		list->head = next;
	if (next != POOL_NONE)
		pool->group[next].prev = prev;
	list->nr--;
}

/* ---- making ---- */

static unsigned log2_of(size_t x)
{
	return 63u - (unsigned)__builtin_clzll(x);
}

static void set_geometry(struct pool *pool, size_t record_bytes, uint32_t records_max)
{
	size_t page = mem_page_bytes();
	uint64_t groups;

	pool->record_shift = (uint8_t)log2_of(record_bytes);
	pool->group_bytes = record_bytes * 64 > page ? record_bytes * 64 : page;
	pool->group_shift = log2_of(pool->group_bytes / record_bytes);
	pool->words_nr = (uint8_t)(1u << (pool->group_shift - 6));
	groups = ((uint64_t)records_max + (1u << pool->group_shift) - 1) >> pool->group_shift;
	/* The last index means none. */
	if (groups << pool->group_shift > UINT32_MAX)
		groups--;
	pool->groups_max = (uint32_t)groups;
}

int pool_init(struct pool *pool, struct quire *q, size_t record_bytes, uint32_t records_max,
	      const char *name)
{
	struct pool_list none = { .head = POOL_NONE };
	size_t page = mem_page_bytes(), words, groups;
	char *addr;

	CHECK((record_bytes & (record_bytes - 1)) == 0 && record_bytes >= 16 &&
	      record_bytes <= 1024 && records_max != 0);
	*pool = (struct pool){ .q = q, .partial = none, .empty = none, .cold = none };
	set_geometry(pool, record_bytes, records_max);
	words = round_up((size_t)pool->groups_max * pool->words_nr * sizeof(uint64_t), page);
	groups = round_up((size_t)pool->groups_max * sizeof(struct pool_group), page);
	pool->span_bytes = words + groups + (size_t)pool->groups_max * pool->group_bytes;
	addr = mem_reserve(pool->span_bytes, page, name);
	if (addr == NULL)
		return -ENOMEM;
	pool->words = (uint64_t *)(void *)addr;
	pool->group = (struct pool_group *)(void *)(addr + words);
	pool->base = addr + words + groups;
	lock_init(&pool->lock, RANK_POOL);
	mutex_init(&pool->grow_mutex, RANK_POOL_GROW);
	return 0;
}

void pool_fini(struct pool *pool)
{
	if (pool->words != NULL)
		mem_release(pool->words, pool->span_bytes);
	pool->words = NULL;
}

/* ---- growing ---- */

static char *group_addr(const struct pool *pool, uint32_t group)
{
	return pool->base + (size_t)group * pool->group_bytes;
}

/* Groups that count against the limit: those that have memory, or are about to. */
static uint64_t groups_counted(const struct pool *pool)
{
	return (uint64_t)pool->groups_ready - pool->cold.nr + pool->step_nr;
}

/* In whole pages of the instance. */
static uint64_t pages_counted(const struct pool *pool)
{
	uint64_t page = (uint64_t)1 << pool->q->page_shift;

	return (groups_counted(pool) * pool->group_bytes + page - 1) / page;
}

/* Charges or uncharges the change since the last call.  It never makes room by shrinking other modules,
 * since they may need this pool to shrink.  Returns 0 or -ENOMEM. */
static int recharge_locked(struct pool *pool, unsigned flags)
{
	uint64_t pages = pages_counted(pool);
	int error = 0;

	CHECK(lock_is_held(&pool->lock));
	if (pages > pool->charged_pages)
		error = page_charge(pool->q, pages - pool->charged_pages, flags | QUIRE_NORETRY);
	else if (pages < pool->charged_pages)
		page_uncharge(pool->q, pool->charged_pages - pages);
	if (!error)
		pool->charged_pages = pages;
	return error;
}

static int commit_groups(struct pool *pool, uint32_t first, uint32_t n)
{
	size_t word_bytes = pool->words_nr * sizeof(uint64_t);
	int error =
		mem_commit_part(mem_commit_apart, pool->words, first * word_bytes, n * word_bytes);

	if (!error)
		error = mem_commit_part(mem_commit_apart, pool->group,
					first * sizeof(struct pool_group),
					n * sizeof(struct pool_group));
	if (!error)
		error = mem_commit_apart(group_addr(pool, first), n * pool->group_bytes);
	return error;
}

static void open_group_locked(struct pool *pool, uint32_t group)
{
	CHECK(lock_is_held(&pool->lock));
	memset(&pool->words[(size_t)group * pool->words_nr], 0xff,
	       pool->words_nr * sizeof(uint64_t));
	pool->group[group].used_nr = 0;
	put(pool, &pool->empty, group);
}

static int warm_one_locked(struct pool *pool, unsigned flags)
{
	uint32_t group = pool->cold.head;
	int error;

	CHECK(lock_is_held(&pool->lock));
	take(pool, &pool->cold, group);
	error = recharge_locked(pool, flags);
	if (error)
		put(pool, &pool->cold, group);
	else
		open_group_locked(pool, group);
	return error;
}

static bool has_free_locked(const struct pool *pool)
{
	CHECK(lock_is_held(&pool->lock));
	return pool->partial.nr != 0 || pool->empty.nr != 0;
}

/* What one caller commits. */
struct step {
	uint32_t first, nr; /* groups; none: there is nothing to do */
};

static int step_join_locked(struct pool *pool, unsigned flags, struct step *step)
{
	uint32_t left = pool->groups_max - pool->groups_ready;
	int error = 0;

	CHECK(lock_is_held(&pool->lock));
	if (pool->step_nr == 0) {
		if (left == 0)
			return -ENOMEM;
		pool->step_nr = left < GROW_GROUPS ? left : GROW_GROUPS;
		error = recharge_locked(pool, flags);
	}
	if (error) {
		pool->step_nr = 0;
		return error;
	}
	pool->committers++;
	*step = (struct step){ .first = pool->groups_ready, .nr = pool->step_nr };
	return 0;
}

static int step_begin(struct pool *pool, unsigned flags, struct step *step)
{
	lock_token token = lock_acquire(&pool->lock);
	int error = 0;

	*step = (struct step){ .nr = 0 };
	/* If there are records now, another caller has grown the pool. */
	if (pool->cold.nr != 0 && !has_free_locked(pool))
		error = warm_one_locked(pool, flags);
	else if (!has_free_locked(pool))
		error = step_join_locked(pool, flags, step);
	lock_release(&pool->lock, token);
	return error;
}

static void step_drop_locked(struct pool *pool)
{
	CHECK(lock_is_held(&pool->lock));
	pool->step_nr = pool->committers = 0;
	recharge_locked(pool, 0);
}

/* Returns @error, or 0 if another committer has finished the step. */
static int step_end(struct pool *pool, const struct step *step, int error)
{
	lock_token token = lock_acquire(&pool->lock);

	if (pool->groups_ready != step->first)
		error = 0;
	else if (error && --pool->committers == 0)
		step_drop_locked(pool);
	else if (!error) {
		pool->groups_ready = step->first + step->nr;
		pool->step_nr = pool->committers = 0;
		for (uint32_t i = step->nr; i-- != 0;)
			open_group_locked(pool, step->first + i);
	}
	lock_release(&pool->lock, token);
	return error;
}

static int grow(struct pool *pool, unsigned flags)
{
	struct step step;
	bool alone = false;
	int error;

	if (flags & QUIRE_NOLOCK)
		return -EAGAIN;
	if (flags & FLAGS_NO_MUTEX) {
		alone = mutex_try(&pool->grow_mutex);
	} else {
		mutex_acquire(&pool->grow_mutex);
		alone = true;
	}
	error = step_begin(pool, flags, &step);
	if (!error && step.nr != 0) {
		error = commit_groups(pool, step.first, step.nr);
		error = step_end(pool, &step, error);
	}
	if (alone)
		mutex_release(&pool->grow_mutex);
	return error;
}

/* ---- records ---- */

static uint32_t take_locked(struct pool *pool)
{
	uint32_t group = pool->partial.head;

	CHECK(lock_is_held(&pool->lock));
	if (group == POOL_NONE) {
		group = pool->empty.head;
		if (group == POOL_NONE)
			return POOL_NONE;
		take(pool, &pool->empty, group);
		put(pool, &pool->partial, group);
	}
	for (unsigned w = 0; w < pool->words_nr; w++) {
		uint64_t *word = &pool->words[(size_t)group * pool->words_nr + w];

		if (*word != 0) {
			unsigned bit = (unsigned)__builtin_ctzll(*word);

			*word &= *word - 1;
			pool->used_nr++;
			if (++pool->group[group].used_nr == 1u << pool->group_shift)
				take(pool, &pool->partial, group);
			return (group << pool->group_shift) + w * 64 + bit;
		}
	}
	CHECK_VALUES(false, group, pool->group[group].used_nr);
	return POOL_NONE;
}

uint32_t pool_take(struct pool *pool, unsigned flags)
{
	lock_token token;
	uint32_t index;

	if (!lock_acquire_or_try(&pool->lock, flags & QUIRE_NOLOCK, &token))
		return POOL_NONE;
	index = take_locked(pool);
	lock_release(&pool->lock, token);
	return index;
}

/* Of pool_alloc(). */
struct attempt {
	struct pool *pool;
	unsigned flags;
	uint32_t index; /* what it found */
};

/* Whatever the system says, it is a refusal. */
static int take_or_grow(void *arg)
{
	struct attempt *attempt = arg;

	/* Other threads may take all new records first; then this grows again. */
	while ((attempt->index = pool_take(attempt->pool, attempt->flags)) == POOL_NONE)
		if (grow(attempt->pool, attempt->flags) != 0)
			return -ENOMEM;
	return 0;
}

uint32_t pool_alloc(struct pool *pool, unsigned flags)
{
	struct attempt attempt = { .pool = pool, .flags = flags };

	(void)page_attempt(pool->q, mem_page_bytes(), flags, take_or_grow, &attempt);
	return attempt.index;
}

static void free_locked(struct pool *pool, uint32_t index)
{
	uint32_t group = index >> pool->group_shift;
	uint64_t bit = (uint64_t)1 << (index & 63);
	uint64_t *word = &pool->words[(size_t)group * pool->words_nr +
				      ((index >> 6) & (pool->words_nr - 1u))];

	CHECK(lock_is_held(&pool->lock));
	CHECK_VALUES(group < pool->groups_ready && (*word & bit) == 0, index, pool->used_nr);
	*word |= bit;
	pool->used_nr--;
	if (pool->group[group].used_nr-- == 1u << pool->group_shift)
		put(pool, &pool->partial, group);
	if (pool->group[group].used_nr == 0) {
		take(pool, &pool->partial, group);
		put(pool, &pool->empty, group);
	}
}

void pool_free(struct pool *pool, uint32_t index)
{
	lock_token token = lock_acquire(&pool->lock);

	free_locked(pool, index);
	lock_release(&pool->lock, token);
}

bool pool_free_try(struct pool *pool, uint32_t index)
{
	lock_token token;

	if (!lock_try(&pool->lock, &token))
		return false;
	free_locked(pool, index);
	lock_release(&pool->lock, token);
	return true;
}

/* ---- giving back ---- */

/* Takes empty groups off their list; returns how many. */
static unsigned collect_empty(struct pool *pool, uint32_t *groups)
{
	lock_token token = lock_acquire(&pool->lock);
	unsigned n = 0;

	while (n < SHRINK_GROUPS && pool->empty.head != POOL_NONE) {
		groups[n++] = pool->empty.head;
		take(pool, &pool->empty, pool->empty.head);
	}
	lock_release(&pool->lock, token);
	return n;
}

/* One gather; a group that the system refuses to take back stays empty and charged. */
static size_t give_back(struct pool *pool, const uint32_t *groups, unsigned n)
{
	struct mem_range ranges[SHRINK_GROUPS];
	struct gather gather;
	lock_token token;
	uint32_t gone = 0;

	gather_begin(&gather, ranges, SHRINK_GROUPS);
	for (unsigned i = 0; i < n; i++)
		gather_unback(&gather, group_addr(pool, groups[i]), pool->group_bytes);
	gather_finish(&gather);
	token = lock_acquire(&pool->lock);
	for (unsigned i = 0; i < n; i++) {
		bool gave = gather_gave_back(&gather, group_addr(pool, groups[i]));

		put(pool, gave ? &pool->cold : &pool->empty, groups[i]);
		gone += gave;
	}
	recharge_locked(pool, 0);
	lock_release(&pool->lock, token);
	return gone * pool->group_bytes;
}

size_t pool_shrink(struct pool *pool)
{
	uint32_t groups[SHRINK_GROUPS];
	size_t bytes = 0, some;
	unsigned n;

	if (!mutex_try(&pool->grow_mutex))
		return 0;
	do {
		n = collect_empty(pool, groups);
		some = n != 0 ? give_back(pool, groups, n) : 0;
		bytes += some;
	} while (n == SHRINK_GROUPS && some != 0);
	mutex_release(&pool->grow_mutex);
	return bytes;
}

uint64_t pool_bytes(struct pool *pool)
{
	lock_token token = lock_acquire(&pool->lock);
	uint64_t groups = pool->groups_ready - pool->cold.nr;

	lock_release(&pool->lock, token);
	return groups * pool->group_bytes;
}

/* ---- checking, fork ---- */

static uint32_t group_free_nr(const struct pool *pool, uint32_t group)
{
	uint32_t n = 0;

	for (unsigned w = 0; w < pool->words_nr; w++)
		for (uint64_t word = pool->words[(size_t)group * pool->words_nr + w]; word != 0;
		     word &= word - 1)
			n++;
	return n;
}

/* Walks a list; adds to *used; false if a group does not belong there or the list does not end. */
static bool list_is_right(const struct pool *pool, const struct pool_list *list, uint32_t used_min,
			  uint32_t used_max, uint32_t *used)
{
	uint32_t n = 0, prev = POOL_NONE;

	for (uint32_t g = list->head; g != POOL_NONE; g = pool->group[g].next) {
		uint32_t nr = pool->group[g].used_nr;

		if (g >= pool->groups_ready || ++n > list->nr || pool->group[g].prev != prev ||
		    nr < used_min || nr > used_max ||
		    group_free_nr(pool, g) + nr != 1u << pool->group_shift)
			return false;
		*used += nr;
		prev = g;
	}
	return n == list->nr;
}

int pool_verify(struct pool *pool)
{
	uint32_t full = 1u << pool->group_shift, used = 0, full_nr;
	lock_token token;
	bool right;

	if (pool->words == NULL)
		return 0;
	token = lock_acquire(&pool->lock);
	right = list_is_right(pool, &pool->partial, 1, full - 1, &used) &&
		list_is_right(pool, &pool->empty, 0, 0, &used) &&
		list_is_right(pool, &pool->cold, 0, 0, &used);
	full_nr = pool->groups_ready - pool->partial.nr - pool->empty.nr - pool->cold.nr;
	right = right && used + full_nr * full == pool->used_nr &&
		pool->charged_pages == pages_counted(pool) &&
		(pool->step_nr != 0) == (pool->committers != 0);
	lock_release(&pool->lock, token);
	return right ? 0 : 1;
}

void pool_fork_prepare_mutex(struct pool *pool)
{
	mutex_acquire(&pool->grow_mutex);
}

void pool_fork_prepare_lock(struct pool *pool)
{
	pool->kept = lock_acquire_ordered(&pool->lock);
}

/* In a child: a thread that was committing a step without grow_mutex stayed in the parent. */
void pool_fork_done(struct pool *pool, bool child)
{
	if (child && pool->step_nr != 0)
		step_drop_locked(pool);
	lock_release(&pool->lock, pool->kept);
	mutex_release(&pool->grow_mutex);
}
