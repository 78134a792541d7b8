/* SPDX-License-Identifier: MIT */
/*
 * percpu/ref.c - references counted on each CPU until the total is needed
 *
 * Words
 *   word     references << 2 | FLAGS: the atomic count; in atomic mode it is the whole count
 *   slots    what each CPU has added; part of the count while the word is PARTIAL
 *   mode     whether sequences may add to slots; a sequence reads it inside the section
 *
 * Switching to atomic, under the process's switch lock:
 *
 *	mode = ATOMIC; fence; sum the slots; add the sum and clear PARTIAL in one step
 *
 * After the fence no sequence that has read the old mode can commit, so the slots no longer
 * change and the sum is exact.  Until PARTIAL is cleared the word never counts as zero, so
 * references that were taken on a slot and are dropped from the word meanwhile do no harm.
 *
 * Switching back: clear the slots (no sequence adds to them), set PARTIAL, mode = PERCPU.
 *
 * DEAD is a bit of the word and not of the mode, so that tryget_live() in atomic mode checks it
 * and counts in one step.  In per-CPU mode the fence has that effect: kill sets DEAD first.
 *
 * Numbers wrap around: a slot is any 64-bit value, and the word's count and the sum are modulo
 * 2^62; only the final count has to fit.
 */
#include <quire/percpu.h>
#include <quire/percpu_ref.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/atomic.h"
#include "machine/cpu.h"
#include "machine/lock.h"
#include "machine/process.h"

#define DEAD	UINT64_C(1) /* killed */
#define PARTIAL UINT64_C(2) /* the slots belong to the count */
#define FLAGS	(DEAD | PARTIAL)
#define ONE	UINT64_C(4)

enum {
	MODE_PERCPU,
	MODE_ATOMIC,
};

/*
 * Keys: (c) constant after init; (a) atomic; (s) written under the switch lock, read by anybody.
 */
struct ref {
	struct quire *q;	     /* (c) */
	quire_percpu_ref_fn release; /* (c) */
	uint64_t *slots;	     /* (c) CPU 0's; NULL: atomic for life */
	uint64_t word;		     /* (a) */
	uint32_t mode;		     /* (a) (s) MODE_*; read inside sections */
	uint32_t is_forced;	     /* (s) atomic also while alive */
};

_Static_assert(sizeof(struct ref) <= sizeof(struct quire_percpu_ref), "the public struct holds it");

/* @call: the public call, for the line about misuse. */
static inline struct ref *ref_of(const struct quire_percpu_ref *ref, const char *call)
{
	struct ref *inner = (struct ref *)(uintptr_t)ref;

	if (UNLIKELY(inner->release == NULL))
		misuse("not initialised", call, ref);
	return inner;
}

static struct quire_percpu_ref *public_of(struct ref *ref)
{
	return (struct quire_percpu_ref *)ref;
}

static bool is_zero(uint64_t word)
{
	return (word & ~DEAD) == 0;
}

/* ---- counting ---- */

/* Counts on this CPU; false if the word must be used instead. */
static bool add_here(struct ref *ref, uint64_t count)
{
	return LIKELY(cpu_add_if(ref->slots, count, &ref->mode, MODE_PERCPU));
}

static inline void get(struct quire_percpu_ref *ref, uint32_t count, const char *call)
{
	struct ref *inner = ref_of(ref, call);
	uint64_t before;

	if (add_here(inner, count))
		return;
	/* Relaxed: the caller already holds a reference. */
	before = fetch_add_relaxed(&inner->word, count * ONE);
	if (UNLIKELY(is_zero(before)))
		misuse_number("reference taken at zero", call, ref, "references", count);
}

/* Ordered after everything that was done with the object, as the section's commit is in per-CPU
 * mode.  So a thread that sees zero has seen all of it. */
static inline void put(struct quire_percpu_ref *ref, uint32_t count, const char *call)
{
	struct ref *inner = ref_of(ref, call);
	quire_percpu_ref_fn release = inner->release;
	uint64_t before;

	if (add_here(inner, UINT64_C(0) - count))
		return;
	before = fetch_sub_acq_rel(&inner->word, count * ONE);
	if (before & PARTIAL)
		return;
	if (UNLIKELY(before / ONE < count))
		misuse_number("reference put too often", call, ref, "references", before / ONE);
	if (before / ONE == count && count != 0)
		release(ref);
}

void quire_percpu_ref_get(struct quire_percpu_ref *ref)
{
	get(ref, 1, __func__);
}

void quire_percpu_ref_put(struct quire_percpu_ref *ref)
{
	put(ref, 1, __func__);
}

void quire_percpu_ref_get_many(struct quire_percpu_ref *ref, uint32_t count)
{
	get(ref, count, __func__);
}

void quire_percpu_ref_put_many(struct quire_percpu_ref *ref, uint32_t count)
{
	put(ref, count, __func__);
}

/* Takes references, unless the word is zero or has a flag of @unless. */
static bool try_word(struct ref *ref, uint32_t count, uint64_t unless)
{
	uint64_t word = load_relaxed(&ref->word);

	do {
		if (is_zero(word) || word & unless)
			return false;
		/* Pairs with the release in revive(). */
	} while (!cas_acquire(&ref->word, &word, word + count * ONE));
	return true;
}

bool quire_percpu_ref_tryget(struct quire_percpu_ref *ref)
{
	struct ref *inner = ref_of(ref, __func__);

	return add_here(inner, 1) || try_word(inner, 1, 0);
}

bool quire_percpu_ref_tryget_many(struct quire_percpu_ref *ref, uint32_t count)
{
	struct ref *inner = ref_of(ref, __func__);

	return add_here(inner, count) || try_word(inner, count, 0);
}

bool quire_percpu_ref_tryget_live(struct quire_percpu_ref *ref)
{
	struct ref *inner = ref_of(ref, __func__);

	return add_here(inner, 1) || try_word(inner, 1, DEAD);
}

/* Also legal after exit, which leaves the word, DEAD. */
static const struct ref *ref_asked_of(const struct quire_percpu_ref *ref, const char *call)
{
	const struct ref *inner = (const struct ref *)ref;

	if (UNLIKELY(inner->release == NULL && !(load_relaxed(&inner->word) & DEAD)))
		misuse("not initialised", call, ref);
	return inner;
}

bool quire_percpu_ref_is_zero(const struct quire_percpu_ref *ref)
{
	return is_zero(
		load_acquire(&ref_asked_of(ref, __func__)->word)); /* pairs with put's release */
}

bool quire_percpu_ref_is_dying(const struct quire_percpu_ref *ref)
{
	return load_relaxed(&ref_asked_of(ref, __func__)->word) & DEAD;
}

/* ---- switching ---- */

static uint64_t *slot_at(const struct ref *ref, unsigned cpu)
{
	return (uint64_t *)(void *)((char *)ref->slots + cpu * QUIRE_PERCPU_STRIDE);
}

static uint64_t sum_slots(const struct ref *ref)
{
	unsigned cpus_nr = process_cpus_possible();
	uint64_t sum = 0;

	/* Sequences no longer write them, since cpu_fence() has returned. */
	for (unsigned cpu = 0; cpu < cpus_nr; cpu++)
		sum += load_relaxed(slot_at(ref, cpu));
	return sum;
}

static void to_atomic_locked(struct ref *ref)
{
	uint64_t word, sum;

	CHECK(lock_is_held(process_switch_lock()));
	if (ref->mode == MODE_ATOMIC)
		return;
	store_relaxed(&ref->mode, MODE_ATOMIC); /* the fence makes it known */
	cpu_fence();
	sum = sum_slots(ref);
	word = load_relaxed(&ref->word);
	/* Relaxed: what was done before puts on slots the fence has shown to this thread, whose caller gives it on by a
	 * later put, without which the count is not zero. */
	while (!cas_relaxed(&ref->word, &word, (word + sum * ONE) & ~PARTIAL))
		;
}

static void to_percpu_locked(struct ref *ref)
{
	unsigned cpus_nr = process_cpus_possible();

	CHECK(lock_is_held(process_switch_lock()));
	if (ref->mode == MODE_PERCPU || ref->slots == NULL || ref->is_forced ||
	    load_relaxed(&ref->word) & DEAD)
		return;
	for (unsigned cpu = 0; cpu < cpus_nr; cpu++)
		store_relaxed(slot_at(ref, cpu), 0);
	fetch_or_relaxed(&ref->word, PARTIAL); /* before the mode */
	/* Pairs with the guard of add_here(): a sequence that reads it finds its slot cleared. */
	store_release(&ref->mode, MODE_PERCPU);
}

void quire_percpu_ref_switch_to_atomic(struct quire_percpu_ref *ref)
{
	struct ref *inner = ref_of(ref, __func__);
	struct lock *lock = process_switch_lock();
	lock_token token = lock_acquire(lock);

	inner->is_forced = true;
	to_atomic_locked(inner);
	lock_release(lock, token);
}

void quire_percpu_ref_switch_to_percpu(struct quire_percpu_ref *ref)
{
	struct ref *inner = ref_of(ref, __func__);
	struct lock *lock = process_switch_lock();
	lock_token token = lock_acquire(lock);

	inner->is_forced = false;
	to_percpu_locked(inner);
	lock_release(lock, token);
}

static void kill(struct quire_percpu_ref *ref, quire_percpu_ref_fn confirm, const char *call)
{
	struct ref *inner = ref_of(ref, call);
	struct lock *lock = process_switch_lock();
	lock_token token = lock_acquire(lock);

	/* Relaxed: who is to find it has been told by confirm(), or finds the mode that the fence made known. */
	if (UNLIKELY(fetch_or_relaxed(&inner->word, DEAD) & DEAD))
		misuse("reference killed twice", call, ref);
	to_atomic_locked(inner);
	lock_release(lock, token);
	if (confirm != NULL)
		confirm(ref);
	put(ref, 1, call);
}

void quire_percpu_ref_kill_and_confirm(struct quire_percpu_ref *ref, quire_percpu_ref_fn confirm)
{
	kill(ref, confirm, __func__);
}

void quire_percpu_ref_kill(struct quire_percpu_ref *ref)
{
	kill(ref, NULL, __func__);
}

/* Takes the owner's reference again and clears DEAD; callers that count in the word meanwhile
 * continue there. */
static void revive(struct ref *ref, bool only_from_zero, const char *call)
{
	struct lock *lock = process_switch_lock();
	lock_token token = lock_acquire(lock);
	uint64_t before = fetch_add_relaxed(&ref->word, ONE);

	if (UNLIKELY(!(before & DEAD) || (only_from_zero && !is_zero(before))))
		misuse_number("reference revived", call, public_of(ref), "references",
			      before / ONE);
	fetch_and_release(&ref->word, ~DEAD); /* pairs with try_word() */
	to_percpu_locked(ref);
	lock_release(lock, token);
}

void quire_percpu_ref_reinit(struct quire_percpu_ref *ref)
{
	revive(ref_of(ref, __func__), true, __func__);
}

void quire_percpu_ref_resurrect(struct quire_percpu_ref *ref)
{
	revive(ref_of(ref, __func__), false, __func__);
}

/* ---- life ---- */

int quire_percpu_ref_init(struct quire *q, struct quire_percpu_ref *ref,
			  quire_percpu_ref_fn release, unsigned flags)
{
	struct ref *inner = (struct ref *)ref;
	bool dead = flags & QUIRE_PERCPU_REF_DEAD, forced = flags & QUIRE_PERCPU_REF_ATOMIC;
	uint64_t *slots = NULL;

	if (release == NULL || flags & ~(QUIRE_PERCPU_REF_DEAD | QUIRE_PERCPU_REF_ATOMIC))
		return -EINVAL;
	if (cpu_has_sequences() && quire_percpu_units(q) >= process_cpus_possible()) {
		slots = quire_alloc_percpu(q, sizeof(*slots), 0, 0);
		if (slots == NULL)
			return -process_errno();
	}
	*inner = (struct ref){
		.q = q,
		.release = release,
		.slots = slots,
		.word = dead ? DEAD : ONE,
		.mode = MODE_ATOMIC,
		.is_forced = forced,
	};
	if (!dead && !forced && slots != NULL) {
		inner->word |= PARTIAL;
		inner->mode = MODE_PERCPU;
	}
	return 0;
}

void quire_percpu_ref_exit(struct quire_percpu_ref *ref)
{
	struct ref *inner = (struct ref *)ref;

	if (inner->release == NULL)
		return;
	quire_free_percpu(inner->q, inner->slots);
	/* The word stays: whether the count was zero can still be asked. */
	*inner = (struct ref){ .word = inner->word | DEAD, .mode = MODE_ATOMIC };
}
