/* SPDX-License-Identifier: MIT */
/*
 * slab/meta.c - where what describes slabs is stored
 *
 * One reservation, in this order:
 *
 *   array     for each                        readable      writable
 *   byte      frame: 1 byte                   always        where slabs were made
 *   unback    once: struct slab_unback        always        always
 *   step      step: 1 byte                    always        always
 *   barns     class: barn_room entries        always        always
 *   flags     64 KiB of addresses: 1 bit      always        always
 *   records   64 KiB of addresses: 576 bytes  where slabs were made
 *   deferred  64 KiB of addresses: 4,096 bits where slabs were made
 *
 * Any address may be asked for its byte.  The rest is read only of addresses that are in slabs.  A step is 16 MiB
 * of addresses: one page of bytes, and 36 pages of records.  The first one is committed with the arrays in front of
 * it, in one call.
 *
 * Nothing has memory before it is touched.  A program's first slab touches a page of bytes and a page of records, which
 * has room for seven, and the first spill of a class to its barn a page of that.  All of it is
 * 1 / 114 of the memory that it describes.
 */
#include "slab/meta.h"

#include <quire/quire.h>

#include "base/errno.h"
#include "base/round.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/pages.h"
#include "slab/record.h"
#include "slab/unback.h"

#define STEP_SHIFT     24u
#define DEFERRED_BYTES (MAP_WORDS * sizeof(uint64_t)) /* of a record */
_Static_assert(STEP_RECORDS == 1u << (STEP_SHIFT - SLAB_SHIFT), "a step of records is a step");
/* Entries of 32 bits count 16 bytes each.  The last one means none, so the last slab has none. */
#define NEAR_BYTES (((size_t)1 << (32 + ENTRY_SHIFT)) - ((size_t)1 << 18))

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
	return mem_commit_part(mem_commit_apart, s->deferred, from * DEFERRED_BYTES,
			       (end - from) * DEFERRED_BYTES);
}

bool slabs_meta_is_ready(const struct slabs *s, uint32_t record)
{
	/* Pairs with the release below. */
	return load_acquire(&s->step_ready[step_of(record)]) != 0;
}

int slabs_meta_ready(struct slabs *s, uint32_t record, unsigned flags)
{
	uint32_t step = step_of(record);
	int error;

	if (slabs_meta_is_ready(s, record))
		return 0;
	if (flags & QUIRE_NOLOCK)
		return -EAGAIN;
	error = commit_bytes(s, step);
	if (!error)
		error = commit_records(s, step);
	if (!error)
		store_release(&s->step_ready[step], 1); /* pairs with slabs_meta_is_ready() */
	return error;
}

static void set_geometry(struct slabs *s)
{
	const struct pages *p = pages_of_const(s->q);

	s->base = p->base;
	s->span_bytes = p->span_bytes;
	s->page_shift = p->page_shift;
	s->near_bytes = s->span_bytes < NEAR_BYTES ? s->span_bytes : NEAR_BYTES;
	s->near_records = (uint32_t)(s->near_bytes >> SLAB_SHIFT);
}

static int commit_first(struct slabs *s)
{
	char *front = (char *)s->unback;
	int error = mem_commit_readonly(s->byte, (size_t)(front - (char *)s->byte));

	if (!error)
		error = commit_bytes(s, 0);
	if (!error)
		error = commit_records(s, 0);
	return error ? error
		     : mem_commit_part(mem_commit_apart, front, 0, (size_t)(s->records - front));
}

int slabs_meta_init(struct slabs *s)
{
	size_t page = mem_page_bytes(), bytes, unback, barns, slabs, records, deferred;

	set_geometry(s);
	mutex_init(&s->mutex, RANK_SLAB_CACHES);
	mutex_init(&s->unback_mutex, RANK_SLAB_UNBACK);
	bytes = round_up(s->span_bytes >> s->page_shift, page);
	unback = bytes + round_up(sizeof(struct slab_unback), 64);
	barns = unback + round_up(steps_nr(s), 64);
	slabs = barns + CLASSES_MAX * (size_t)s->barn_room * sizeof(uint32_t);
	s->deferred_words = (slabs_records(s) + 63) / 64;
	records = round_up(slabs + s->deferred_words * sizeof(uint64_t), page);
	deferred = records + round_up((size_t)slabs_records(s) * RECORD_BYTES, page);
	s->meta_bytes = deferred + round_up((size_t)slabs_records(s) * DEFERRED_BYTES, page);
	s->meta = mem_reserve(s->meta_bytes, page, "quire-slabs");
	if (s->meta == NULL)
		return -ENOMEM;
	s->byte = (uint8_t *)s->meta;
	s->unback = (struct slab_unback *)(void *)(s->meta + bytes);
	s->step_ready = (uint8_t *)s->meta + unback;
	s->barns = (uint32_t *)(void *)(s->meta + barns);
	s->deferred_slabs = (uint64_t *)(void *)(s->meta + slabs);
	s->records = s->meta + records;
	s->deferred = (uint64_t *)(void *)(s->meta + deferred);
	if (commit_first(s) != 0) {
		mem_release(s->meta, s->meta_bytes);
		return -ENOMEM;
	}
	mem_advise_huge(s->meta, s->meta_bytes, false);
	s->step_ready[0] = 1; /* no other thread knows the arrays yet */
	return 0;
}

void slabs_meta_fini(struct slabs *s)
{
	mem_release(s->meta, s->meta_bytes);
}
