/* SPDX-License-Identifier: MIT */
/*
 * die.c - the end of the process, and the hook that sees it
 *
 * The hook and its argument are two words that a stopping thread must read as a pair, without a lock:
 * it may have interrupted the thread that sets them.  So there are two slots.  A setter fills the one
 * that is not in use and then raises the generation, whose lowest bit names the slot in use.  The slot
 * of a generation is written again only after the next one was published.  So a reader that finds the
 * generation unchanged has read a pair, and a reader that interrupted a setter finds the old pair.
 */
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#include <quire/quire.h>

#include "machine/atomic.h"
#include "machine/linux/system.h"
#include "machine/lock.h"
#include "machine/process.h"

struct slot {
	quire_stop_fn hook;
	void *arg;
};

/* All fields are atomic; generation and slots are written under the process's lock. */
static struct {
	struct slot slots[2];
	uint32_t generation;
	uint32_t stops_nr; /* at the first the hook is called */
} end;

unsigned check_cpu(void)
{
	return process_cpu();
}

/* The lock is one that a fork waits for: no child finds it held. */
void check_set_hook(quire_stop_fn hook, void *arg)
{
	struct lock *lock = process_switch_lock();
	lock_token token = lock_acquire(lock);
	uint32_t next = end.generation + 1;
	struct slot *slot = &end.slots[next & 1];

	/* Both after the generation before, so that who sees either sees that; pairs with read_slot(). */
	store_release(&slot->hook, hook);
	store_release(&slot->arg, arg);
	store_release(&end.generation, next);
	lock_release(lock, token);
}

static struct slot read_slot(void)
{
	uint32_t generation;
	struct slot slot;

	do {
		generation = load_acquire(&end.generation); /* these pair with check_set_hook() */
		slot.hook = load_acquire(&end.slots[generation & 1].hook);
		slot.arg = load_acquire(&end.slots[generation & 1].arg);
	} while (load_relaxed(&end.generation) != generation);
	return slot;
}

void check_die(const struct quire_stop *stop)
{
	/* One write, so that lines of several dying threads do not mix. */
	SYSTEM_CALL(SYS_write, STDERR_FILENO, stop->line, strlen(stop->line));
	if (fetch_add_relaxed(&end.stops_nr, 1) == 0) {
		struct slot slot = read_slot();

		if (slot.hook != NULL)
			slot.hook(stop, slot.arg);
	}
	abort();
}
