/* SPDX-License-Identifier: MIT */
/*
 * slab/meta.c - where what describes slabs is stored
 *
 * One reservation, in this order:
 *
 *   array     for each                        readable      writable
 *   barns     class: barn_room entries        always        always
 *   unback    once: struct slab_unback        always        always
 *   flags     64 KiB of addresses: 1 bit      always        always
 *   slots     slot: struct slab_cpu           always        always
 *   step      step: 1 byte, and 4             always        always
 *   byte      frame: 1 byte                   always        where slabs were made
 *   regions   slot: its sheaves               always        once the slot is used (cpu.c)
 *   records   64 KiB of addresses: 64 bytes   where slabs were made
 *   maps      64 KiB of addresses: 4,096 bits where slabs were made
 *   deferred  the same, in turn with maps, step by step
 *   live      likewise, of a hardened instance alone
 *
 * Any address may be asked for its byte.  The rest is read only of addresses that are in slabs.  A step is 16 MiB
 * of addresses: one page of bytes, four of records, and 64 of maps.  The order is such that four calls make writable, or
 * readable, what is so at first, and that a process's first slab touches one page of what stands in front of the
 * bytes: a few slots, and the first steps.
 *
 * Nothing has memory before it is touched.  A program's first slab touches a page of bytes and a page of records, which
 * has room for 64, the first slab of objects below 208 bytes a page of maps, for eight, and the first spill of a class to
 * its barn a page of that.  All of it but regions is 1 / 819 of the memory that it describes, and 1 / 110 where that is
 * objects below 208 bytes.
 *
 * When a program has shrunk, that is a good part of what is left, so a step without slabs gives the memory of its bytes,
 * records and deferred frees back.  They read zero afterwards, as they would of slabs that have left.  Each step counts
 * its slabs:
 *
 *   count             when                                              to              under
 *   any               slabs are about to be made                        more            atomic
 *   some              their pages are about to be freed                 fewer           atomic
 *   0                 objects_unback()                                  LEAVING         unback_mutex
 *   LEAVING + any     slabs are about to be made: they are not counted, and their maker waits for the mutex
 *   LEAVING           the gather has finished                           0               unback_mutex
 */
#include "slab/meta.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/round.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/page.h"
#include "page/pages.h"
#include "slab/record.h"
#include "slab/unback.h"

#define STEP_SHIFT 24u
#define MAPS_BYTES                                                                                 \
	(2 * STEP_RECORDS * MAP_WORDS * sizeof(uint64_t)) /* of a step, the deferred ones too */
#define LIVE_BYTES   (MAP_WORDS * sizeof(uint64_t))	  /* of a record */
/* Of a step's byte: 0, not committed. */
#define STEP_WRITTEN 1u
#define STEP_BARE    2u			 /* without memory, since nothing was written */
#define LEAVING	     ((uint32_t)1 << 31) /* of a step's count */
_Static_assert(STEP_RECORDS == 1u << (STEP_SHIFT - SLAB_SHIFT), "a step of records is a step");

uint32_t slabs_records(const struct slabs *s)
{
	return (uint32_t)(s->span_bytes >> SLAB_SHIFT);
}

static uint32_t step_of(uint32_t record)
{
	return record / STEP_RECORDS;
}

static size_t steps_nr(const struct slabs *s)
{
	return step_of(slabs_records(s) - 1) + (size_t)1;
}

/* Commits the bytes, or the records, of one step. */
static int commit_bytes(struct slabs *s, uint32_t step)
{
	size_t from = (size_t)step << (STEP_SHIFT - s->page_shift);
	size_t end = from + ((size_t)1 << (STEP_SHIFT - s->page_shift));
	size_t frames = s->span_bytes >> s->page_shift;

	return mem_commit_part(mem_commit_apart, s->byte, from,
			       (end < frames ? end : frames) - from);
}

static int commit_records(struct slabs *s, uint32_t step)
{
	size_t from = (size_t)step * STEP_RECORDS, end = from + STEP_RECORDS;

	if (end > slabs_records(s))
		end = slabs_records(s);
	if (mem_commit_part(mem_commit_apart, s->records, from * RECORD_BYTES,
			    (end - from) * RECORD_BYTES) != 0)
		return -ENOMEM;
	if (s->live != NULL && mem_commit_part(mem_commit_apart, s->live, from * LIVE_BYTES,
					       (end - from) * LIVE_BYTES) != 0)
		return -ENOMEM;
	return mem_commit_part(mem_commit_apart, s->maps, step * MAPS_BYTES, MAPS_BYTES);
}

bool slabs_meta_is_ready(const struct slabs *s, uint32_t record)
{
	/* Pairs with the release below. */
	return load_acquire(&s->step_ready[step_of(record)]) != 0;
}

bool slabs_meta_is_used(const struct slabs *s, uint32_t record)
{
	return slabs_meta_is_ready(s, record) &&
	       load_relaxed(&s->step_slabs[step_of(record)]) % LEAVING != 0; /* a hint */
}

static int make_ready(struct slabs *s, uint32_t step, unsigned flags)
{
	int error;

	if (load_acquire(&s->step_ready[step])) /* pairs with the release below */
		return 0;
	if (flags & QUIRE_NOLOCK)
		return -EAGAIN;
	error = commit_bytes(s, step);
	if (!error)
		error = commit_records(s, step);
	if (!error)
		store_release(&s->step_ready[step],
			      STEP_BARE); /* pairs with slabs_meta_is_ready() */
	return error;
}

int slabs_meta_enter(struct slabs *s, uint32_t record, unsigned flags)
{
	uint32_t step = step_of(record);
	int error = make_ready(s, step, flags);

	if (error)
		return error;
	/* Pairs with the end of slabs_meta_unback(). */
	while (fetch_add_acq_rel(&s->step_slabs[step], 1) & LEAVING) {
		fetch_sub_relaxed(&s->step_slabs[step], 1); /* nothing was done there */
		if (flags & FLAGS_NO_WAIT)
			return -EAGAIN;
		mutex_acquire(&s->unback_mutex);
		mutex_release(&s->unback_mutex);
	}
	store_release(&s->step_ready[step], STEP_WRITTEN); /* as above; read under the mutex, too */
	return 0;
}

void slabs_meta_leave(struct slabs *s, uint32_t record)
{
	/* Pairs with the exchange in collect_step(). */
	uint32_t before = fetch_sub_acq_rel(&s->step_slabs[step_of(record)], 1);

	CHECK_VALUES(before >= 1, before, record);
}

uint64_t slabs_meta_bytes(const struct slabs *s)
{
	uint64_t step_bytes = (STEP_RECORDS << (SLAB_SHIFT - s->page_shift)) +
			      STEP_RECORDS * (RECORD_BYTES + (s->live != NULL ? LIVE_BYTES : 0));
	uint64_t bytes = 0;

	for (uint32_t step = 0; step < steps_nr(s); step++)
		if (load_relaxed(&s->step_ready[step]) == STEP_WRITTEN)
			bytes += step_bytes;
	return bytes;
}

/* ---- giving back ---- */

/* Adds the whole pages of a part of an array. */
static void add_part(struct gather *gather, void *array, size_t from, size_t end)
{
	uintptr_t page = mem_page_bytes();
	uintptr_t start = round_up((uintptr_t)array + from, page);
	uintptr_t stop = ((uintptr_t)array + end) & ~(page - 1);

	if (start < stop)
		gather_unback(gather, (void *)start, stop - start);
}

/* Adds what a step has, if it has no slab and was written since its memory went. */
static void collect_step(struct slabs *s, struct gather *gather, uint32_t step)
{
	size_t from = (size_t)step * STEP_RECORDS, end = from + STEP_RECORDS;
	unsigned shift = SLAB_SHIFT - s->page_shift;
	uint32_t none = 0;

	/* A hint: slabs are being made, or there have been none. */
	if (load_relaxed(&s->step_ready[step]) != STEP_WRITTEN ||
	    !cas_acq_rel(&s->step_slabs[step], &none, LEAVING)) /* with slabs_meta_leave() */
		return;
	if (end > slabs_records(s))
		end = slabs_records(s);
	store_relaxed(&s->step_ready[step], STEP_BARE); /* the next maker says otherwise */
	add_part(gather, s->byte, from << shift, end << shift);
	add_part(gather, s->records, from * RECORD_BYTES, end * RECORD_BYTES);
	add_part(gather, s->maps, step * MAPS_BYTES, (step + 1) * MAPS_BYTES);
	if (s->live != NULL)
		add_part(gather, s->live, from * LIVE_BYTES, end * LIVE_BYTES);
}

size_t slabs_meta_unback(struct slabs *s, struct gather *gather)
{
	struct mem_vector *vector = gather->vector;
	unsigned vector_max = gather->vector_max;
	size_t bytes = 0;
	uint32_t step = 0, done = 0;

	CHECK(mutex_is_held(&s->unback_mutex));
	while (step < steps_nr(s)) {
		/* A step adds four ranges at most. */
		for (; step < steps_nr(s) && gather->ranges_nr + 4 <= gather->ranges_max; step++)
			collect_step(s, gather, step);
		bytes += gather_finish(gather);
		gather_begin(gather, gather->ranges, gather->ranges_max);
		gather_lend(gather, vector, vector_max);
		for (; done < step; done++)
			if (load_relaxed(&s->step_slabs[done]) & LEAVING) /* set above alone */
				fetch_and_acq_rel(&s->step_slabs[done], ~LEAVING); /* enter */
	}
	return bytes;
}

static void set_geometry(struct slabs *s)
{
	const struct pages *p = pages_of_const(s->q);

	s->base = p->base;
	s->span_bytes = p->span_bytes;
	s->page_shift = p->page_shift;
}

/* Where each array begins in the reservation. */
struct layout {
	size_t unback, flags, slots, steps, counts, bytes, regions, records, maps, live, end;
};

static struct layout lay_out(struct slabs *s)
{
	size_t page = mem_page_bytes();
	size_t slots = s->lean->slots_open;
	struct layout at = { .unback = CLASSES_MAX * (size_t)s->barn_room * sizeof(void *) };

	s->deferred_words = (slabs_records(s) + 63) / 64;
	at.flags = at.unback + round_up(sizeof(struct slab_unback), 64);
	at.slots = round_up(at.flags + s->deferred_words * sizeof(uint64_t), page);
	at.steps = at.slots + slots * sizeof(struct slab_cpu);
	at.counts = at.steps + round_up(steps_nr(s), 64);
	at.bytes = round_up(at.counts + steps_nr(s) * sizeof(uint32_t), page);
	at.regions = at.bytes + round_up(s->span_bytes >> s->page_shift, page);
	at.records = at.regions + slots * LEAN_STRIDE;
	at.maps = at.records + round_up((size_t)slabs_records(s) * RECORD_BYTES, page);
	at.live = at.end = at.maps + steps_nr(s) * MAPS_BYTES;
	if (s->hardened != NULL)
		at.end += round_up((size_t)slabs_records(s) * LIVE_BYTES, page);
	return at;
}

/* All in front of the first step's bytes, and these, can be written; the other bytes and the regions can be read. */
static int commit_first(struct slabs *s, const struct layout *at)
{
	size_t frames = s->span_bytes >> s->page_shift;
	size_t first = (size_t)1 << (STEP_SHIFT - s->page_shift);
	size_t written = round_up(at->bytes + (first < frames ? first : frames), mem_page_bytes());
	int error = mem_commit_apart(s->meta, written);

	if (!error && written < at->records)
		error = mem_commit_readonly(s->meta + written, at->records - written);
	return error ? error : commit_records(s, 0);
}

static int reserve(struct slabs *s)
{
	struct layout at = lay_out(s);

	s->meta_bytes = at.end;
	s->meta = mem_reserve(s->meta_bytes, mem_page_bytes(), "quire-slabs");
	if (s->meta == NULL)
		return -ENOMEM;
	mem_advise_huge(s->meta, s->meta_bytes, false);
	s->barns = (void **)(void *)s->meta;
	s->unback = (struct slab_unback *)(void *)(s->meta + at.unback);
	s->deferred_slabs = (uint64_t *)(void *)(s->meta + at.flags);
	s->cpu = (struct slab_cpu *)(void *)(s->meta + at.slots);
	s->step_ready = (uint8_t *)s->meta + at.steps;
	s->step_slabs = (uint32_t *)(void *)(s->meta + at.counts);
	s->byte = (uint8_t *)s->meta + at.bytes;
	s->records = s->meta + at.records;
	s->maps = (uint64_t *)(void *)(s->meta + at.maps);
	s->live = s->hardened != NULL ? (uint64_t *)(void *)(s->meta + at.live) : NULL;
	s->lean->base = s->meta + at.regions;
	if (commit_first(s, &at) == 0)
		return 0;
	mem_release(s->meta, s->meta_bytes);
	return -ENOMEM;
}

/* Many CPUs' sheaves may be more addresses than there are: then barns alone. */
int slabs_meta_init(struct slabs *s)
{
	int error;

	set_geometry(s);
	mutex_init(&s->mutex, RANK_SLAB_CACHES);
	mutex_init(&s->unback_mutex, RANK_SLAB_UNBACK);
	error = reserve(s);
	if (error && s->lean->slots_open != 0) {
		s->lean->slots_nr = s->lean->slots_open = 0;
		error = reserve(s);
	}
	if (error)
		return error;
	s->step_ready[0] = STEP_BARE; /* no other thread knows the arrays yet */
	return 0;
}

void slabs_meta_fini(struct slabs *s)
{
	mem_release(s->meta, s->meta_bytes);
}
