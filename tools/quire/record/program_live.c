/* SPDX-License-Identifier: MIT */
#include "record/program_live.h"

#include <inttypes.h>

/* Bytes and instance of a live block are one number of the map. */
#define INSTANCE_SHIFT 48
#define BYTES_MASK     ((UINT64_C(1) << INSTANCE_SHIFT) - 1)

#define ANY_INSTANCE UINT32_MAX

static uint64_t bytes_of(const struct live_entry *entry)
{
	return entry->bytes & BYTES_MASK;
}

static bool is_of(const struct live_entry *entry, uint32_t process, uint32_t instance)
{
	return entry->is_used &&
	       (entry->key ^ program_place(process, 0)) >> RING_ADDRESS_BITS == 0 &&
	       (instance == ANY_INSTANCE || entry->bytes >> INSTANCE_SHIFT == instance);
}

static void put(struct program_live *live, enum katr_kind kind, uint64_t place, uint32_t id,
		uint64_t word)
{
	if (live_map_put(&live->map[kind], place, id, word) != 0)
		live->no_memory = true;
}

static void end(struct program_live *live, struct katr_moment at, enum katr_kind kind,
		struct live_entry entry, bool is_inferred)
{
	katr_write_free(live->writer, at, KATR_FREE, is_inferred, entry.id);
	live_counts_free(&live->counts[kind], bytes_of(&entry), is_inferred);
	live_map_remove(&live->map[kind], entry.key);
}

void program_live_begin(struct program_live *live, struct katr_moment at,
			const struct program_block *block)
{
	const struct live_entry *entry = live_map_find(&live->map[block->kind], block->place);
	uint64_t bytes = block->bytes & BYTES_MASK;
	uint32_t id;

	if (entry != NULL)
		end(live, at, block->kind, *entry, true);
	id = katr_write_alloc(live->writer, at, block->class_index, NULL, 0);
	put(live, block->kind, block->place, id,
	    bytes | (uint64_t)block->instance << INSTANCE_SHIFT);
	live->writer->kinds |= UINT64_C(1) << block->kind;
	live_counts_alloc(&live->counts[block->kind], bytes);
}

void program_live_refuse(struct program_live *live, struct katr_moment at,
			 const struct program_block *block)
{
	katr_write_fail(live->writer, at, block->class_index);
	live->writer->kinds |= UINT64_C(1) << block->kind;
	live->counts[block->kind].fails_nr++;
}

void program_live_end(struct program_live *live, struct katr_moment at, enum katr_kind kind,
		      uint64_t place)
{
	const struct live_entry *entry = live_map_find(&live->map[kind], place);

	if (entry != NULL)
		end(live, at, kind, *entry, false);
	else
		live->counts[kind].unpaired_nr++;
}

/* ---- pages ----------------------------------------------------------------------------------- */

int program_live_order(const struct program_live *live, uint64_t place)
{
	const struct live_entry *entry = live_map_find(&live->map[KATR_PAGE], place);

	if (entry == NULL)
		return -1;
	return 63 - __builtin_clzll(bytes_of(entry)) - (int)live->writer->page_shift;
}

void program_live_halve(struct program_live *live, struct katr_moment at, uint64_t place,
			unsigned order)
{
	const struct live_entry *found = live_map_find(&live->map[KATR_PAGE], place);
	struct live_entry entry;
	uint64_t half, word;
	uint32_t first;

	if (found == NULL || order == 0)
		return;
	entry = *found;
	half = bytes_of(&entry) / 2;
	word = half | (entry.bytes & ~BYTES_MASK);
	first = katr_write_split(live->writer, at, entry.id, order, order - 1);
	put(live, KATR_PAGE, place, first, word);
	put(live, KATR_PAGE, place + half, first + 1, word);
	live_counts_split(&live->counts[KATR_PAGE]);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void end_some(struct program_live *live, struct katr_moment at, uint32_t process,
		     uint32_t instance)
{
	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++) {
		const struct live_map *map = &live->map[kind];

		for (size_t i = 0; i < map->room;) {
			const struct live_entry entry = map->entries[i];

			if (is_of(&entry, process, instance)) /* another may be here then */
				end(live, at, (enum katr_kind)kind, entry, true);
			else
				i++;
		}
	}
}

void program_live_end_process(struct program_live *live, struct katr_moment at, uint32_t process)
{
	end_some(live, at, process, ANY_INSTANCE);
}

void program_live_end_instance(struct program_live *live, struct katr_moment at, uint32_t process,
			       uint32_t instance)
{
	end_some(live, at, process, instance);
}

void program_live_put_info(const struct program_live *live)
{
	live_counts_put_info(live->counts, live->writer);
}

void program_live_fini(struct program_live *live)
{
	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++)
		live_map_fini(&live->map[kind]);
}
