/* SPDX-License-Identifier: MIT */
#include "record/live_map.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_MIN 1024u

static size_t home_of(const struct live_map *map, uint64_t key)
{
	uint64_t hash = key * 0x9e3779b97f4a7c15u;

	return (size_t)(hash ^ hash >> 32) & (map->room - 1);
}

/* The key's entry, or the unused one that ends the search. */
static struct live_entry *entry_of(const struct live_map *map, uint64_t key)
{
	size_t i = home_of(map, key);

	while (map->entries[i].is_used && map->entries[i].key != key)
		i = (i + 1) & (map->room - 1);
	return &map->entries[i];
}

const struct live_entry *live_map_find(const struct live_map *map, uint64_t key)
{
	const struct live_entry *entry = map->room != 0 ? entry_of(map, key) : NULL;

	return entry != NULL && entry->is_used ? entry : NULL;
}

static int grow(struct live_map *map)
{
	struct live_map grown = { .room = map->room != 0 ? map->room * 2 : ROOM_MIN,
				  .used_nr = map->used_nr };

	grown.entries = calloc(grown.room, sizeof(grown.entries[0]));
	if (grown.entries == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < map->room; i++)
		if (map->entries[i].is_used)
			*entry_of(&grown, map->entries[i].key) = map->entries[i];
	free(map->entries);
	*map = grown;
	return 0;
}

int live_map_put(struct live_map *map, uint64_t key, uint32_t id, uint64_t bytes)
{
	struct live_entry *entry;

	if (map->used_nr >= map->room / 2 && grow(map) != 0)
		return -ENOMEM;
	entry = entry_of(map, key);
	map->used_nr += !entry->is_used;
	*entry = (struct live_entry){ .key = key, .bytes = bytes, .id = id, .is_used = true };
	return 0;
}

/* Closes the gap, so that no search ends at it too early: an entry moves into it unless its home lies
 * between the gap and itself. */
void live_map_remove(struct live_map *map, uint64_t key)
{
	size_t mask = map->room - 1;
	struct live_entry *entry;
	size_t gap, i;

	if (map->room == 0)
		return;
	entry = entry_of(map, key);
	if (!entry->is_used)
		return;
	gap = i = (size_t)(entry - map->entries);
	for (i = (i + 1) & mask; map->entries[i].is_used; i = (i + 1) & mask) {
		size_t home = home_of(map, map->entries[i].key);

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		map->entries[gap] = map->entries[i];
		gap = i;
	}
	map->entries[gap].is_used = false;
	map->used_nr--;
}

void live_map_fini(struct live_map *map)
{
	free(map->entries);
	*map = (struct live_map){ .entries = NULL };
}
