/* SPDX-License-Identifier: MIT */
/*
 * hook.c - the hook that sees the end of the process
 *
 * The hook and its argument are two words that a stopping thread must read as a pair, without a
 * lock: it may have interrupted the thread that sets them.  So there are two slots.  A setter fills
 * the one that is not in use and then raises the generation, whose lowest bit names the slot in
 * use.  The slot of a generation is written again only after the next one was published.  So a
 * reader that finds the generation unchanged has read a pair, and a reader that interrupted a
 * setter finds the old pair.
 */
#include "machine/linux/hook.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"

/* All fields are atomic; generation and slots are written under the process's lock. */
static struct {
	struct check_hook slots[2];
	uint32_t generation;
	uint32_t stops_nr; /* the first one calls the hook */
} end;

/* A fork takes this lock, so no child finds it held. */
struct check_hook check_set_hook(struct check_hook hook)
{
	struct lock *lock = process_switch_lock();
	lock_token token = lock_acquire(lock);
	uint32_t next = end.generation + 1;
	struct check_hook *slot = &end.slots[next & 1], old = end.slots[end.generation & 1];

	/* A reader that sees one of these stores sees the previous generation, too.  Pairs with
	 * read_slot(). */
	store_release(&slot->call, hook.call);
	store_release(&slot->arg, hook.arg);
	store_release(&end.generation, next);
	lock_release(lock, token);
	return old;
}

static struct check_hook read_slot(void)
{
	uint32_t generation;
	struct check_hook slot;

	do {
		generation = load_acquire(&end.generation); /* these pair with check_set_hook() */
		slot.call = load_acquire(&end.slots[generation & 1].call);
		slot.arg = load_acquire(&end.slots[generation & 1].arg);
	} while (load_relaxed(&end.generation) != generation);
	return slot;
}

void hook_call(const struct quire_stop *stop)
{
	struct check_hook hook;

	if (fetch_add_relaxed(&end.stops_nr, 1) != 0)
		return;
	hook = read_slot();
	if (hook.call != NULL)
		hook.call(stop, hook.arg);
}
