/* SPDX-License-Identifier: MIT */
/*
 * percpu/stat.c - statistics of per-CPU memory, as numbers and as Linux's text
 */
#include "percpu/stat.h"
#include "percpu/map.h"
#include "percpu/percpu.h"
#include "percpu/place.h"
#include "percpu/refill.h"

#include "base/round.h"
#include "base/sized.h"
#include "base/text.h"

/* Bytes that are used, not merely reserved: committed arrays, and the stacks of CPUs in use. */
static uint64_t metadata_bytes_locked(const struct percpu *pc)
{
	uint64_t unit = mem_page_bytes(), bytes = pc->self_bytes;
	uint64_t stacks = CACHE_CLASSES_NR * sizeof(struct stack_header);

	DCHECK(lock_is_held(&pc->lock)); /* maps_ready; the others are gauges */
	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++)
		if (load_relaxed(&pc->learn[class].opened)) /* a hint */
			stacks += cache_keeps(pc, class) * sizeof(uint32_t);
	stacks = round_up(stacks, unit);
	bytes += load_relaxed(&pc->grown_chunks.ready_bytes) +
		 load_relaxed(&pc->grown_pages.ready_bytes);
	bytes += load_relaxed(&pc->grown_written.ready_bytes) +
		 load_relaxed(&pc->grown_index.ready_bytes);
	bytes += ((uint64_t)pc->maps_ready << pc->map_shift) + pc->maps_ready * sizeof(uint32_t);
	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
		bytes += load_relaxed(&pc->cpu[slot].door.ready) ? stacks : 0; /* a hint */
	return bytes;
}

static void add_chunks_locked(const struct percpu *pc, struct quire_percpu_stat *stat)
{
	DCHECK(lock_is_held(&pc->lock));
	for (uint32_t i = 0; i < pc->chunks_end; i++) {
		const struct percpu_chunk *chunk = &pc->chunk[i];

		if (chunk->state == CHUNK_NONE)
			continue;
		stat->objects += chunk->objects_nr;
		stat->isolated_pages += chunk->isolated ? bits_count(chunk->populated) : 0;
		stat->first_pages += chunk->immutable ? bits_count(chunk->populated) : 0;
	}
}

void percpu_stat_collect(struct percpu *pc, struct quire_percpu_stat *stat)
{
	lock_token token = lock_acquire(&pc->lock);

	*stat = pc->stat;
	add_chunks_locked(pc, stat);
	stat->populated_pages = pc->populated_pages;
	stat->empty_pages = pc->empty_pages;
	stat->chunks = pc->chunks_nr;
	stat->bytes = (pc->used[KIND_BIG] + pc->used[KIND_SMALL]) * 8 + pc->used[KIND_FOURS] * 4;
	stat->metadata_bytes = metadata_bytes_locked(pc);
	percpu_unlock(pc, token);
	stat->populated_kB = stat->populated_pages * pc->units << pc->page_shift >> 10;
	stat->cached_objects = cache_count(pc);
	stat->objects -=
		stat->objects < stat->cached_objects ? stat->objects : stat->cached_objects;
	stat->refusals = load_relaxed(&pc->refusals); /* this and the following are gauges */
	stat->atomic_refusals = load_relaxed(&pc->atomic_refusals);
	stat->deferred_frees = load_relaxed(&pc->deferred_total);
	stat->drains = load_relaxed(&pc->drains);
	stat->flushes = load_relaxed(&pc->flushes);
}

static void fill(const struct quire *q, struct quire_percpu_stat *stat)
{
	struct percpu *pc = percpu_if_any(q);

	memset(stat, 0, sizeof(*stat));
	if (pc != NULL)
		percpu_stat_collect(pc, stat);
	stat->struct_bytes = sizeof(*stat);
	stat->page_shift = q->page_shift;
	stat->units = quire_percpu_units(q);
	stat->unit_pages = pc != NULL ? unit_pages(pc) : 0;
}

int quire_percpu_stat_read(const struct quire *q, struct quire_percpu_stat *stat)
{
	struct quire *quiet = worker_exclude_begin(q);
	struct quire_percpu_stat now;

	fill(q, &now);
	worker_exclude_end(quiet);
	return sized_fill(stat, &now, sizeof(now));
}

/* ---- text ---- */

static void put_row(struct text *text, const char *name, uint64_t value)
{
	text_put(text, "  ");
	text_put_width(text, name, 20);
	text_put(text, ": ");
	text_put_u64_width(text, value, 8);
	text_put(text, "\n");
}

static void put_head(struct text *text, const char *title)
{
	text_put(text, title);
	text_put(text, "\n----------------------------------------\n");
}

/* A chunk as it was at one moment. */
struct view {
	struct percpu_chunk chunk;
	uint32_t longest, first_bit, holes;
};

static bool chunk_view(struct percpu *pc, uint32_t chunk, struct view *view)
{
	lock_token token = lock_acquire(&pc->lock);
	bool exists = chunk < pc->chunks_end && pc->chunk[chunk].state != CHUNK_NONE;

	if (exists) {
		uint32_t first = page_granule(pc, page_number(pc, chunk, 0));
		uint32_t end = first + unit_granules(pc);

		memcpy(&view->chunk, &pc->chunk[chunk], CHUNK_LOCKED_BYTES);
		view->longest = (uint32_t)view->chunk.free_run << pc->page_granules_shift;
		for (uint32_t i = 0; i < unit_pages(pc) && view->longest == 0; i++) {
			uint32_t longest = pc->page[page_number(pc, chunk, i)].longest;

			view->holes = longest > view->holes ? longest : view->holes;
		}
		view->longest = view->longest > view->holes ? view->longest : view->holes;
		view->first_bit = map_next_free(pc, first, end) - first;
	}
	percpu_unlock(pc, token);
	return exists;
}

static const char *state_name(const struct percpu_chunk *chunk)
{
	if (chunk->immutable)
		return " <- First Chunk";
	if (chunk->state == CHUNK_TO_DEPOPULATE)
		return " (to_depopulate)";
	return chunk->state == CHUNK_SIDELINED ? " (sidelined)" : "";
}

static void put_chunk(struct text *text, const struct view *view)
{
	text_put(text, "Chunk:");
	text_put(text, state_name(&view->chunk));
	text_put(text, "\n");
	put_row(text, "nr_alloc", view->chunk.objects_nr);
	put_row(text, "empty_pop_pages", chunk_empty(&view->chunk));
	put_row(text, "populated_pages", bits_count(view->chunk.populated));
	put_row(text, "first_bit", view->first_bit * 2);
	put_row(text, "free_bytes", (uint64_t)view->chunk.free_granules * 8);
	put_row(text, "contig_bytes", (uint64_t)view->longest * 8);
	text_put(text, "\n");
}

static void put_global(struct text *text, const struct quire_percpu_stat *stat)
{
	put_head(text, "Global Stats:");
	put_row(text, "nr_alloc", stat->allocs);
	put_row(text, "nr_dealloc", stat->frees);
	put_row(text, "nr_cur_alloc", stat->objects);
	put_row(text, "nr_cached", stat->cached_objects);
	put_row(text, "nr_chunks", stat->chunks);
	put_row(text, "nr_max_chunks", stat->chunks_max);
	put_row(text, "empty_pop_pages", stat->empty_pages);
	put_row(text, "populated_pages", stat->populated_pages);
	put_row(text, "populated_kB", stat->populated_kB);
	put_row(text, "metadata_bytes", stat->metadata_bytes);
	put_row(text, "isolated", stat->chunks_isolated);
	put_row(text, "sidelined", stat->chunks_sidelined);
	put_row(text, "reintegrated", stat->chunks_reintegrated);
	put_row(text, "destroyed", stat->chunks_destroyed);
	put_row(text, "flushes", stat->flushes);
	put_row(text, "flushed_pages", stat->flushed_pages);
	text_put(text, "\n");
}

/* A page of a chunk as a character: its bit in the masks. */
static char cell(const struct percpu_chunk *chunk, unsigned page)
{
	uint64_t bit = (uint64_t)1 << page;

	if ((chunk->populated & bit) == 0)
		return '.';
	return (chunk->free & bit) != 0 ? '_' : '#';
}

size_t percpu_text_map(const struct quire *q, char *buffer, size_t bytes)
{
	struct quire *quiet = worker_exclude_begin(q);
	struct percpu *pc = percpu_if_any(q);
	struct text text;
	struct view view;

	text_init(&text, buffer, bytes);
	text_put(&text, "a character is a page on each CPU: . no memory  _ empty  # in use\n");
	for (uint32_t i = 0; pc != NULL && i < load_relaxed(&pc->chunks_end); i++) {
		char row[65];

		memset(&view, 0, sizeof(view));
		if (!chunk_view(pc, i, &view))
			continue;
		for (unsigned page = 0; page < unit_pages(pc); page++)
			row[page] = cell(&view.chunk, page);
		row[unit_pages(pc)] = '\0';
		text_put_hex(&text, (uintptr_t)chunk_ptr(pc, i));
		text_put(&text, "  ");
		text_put(&text, row);
		text_put(&text, "\n");
	}
	worker_exclude_end(quiet);
	return text.bytes;
}

size_t quire_text_percpu_stats(const struct quire *q, char *buffer, size_t bytes)
{
	struct quire *quiet = worker_exclude_begin(q);
	struct percpu *pc = percpu_if_any(q);
	struct quire_percpu_stat stat;
	struct text text;
	struct view view;

	text_init(&text, buffer, bytes);
	text_put(&text, "Percpu Memory Statistics\n");
	fill(q, &stat);
	put_head(&text, "Allocation Info:");
	put_row(&text, "unit_size", (uint64_t)stat.unit_pages << stat.page_shift);
	put_row(&text, "static_size", STATIC_BYTES);
	put_row(&text, "reserved_size", RESERVED_BYTES);
	put_row(&text, "dyn_size", DYNAMIC_BYTES);
	put_row(&text, "units", stat.units);
	text_put(&text, "\n");
	put_global(&text, &stat);
	put_head(&text, "Per Chunk Stats:");
	for (uint32_t i = 0; pc != NULL && i < load_relaxed(&pc->chunks_end); i++) {
		memset(&view, 0, sizeof(view));
		if (chunk_view(pc, i, &view))
			put_chunk(&text, &view);
	}
	worker_exclude_end(quiet);
	return text.bytes;
}
