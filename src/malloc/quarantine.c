/* SPDX-License-Identifier: MIT */
/*
 * malloc/quarantine.c - freed blocks that wait
 *
 * There is no lock: a handler may free what it likes, and fork need not wait.  Places are handed out by two counters, and a place
 * is read and written by exchanges, so a block has one taker, whatever the counters say.  If a taker comes to a place that was
 * handed out but not yet written, it takes nothing, and that block waits until the ring has come round.
 *
 * A child of fork has what waited in its parent.  What other threads were just moving is lost to it.
 */
#include "malloc/quarantine.h"

#include "machine/atomic.h"

void quarantine_init(struct quarantine *q, void **block, uint64_t places, size_t most_bytes)
{
	q->block = block;
	q->mask = places - 1;
	q->most = (int64_t)most_bytes;
}

void *quarantine_put(struct quarantine *q, void *block, size_t bytes)
{
	uint64_t place = fetch_add_relaxed(&q->put_nr, 1);

	fetch_add_relaxed(&q->bytes, (int64_t)bytes);
	/* Pairs with other exchanges: whoever takes the block finds it poisoned. */
	return exchange_acq_rel(&q->block[place & q->mask], block);
}

/* The two counters may be read in either order, so one that came in may be older than one that went out: nothing is
 * there to take then, as far as this thread knows. */
static bool is_before(uint64_t place, uint64_t put_nr)
{
	return (int64_t)(put_nr - place) > 0;
}

void *quarantine_take(struct quarantine *q, bool all)
{
	uint64_t place = load_relaxed(&q->out_nr);
	void *block = NULL;

	while (block == NULL && is_before(place, load_relaxed(&q->put_nr)) &&
	       (all || load_relaxed(&q->bytes) > q->most)) {
		if (!cas_relaxed(&q->out_nr, &place, place + 1))
			continue;
		/* Pairs with quarantine_put(). */
		block = exchange_acquire(&q->block[place & q->mask], (void *)NULL);
		place = load_relaxed(&q->out_nr);
	}
	return block;
}

uint64_t quarantine_now(const struct quarantine *q)
{
	return load_relaxed(&q->put_nr);
}

void quarantine_skip(struct quarantine *q, uint64_t place)
{
	uint64_t out = load_relaxed(&q->out_nr);

	while (out < place && !cas_relaxed(&q->out_nr, &out, place))
		;
}

void quarantine_left(struct quarantine *q, size_t bytes)
{
	fetch_sub_relaxed(&q->bytes, (int64_t)bytes);
}
