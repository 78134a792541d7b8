/* SPDX-License-Identifier: MIT */
#include "malloc/ring.h"

#include "base/check.h"
#include "machine/atomic.h"

#define LAP_SHIFT   40
#define CHECK_SHIFT 48

/* Odd numbers of no other property, and of no relation to each other: fractions of the golden ratio, and of the roots of 2, 3 and 7. */
#define TIME_FACTOR    UINT64_C(0x9e3779b97f4a7c15)
#define ADDRESS_FACTOR UINT64_C(0x6a09e667f3bcc909)
#define BYTES_FACTOR   UINT64_C(0xbb67ae8584caa73b)
#define HEAD_FACTOR    UINT64_C(0xa54ff53a5f1d36f1)

static struct ring_event *slot_at(struct ring_slots slots, uint64_t n)
{
	return &slots.event[n & (slots.nr - 1)];
}

/* Of slot @n, without check. */
static uint64_t lap_bits(struct ring_slots slots, uint64_t n)
{
	return (n >> __builtin_ctzll(slots.nr) & 255) << LAP_SHIFT; /* a division takes longer */
}

/* @head without its check, and with it: the products do not wait for each other.  A slot that two writers share is not whole to either by more than one
 * chance in 65,536. */
static uint64_t with_check(const struct ring_event *event, uint64_t head)
{
	uint64_t sum = event->time_ns * TIME_FACTOR + event->address * ADDRESS_FACTOR +
		       event->bytes * BYTES_FACTOR + head * HEAD_FACTOR;

	return head | sum >> CHECK_SHIFT << CHECK_SHIFT;
}

bool ring_event_is_whole(const struct ring_event *event)
{
	uint64_t head = event->head & ~(~UINT64_C(0) << CHECK_SHIFT);

	return ring_event_op(event) != RING_NONE && ring_event_op(event) < RING_OPS_NR &&
	       with_check(event, head) == event->head;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool lose(struct ring *ring, uint64_t time_ns)
{
	uint64_t none = 0;

	(void)cas_relaxed(&ring->lost_first_ns, &none, time_ns);
	store_relaxed(&ring->lost_last_ns, time_ns); /* of several threads, any */
	fetch_add_release(&ring->lost_nr, 1u); /* the reader takes it first: then it has a time */
	return false;
}

/* Slots from @n on that may be written.  A writer that was interrupted may have read an @n that others were given since, and
 * the reader has taken: then they are more than the ring has, and the swap refuses @n. */
static int64_t free_slots(const struct ring *ring, struct ring_slots slots, uint64_t n)
{
	uint64_t taken = load_acquire(&ring->taken); /* pairs with ring_give_back() */

	return (int64_t)(taken + slots.nr - n);
}

bool ring_put(struct ring *ring, struct ring_slots slots, const struct ring_event *event,
	      enum ring_op op, uint32_t thread)
{
	uint64_t n = load_relaxed(&ring->reserved); /* the swap decides */
	struct ring_event *slot;
	uint64_t head;

	do
		if (UNLIKELY(free_slots(ring, slots, n) <= 0))
			return lose(ring, event->time_ns);
	while (UNLIKELY(!cas_relaxed(&ring->reserved, &n, n + 1)));
	slot = slot_at(slots, n);
	head = thread | (uint64_t)op << 32 | lap_bits(slots, n);
	store_relaxed(&slot->time_ns, event->time_ns); /* the head publishes these */
	store_relaxed(&slot->address, event->address);
	store_relaxed(&slot->bytes, event->bytes);
	store_release(&slot->head, with_check(event, head)); /* pairs with ring_read() */
	return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

bool ring_read(struct ring_slots slots, uint64_t n, struct ring_event *event)
{
	const struct ring_event *slot = slot_at(slots, n);

	event->head = load_acquire(&slot->head); /* pairs with ring_put() */
	event->time_ns = load_relaxed(&slot->time_ns);
	event->address = load_relaxed(&slot->address);
	event->bytes = load_relaxed(&slot->bytes);
	return (event->head & UINT64_C(255) << LAP_SHIFT) == lap_bits(slots, n) &&
	       ring_event_is_whole(event);
}

uint64_t ring_copy(const struct ring *ring, struct ring_slots slots, uint64_t nr,
		   struct ring_event *to)
{
	uint64_t taken = load_relaxed(&ring->taken); /* the reader's own */
	uint64_t whole_nr = 0;

	for (uint64_t n = taken; n < taken + nr; n++)
		if (ring_read(slots, n, &to[whole_nr]))
			whole_nr++;
	return whole_nr;
}

uint64_t ring_filled(const struct ring *ring)
{
	/* taken is the reader's own; the heads say what is there. */
	return load_relaxed(&ring->reserved) - load_relaxed(&ring->taken);
}

bool ring_is_short(const struct ring *ring, struct ring_slots slots, uint64_t nr)
{
	return slots.nr - ring_filled(ring) < nr;
}

void ring_give_back(struct ring *ring, uint64_t nr)
{
	uint64_t taken = load_relaxed(&ring->taken); /* the reader's own */

	store_release(&ring->taken, taken + nr); /* pairs with ring_put() */
}
